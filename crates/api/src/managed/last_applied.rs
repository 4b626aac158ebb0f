//! The way from `kubectl apply` to `kubectl apply --server-side`: what kubectl's annotation says that it
//! applied last is no conflict for kubectl, and the annotation follows what it applies from then on.

use serde_json::Value;

use super::compare::compare;
use super::conflict::Conflict;
use super::schema::Schema;
use super::{Set, fields};
use crate::meta;

/// The manager that the way is open for.
pub(super) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// All annotations of an object together have at most so many bytes.
const MOST_BYTES: usize = 256 << 10;

/// The conflicts that are not about what kubectl itself applied last.
pub(super) fn unexpected(
    schema: Schema<'_>,
    live: Option<&Value>,
    api_version: &str,
    mut conflicts: Vec<Conflict>,
) -> Vec<Conflict> {
    if let Some(own) = live.and_then(|live| applied(schema, live, api_version)) {
        conflicts.retain(|conflict| !own.has(&conflict.path));
    }
    conflicts
}

/// What was applied last and is still as it was applied.
fn applied(schema: Schema<'_>, live: &Value, api_version: &str) -> Option<Set> {
    let text = meta::annotation(live, ANNOTATION).filter(|text| !text.is_empty())?;
    let last: Value = serde_json::from_str(text).ok()?;
    if !last.is_object() || last["apiVersion"] != api_version {
        return None;
    }
    let found = compare(schema, &last, live);
    let other = found.changed().union(&found.removed);
    Some(fields::fields(schema, &last).difference(&other))
}

/// Brings the annotation up to date, if the object has it.
pub(super) fn refresh(object: &mut Value, config: &Value) {
    if meta::annotation(object, ANNOTATION).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    let text = format!("{config}\n");
    let others: usize = meta::annotations(object)
        .filter(|(key, _)| *key != ANNOTATION)
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let fits = others + ANNOTATION.len() + text.len() <= MOST_BYTES;
    meta::set_annotation(object, ANNOTATION, Some(&text).filter(|_| fits).map(String::as_str));
}
