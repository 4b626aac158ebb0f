//! Strategic merge: like a merge patch, but lists are merged by the keys their types name, and a
//! patch may hold directives: `$patch`, `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`.

use serde_json::{Map, Value};

use super::{PatchError, sort};
use crate::schema::{self, Field, Of, Type};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

type Object = Map<String, Value>;

/// Applies a strategic merge patch to an object of type `name` (`io.k8s.api.core.v1.Pod`).
pub fn strategic(object: &Value, patch: &Value, name: &str) -> Result<Value, PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::Shape { found: sort(patch), expected: "map[string]interface {}" });
    };
    let Value::Object(object) = object else { return Ok(Value::Object(without_directives(patch))) };
    merge_object(object, patch, At::Object(schema::find(name))).map(Value::Object)
}

/// What is known of an object that is being merged.
#[derive(Clone, Copy)]
enum At {
    /// Its type, if it has one.
    Object(Option<&'static Type>),
    /// It is a map; what its values are.
    Map(&'static Of),
}

/// What is known of a field that is being merged.
#[derive(Clone, Copy)]
struct Known {
    of: Option<&'static Of>,
    merge: Option<&'static str>,
}

impl At {
    fn field(self, name: &str) -> Known {
        let known = |field: &'static Field| Known { of: Some(&field.of), merge: field.merge };
        match self {
            Self::Object(of) => of.and_then(|of| of.field(name)).map_or(Known { of: None, merge: None }, known),
            Self::Map(of) => Known { of: Some(of), merge: None },
        }
    }

    fn of(of: Option<&'static Of>) -> Self {
        match of {
            Some(Of::Type(name)) => Self::Object(name.find()),
            Some(Of::Map(of)) => Self::Map(of),
            Some(Of::List(of)) => Self::of(Some(of)),
            _ => Self::Object(None),
        }
    }
}

fn bad(text: String) -> PatchError {
    PatchError::Directive(text)
}

fn merge_object(original: &Object, patch: &Object, at: At) -> Result<Object, PatchError> {
    match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
        Some("replace") => return Ok(without_directives(patch)),
        Some("delete") => return Ok(Map::new()),
        None | Some("merge") => {}
        Some(other) => {
            return Err(bad(format!("unknown patch type: {other} in map: {}", Value::Object(patch.clone()))));
        }
    }
    let mut merged = original.clone();
    retain_keys(&mut merged, patch)?;
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        let order = patch.get(&format!("{ORDER}{key}"));
        merge_field(&mut merged, key, value, order, at.field(key))?;
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix(DELETE_FROM) {
            delete_from(&mut merged, field, value)?;
        } else if let Some(field) = key.strip_prefix(ORDER).filter(|field| !patch.contains_key(*field)) {
            let order = order_list(value)?;
            if let Some(Value::Array(list)) = merged.get_mut(field) {
                let key = at.field(field).merge.unwrap_or_default();
                let before = list.clone();
                *list = arrange(std::mem::take(list), order, &before, key);
            }
        }
    }
    Ok(merged)
}

fn merge_field(
    merged: &mut Object,
    key: &str,
    value: &Value,
    order: Option<&Value>,
    known: Known,
) -> Result<(), PatchError> {
    let next = match (merged.get(key), value) {
        (_, Value::Null) => {
            merged.remove(key);
            return Ok(());
        }
        (Some(Value::Object(original)), Value::Object(patch)) => {
            Value::Object(merge_object(original, patch, At::of(known.of))?)
        }
        (Some(Value::Array(original)), Value::Array(patch)) if known.merge.is_some() => {
            Value::Array(merge_list(original, patch, order, known)?)
        }
        (_, Value::Array(patch)) if known.merge.is_some() => Value::Array(merge_list(&[], patch, order, known)?),
        (_, value) => clean(value),
    };
    merged.insert(key.to_owned(), next);
    Ok(())
}

/// Takes away the fields that the patch does not keep.
fn retain_keys(merged: &mut Object, patch: &Object) -> Result<(), PatchError> {
    let Some(keys) = patch.get(RETAIN_KEYS) else { return Ok(()) };
    let malformed = || bad("invalid patch format of retainKeys".to_owned());
    let keys = keys.as_array().ok_or_else(malformed)?;
    let kept = |key: &str| keys.iter().any(|k| k == key);
    let stray = |(key, value): &(&String, &Value)| !key.starts_with('$') && !value.is_null() && !kept(key);
    if patch.iter().any(|entry| stray(&entry)) {
        return Err(bad("patch conflicts with retainKeys directive".to_owned()));
    }
    merged.retain(|key, _| kept(key));
    Ok(())
}

fn delete_from(merged: &mut Object, field: &str, values: &Value) -> Result<(), PatchError> {
    let malformed = || bad("invalid patch format of primitive list".to_owned());
    let values = values.as_array().ok_or_else(malformed)?;
    if let Some(Value::Array(list)) = merged.get_mut(field) {
        list.retain(|item| !values.contains(item));
    }
    Ok(())
}

