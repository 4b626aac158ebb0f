//! `meta.k8s.io/v1` Table and PartialObjectMetadata: objects as kubectl prints them, and objects of
//! which only the metadata is wanted.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::resource::{AnyResource, definition};
use crate::scale;

/// How much of its object a row carries along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter `includeObject`; `None`: there is no such choice.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Metadata" => Some(Self::Metadata),
            "None" => Some(Self::None),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// A table of objects of one kind. `metadata` is that of the list; `headers` is false for every event
/// of a watch but the first.
pub fn table<'a>(
    resource: &AnyResource,
    objects: impl IntoIterator<Item = &'a Value>,
    metadata: Value,
    include: IncludeObject,
    headers: bool,
    now: Timestamp,
) -> Value {
    let columns = if headers { resource.column_definitions() } else { Vec::new() };
    let rows = objects.into_iter().map(|object| row(resource, object, include, now)).collect();
    whole(columns, rows, metadata)
}

/// A table of one `autoscaling/v1` Scale.
#[must_use]
pub fn scale(scale: &Value, include: IncludeObject, now: Timestamp) -> Value {
    let columns = scale::COLUMNS.iter().map(definition).collect();
    let row = with_object(json!({"cells": scale::cells(scale, now)}), scale, include);
    whole(columns, vec![row], json!({"resourceVersion": scale["metadata"]["resourceVersion"]}))
}

fn whole(columns: Vec<Value>, rows: Vec<Value>, metadata: Value) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    })
}

fn row(resource: &AnyResource, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
    let mut row = json!({"cells": resource.cells(object, now)});
    if let Some([reason, message]) = resource.ended(object) {
        row["conditions"] = json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]);
    }
    with_object(row, object, include)
}

fn with_object(mut row: Value, object: &Value, include: IncludeObject) -> Value {
    match include {
        IncludeObject::None => {}
        IncludeObject::Metadata => row["object"] = partial_object(object),
        IncludeObject::Object => row["object"] = object.clone(),
    }
    row
}

/// An object of which only the metadata is wanted.
#[must_use]
pub fn partial_object(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// A list of which only the metadata is wanted.
pub fn partial_list<'a>(objects: impl IntoIterator<Item = &'a Value>, metadata: Value) -> Value {
    let items: Vec<Value> = objects.into_iter().map(partial_object).collect();
    json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "items": items,
    })
}
