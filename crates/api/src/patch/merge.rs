//! RFC 7396: fields replace, nulls take away, lists are replaced as a whole.

use serde_json::{Map, Value};

use super::{PatchError, sort};

/// Applies a document whose fields replace those of the object.
pub fn merge(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Shape { found: sort(patch), expected: "map[string]interface {}" });
    }
    let mut patched = object.clone();
    apply(&mut patched, patch);
    Ok(patched)
}

fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            apply(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
