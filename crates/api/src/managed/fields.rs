//! Every field and item that a value mentions, and whether the value fits its schema.

use serde_json::Value;

use super::items::{Item, element, index};
use super::schema::{Schema, Shape};
use super::{Element, Set, ShapeError};

/// The set of what a value mentions: what its applier then owns.
pub(super) fn fields(schema: Schema<'_>, value: &Value) -> Set {
    let mut set = Set::default();
    walk(schema, value, &mut Vec::new(), &mut set);
    set
}

fn walk(schema: Schema<'_>, value: &Value, path: &mut Vec<Element>, set: &mut Set) {
    match (schema.shape(value), value) {
        (Shape::Leaf(_), _) => set.insert(path),
        (Shape::Map, Value::Object(map)) => {
            for (name, value) in map {
                let field = schema.field(name);
                path.push(Element::field(name));
                walk(field.as_ref().map_or(Schema::Deduced, |field| field.schema), value, path, set);
                let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                if empty || !field.is_some_and(|field| field.declared) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Shape::Set, Value::Array(_)) => items(schema, &[], value, path, set),
        (Shape::Keyed(keys), Value::Array(_)) => items(schema, &keys, value, path, set),
        _ => {}
    }
}

fn items(schema: Schema<'_>, keys: &[&str], list: &Value, path: &mut Vec<Element>, set: &mut Set) {
    let item = schema.item().unwrap_or(Schema::Untyped);
    for Item { element, values } in index(item, keys, Some(list)).unwrap_or_default() {
        path.push(element);
        if let [value] = values.as_slice() {
            walk(item, value, path, set);
        }
        set.insert(path);
        path.pop();
    }
}

/// Whether a configuration fits the schema: no unknown fields, no wrong types, no item twice.
pub(super) fn check(schema: Schema<'_>, value: &Value) -> Result<(), ShapeError> {
    if value.is_null() {
        return Ok(());
    }
    if let Some(expected) = schema.expected(value) {
        return Err(ShapeError::new(format!("expected {expected}, got {}", shown(value))));
    }
    match (schema.shape(value), value) {
        (_, Value::Object(map)) => map.iter().try_for_each(|(name, value)| {
            let at = Element::field(name);
            let undeclared = || ShapeError::new("field not declared in schema".to_owned()).within(&at);
            let field = schema.field(name).ok_or_else(undeclared)?;
            check(field.schema, value).map_err(|error| error.within(&at))
        }),
        (Shape::Set, Value::Array(list)) => check_items(schema, &[], list),
        (Shape::Keyed(keys), Value::Array(list)) => check_items(schema, &keys, list),
        (_, Value::Array(list)) => {
            let item = schema.item().unwrap_or(Schema::Untyped);
            list.iter()
                .zip(0..)
                .try_for_each(|(value, at)| check(item, value).map_err(|e| e.within(&Element::Index(at))))
        }
        _ => Ok(()),
    }
}

fn check_items(schema: Schema<'_>, keys: &[&str], list: &[Value]) -> Result<(), ShapeError> {
    let item = schema.item().unwrap_or(Schema::Untyped);
    let mut seen = std::collections::BTreeSet::new();
    for (at, value) in list.iter().enumerate() {
        let element = element(item, keys, value).map_err(|why| ShapeError::new(format!("element {at}: {why}")))?;
        check(item, value).map_err(|error| error.within(&element))?;
        if seen.contains(&element) {
            return Err(ShapeError::new(format!("duplicate entries for key {element}")));
        }
        seen.insert(element);
    }
    Ok(())
}

fn shown(value: &Value) -> String {
    const MOST: usize = 64;
    match value {
        Value::String(_) => "string".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => "float64".to_owned(),
        Value::Number(_) => "int64".to_owned(),
        other => other.to_string().chars().take(MOST).collect(),
    }
}
