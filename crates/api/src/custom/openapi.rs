//! The types of custom kinds in the OpenAPI documents.

use serde_json::{Value, json};

use super::CustomResource;
use crate::value::{put, take};

/// The type of an object; `v2` for the older format, which cannot say as much.
pub(crate) fn definitions(of: &CustomResource, v2: bool, reference: &str) -> Value {
    let mut schema: Value = serde_json::from_str(&of.source).unwrap_or_default();
    if v2 {
        if of.schema.preserve {
            schema = json!({});
        }
        simplify(&mut schema);
    }
    if !schema.is_object() {
        schema = json!({});
    }
    put(&mut schema, "type", "object");
    let meta = format!("{reference}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let known = [
        ("apiVersion", json!({"type": "string", "description": API_VERSION})),
        ("kind", json!({"type": "string", "description": KIND})),
        ("metadata", json!({"$ref": meta, "description": METADATA})),
    ];
    let mut properties = schema["properties"].take();
    if !properties.is_object() {
        properties = json!({});
    }
    for (name, property) in known {
        put(&mut properties, name, property);
    }
    put(&mut schema, "properties", properties);
    put(&mut schema, "x-kubernetes-group-version-kind", group_version_kind(of, &of.names.kind));
    schema
}

/// The type of a list of objects.
pub(crate) fn list_definition(of: &CustomResource, reference: &str) -> Value {
    let meta = format!("{reference}io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta");
    let items = json!({"$ref": format!("{reference}{}", of.type_name)});
    json!({
        "description": format!("{} is a list of {}", of.names.list_kind, of.names.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": API_VERSION},
            "items": {"type": "array", "items": items, "description": format!("List of {}. {MORE}", of.names.plural)},
            "kind": {"type": "string", "description": KIND},
            "metadata": {"$ref": meta, "description": METADATA},
        },
        "x-kubernetes-group-version-kind": group_version_kind(of, &of.names.list_kind),
    })
}

const API_VERSION: &str = "The version of the API that the object is written in.";
const KIND: &str = "The kind of the object.";
const METADATA: &str = "Standard object's metadata.";
const MORE: &str = "Each is an object of its own.";

fn group_version_kind(of: &CustomResource, kind: &str) -> Value {
    json!([{"group": of.group, "version": of.version, "kind": kind}])
}

/// Leaves out what the older format cannot say, so that old clients are not misled by it.
fn simplify(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    for name in ["oneOf", "anyOf", "allOf", "not", "x-kubernetes-validations"] {
        map.remove(name);
    }
    if map.remove("nullable") == Some(Value::Bool(true)) {
        for name in ["type", "items", "properties"] {
            map.remove(name);
        }
    }
    if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        map.remove("items");
        map.remove("properties");
    }
    if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        map.remove("type");
    }
    for name in ["properties", "definitions"] {
        if let Some(Value::Object(inner)) = map.get_mut(name) {
            inner.values_mut().for_each(simplify);
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(name) {
            simplify(inner);
        }
    }
    if map.get("default") == Some(&Value::Null) {
        take(schema, "default");
    }
}