fn order_list(order: &Value) -> Result<&[Value], PatchError> {
    let malformed = || bad("invalid patch format of setElementOrder list".to_owned());
    order.as_array().map(Vec::as_slice).ok_or_else(malformed)
}

fn merge_list(
    original: &[Value],
    patch: &[Value],
    order: Option<&Value>,
    known: Known,
) -> Result<Vec<Value>, PatchError> {
    let key = known.merge.unwrap_or_default();
    if patch.iter().any(Value::is_array) {
        return Err(PatchError::Mismatch("lists of lists are not supported".to_owned()));
    }
    let (merged, base) = if key.is_empty() {
        let mut merged = original.to_vec();
        merged.extend(patch.iter().filter(|item| !original.contains(item)).cloned());
        (merged, original.to_vec())
    } else {
        merge_items(original, patch, key, At::of(known.of))?
    };
    match order {
        Some(order) => {
            let order = order_list(order)?;
            check_order(patch, order, key)?;
            Ok(arrange(merged, order, original, key))
        }
        None => Ok(arrange(merged, patch, &base, key)),
    }
}

/// Merges items by their key. The second list is what the original was before items were merged into it.
fn merge_items(original: &[Value], patch: &[Value], key: &str, at: At) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let no_key = |item: &Value| PatchError::Mismatch(format!("map: {item} does not contain declared merge key: {key}"));
    let mut base = original.to_vec();
    let mut items: Vec<(&Value, &Object)> = Vec::new();
    let mut replace = false;
    for item in patch {
        let Value::Object(fields) = item else {
            return Err(PatchError::Mismatch(format!("expected a map in the list, got {}", sort(item))));
        };
        match fields.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
            Some("delete") => {
                let value = fields.get(key).ok_or_else(|| no_key(item))?;
                base.retain(|other| &other[key] != value);
            }
            Some("replace") if !fields.contains_key(key) => replace = true,
            Some("replace") | None | Some("merge") => {
                items.push((fields.get(key).ok_or_else(|| no_key(item))?, fields))
            }
            Some(other) => return Err(bad(format!("unknown patch type: {other} in map: {item}"))),
        }
    }
    if replace {
        let items = items.iter().map(|(_, fields)| Value::Object(without_directives(fields))).collect();
        return Ok((items, Vec::new()));
    }
    let mut merged = base.clone();
    for (value, fields) in items {
        match merged.iter_mut().find(|other| &other[key] == value) {
            Some(Value::Object(other)) => *other = merge_object(other, fields, at)?,
            _ => merged.push(Value::Object(without_directives(fields))),
        }
    }
    Ok((merged, base))
}

/// Whether two items of a list are the same one.
fn same(a: &Value, b: &Value, key: &str) -> bool {
    if key.is_empty() { a == b } else { a[key] == b[key] && !a[key].is_null() }
}

fn position(list: &[Value], item: &Value, key: &str) -> Option<usize> {
    list.iter().position(|other| same(other, item, key))
}

/// The items of a patch must come in the order that the patch asks for.
fn check_order(patch: &[Value], order: &[Value], key: &str) -> Result<(), PatchError> {
    let mut after = 0;
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        match position(&order[after..], item, key) {
            Some(at) => after += at + 1,
            None => {
                let (patch, order) = (Value::from(patch), Value::from(order));
                return Err(bad(format!("The order in patch list:\n{patch}\n doesn't match {ORDER} list:\n{order}\n")));
            }
        }
    }
    Ok(())
}

/// Puts the items that `order` names into that order; the others keep theirs relative to `original`.
fn arrange(merged: Vec<Value>, order: &[Value], original: &[Value], key: &str) -> Vec<Value> {
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| position(order, item, key).is_some());
    named.sort_by_key(|item| position(order, item, key));
    others.sort_by_key(|item| position(original, item, key).unwrap_or(usize::MAX));
    let mut result = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(one), Some(other)) = (named.peek(), others.peek()) {
        let before = match (position(original, other, key), position(original, one, key)) {
            (Some(other), Some(one)) => other < one,
            _ => false,
        };
        result.extend(if before { others.next() } else { named.next() });
    }
    result.extend(named);
    result.extend(others);
    result
}

fn without_directives(object: &Object) -> Object {
    object
        .iter()
        .filter(|(key, value)| !key.starts_with(PATCH) && !is_directive(key) && !value.is_null())
        .map(|(key, value)| (key.clone(), clean(value)))
        .collect()
}

fn is_directive(key: &str) -> bool {
    key == RETAIN_KEYS || key.starts_with(DELETE_FROM) || key.starts_with(ORDER)
}

/// A value of a patch as it is stored: without directives, nulls and items that only delete.
fn clean(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(without_directives(object)),
        Value::Array(list) => {
            list.iter().filter(|item| item.get(PATCH).is_none_or(|d| d == "merge")).map(clean).collect()
        }
        other => other.clone(),
    }
}
