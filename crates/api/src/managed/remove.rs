//! An object without the fields and items of a set.

use serde_json::{Map, Value};

use super::items::element;
use super::schema::{Schema, Shape};
use super::{Element, Set};

/// `value` without what `set` names. What is merged as a whole stays or goes as a whole; what becomes
/// empty is null.
pub(super) fn remove(schema: Schema<'_>, value: &Value, set: &Set) -> Value {
    match (schema.shape(value), value) {
        (Shape::Map, Value::Object(map)) => map_without(schema, map, set),
        (Shape::Set, Value::Array(list)) => list_without(schema, &[], list, set),
        (Shape::Keyed(keys), Value::Array(list)) => list_without(schema, &keys, list, set),
        (Shape::Leaf(true), _) => Value::Null,
        (_, scalar) => scalar.clone(),
    }
}

fn map_without(schema: Schema<'_>, map: &Map<String, Value>, set: &Set) -> Value {
    let mut kept = Map::new();
    for (name, value) in map {
        let element = Element::field(name);
        if set.is_member(&element) {
            continue;
        }
        let value = match set.below(&element) {
            Some(below) => {
                let next = schema.field(name).map_or(Schema::Deduced, |field| field.schema);
                remove(next, value, below)
            }
            None => value.clone(),
        };
        kept.insert(name.clone(), value);
    }
    if kept.is_empty() { Value::Null } else { Value::Object(kept) }
}

fn list_without(schema: Schema<'_>, keys: &[&str], list: &[Value], set: &Set) -> Value {
    let item = schema.item().unwrap_or(Schema::Untyped);
    let kept = list.iter().filter_map(|value| {
        let Ok(element) = element(item, keys, value) else { return Some(value.clone()) };
        match (set.is_member(&element), set.below(&element)) {
            (true, _) => None,
            (false, Some(below)) => Some(remove(item, value, below)),
            (false, None) => Some(value.clone()),
        }
    });
    let kept: Vec<Value> = kept.collect();
    if kept.is_empty() { Value::Null } else { Value::Array(kept) }
}
