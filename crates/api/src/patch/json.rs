//! RFC 6902: operations, one after the other, all or none.

use serde_json::Value;

use super::{PatchError, sort};

const MOST_OPERATIONS: usize = 10_000;

/// Applies a list of operations.
pub fn json(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Shape { found: sort(patch), expected: "jsonpatch.Patch" });
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(PatchError::TooMany { most: MOST_OPERATIONS, found: operations.len() });
    }
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|error| PatchError::Syntax(error.to_string()))?;
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &patch).map_err(|error| PatchError::Mismatch(error.to_string()))?;
    Ok(patched)
}
