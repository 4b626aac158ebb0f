//! Reading and writing an object's metadata without knowing its kind.
//!
//! Reading never fails: what is missing or of a wrong type reads as empty. Writing makes the
//! `metadata` object where it is missing.

use serde_json::{Map, Value};

/// The string `metadata.<field>`, or the empty string.
#[must_use]
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The object's name.
#[must_use]
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// The object's namespace; empty for a cluster-scoped one.
#[must_use]
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// The object's identity.
#[must_use]
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// The revision at which the object was last written.
#[must_use]
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// When the object came to be, in RFC 3339; empty before it did.
#[must_use]
pub fn creation_timestamp(object: &Value) -> &str {
    text(object, "creationTimestamp")
}

/// When the object goes, in RFC 3339; `None` while nobody deleted it.
#[must_use]
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    object["metadata"]["deletionTimestamp"].as_str()
}

/// How often what is wanted has changed.
#[must_use]
pub fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or_default()
}

/// The labels.
pub fn labels(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    strings(&object["metadata"]["labels"])
}

/// The annotations.
pub fn annotations(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    strings(&object["metadata"]["annotations"])
}

/// One label.
#[must_use]
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

/// One annotation.
#[must_use]
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][key].as_str()
}

/// The finalizers.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The owners.
pub fn owner_references(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

/// The owner that manages the object, if one does.
#[must_use]
pub fn controller(object: &Value) -> Option<&Value> {
    owner_references(object).find(|owner| owner["controller"] == Value::Bool(true))
}

/// Whether two objects have the same metadata but for what the server writes by itself.
#[must_use]
pub fn same_but_for_bookkeeping(a: &Value, b: &Value) -> bool {
    let strip = |v: &Value| {
        let mut meta = v["metadata"].clone();
        if let Value::Object(map) = &mut meta {
            map.remove("resourceVersion");
            map.remove("managedFields");
            map.remove("generation");
        }
        meta
    };
    strip(a) == strip(b)
}

/// The metadata, to be written; `None` only where the object is not a JSON object at all.
pub fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    child_mut(object.as_object_mut()?, "metadata")
}

/// Sets `metadata.<field>`.
pub fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(meta) = metadata_mut(object) {
        meta.insert(field.to_owned(), value.into());
    }
}

/// Takes `metadata.<field>` away.
pub fn unset(object: &mut Value, field: &str) {
    if let Some(Value::Object(meta)) = object.get_mut("metadata") {
        meta.remove(field);
    }
}

/// Sets or takes away one annotation.
pub fn set_annotation(object: &mut Value, key: &str, value: Option<&str>) {
    let Some(annotations) = metadata_mut(object).and_then(|meta| child_mut(meta, "annotations")) else { return };
    match value {
        Some(value) => annotations.insert(key.to_owned(), value.into()),
        None => annotations.remove(key),
    };
}

/// The object under `key`, made where it is missing or null; `None` where something else is there.
pub fn child_mut<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// Leaves out what is empty, as Kubernetes's own types do. (An empty `managedFields` says something and stays.)
pub(crate) fn leave_out_empty(metadata: &mut Map<String, Value>) {
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = match metadata.get(field) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            _ => false,
        };
        if empty {
            metadata.remove(field);
        }
    }
}

/// The entries of a map of strings.
pub fn strings(map: &Value) -> impl Iterator<Item = (&str, &str)> {
    map.as_object().into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
}
