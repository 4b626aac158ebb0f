//! Short ways to read and complete JSON values whose shape the schema has already checked. Nothing
//! here panics when the shape is another one.

use serde_json::{Map, Value};

/// Reading fields that may be missing.
pub(crate) trait Read {
    /// The text in `field`, or the empty text.
    fn text(&self, field: &str) -> &str;
    /// The number in `field`.
    fn int(&self, field: &str) -> Option<i64>;
    /// Whether `field` is true.
    fn flag(&self, field: &str) -> bool;
    /// The items of the list in `field`.
    fn items(&self, field: &str) -> &[Value];
    /// The entries of the map in `field`.
    fn entries(&self, field: &str) -> impl Iterator<Item = (&str, &Value)>;
    /// Whether `field` is there and says something: not null, not an empty text, list or map.
    fn has(&self, field: &str) -> bool;
}

impl Read for Value {
    fn text(&self, field: &str) -> &str {
        self[field].as_str().unwrap_or_default()
    }

    fn int(&self, field: &str) -> Option<i64> {
        self[field].as_i64()
    }

    fn flag(&self, field: &str) -> bool {
        self[field].as_bool().unwrap_or_default()
    }

    fn items(&self, field: &str) -> &[Value] {
        self[field].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn entries(&self, field: &str) -> impl Iterator<Item = (&str, &Value)> {
        self[field].as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), v))
    }

    fn has(&self, field: &str) -> bool {
        !is_empty(&self[field])
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// The object in `field`, made where it is missing; `None` where `value` or `field` is no object.
pub(crate) fn object<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    let slot = value.as_object_mut()?.entry(field).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.is_object().then_some(slot)
}

/// The object in `field`, if there is one.
pub(crate) fn existing<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    value.get_mut(field).filter(|slot| slot.is_object())
}

/// The items of the list in `field`, to be completed.
pub(crate) fn items_mut<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Sets `field` where it is missing, null or an empty text.
pub(crate) fn fill(value: &mut Value, field: &str, default: impl Into<Value>) {
    let Some(map) = value.as_object_mut() else { return };
    let slot = map.entry(field).or_insert(Value::Null);
    if slot.is_null() || slot.as_str() == Some("") {
        *slot = default.into();
    }
}

/// Sets `field`.
pub(crate) fn put(value: &mut Value, field: &str, to: impl Into<Value>) {
    if let Some(map) = value.as_object_mut() {
        map.insert(field.to_owned(), to.into());
    }
}

/// Takes `field` away.
pub(crate) fn take(value: &mut Value, field: &str) {
    if let Some(map) = value.as_object_mut() {
        map.remove(field);
    }
}
