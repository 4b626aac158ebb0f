//! The forms that objects are answered in: as they are, as a `Table`, or their metadata only.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use skiff_api::{
    status::Status,
    table::{self, IncludeObject},
};
use skiff_store::Entry;

use super::{Call, list::Page};
use crate::{
    conversion,
    http::{
        accept::{Encoding, Form},
        respond::{self, Answer},
    },
    protobuf::{self, Name, PARTIAL_METADATA},
    state::now,
};

/// One stored object.
pub(super) async fn one(call: &Call, bytes: Bytes) -> Answer {
    object(call, StatusCode::OK, bytes).await
}

/// One stored object with that code.
pub(super) async fn object(call: &Call, code: StatusCode, bytes: Bytes) -> Answer {
    let bytes = if call.kind.is_foreign(&bytes) {
        match conversion::bytes(&call.state, &call.kind, bytes.clone()).await {
            Err(_) if call.accepted.form == Form::Metadata => conversion::bare(&call.kind, &bytes)?,
            shown => shown?,
        }
    } else {
        bytes
    };
    match call.accepted.form {
        Form::Object | Form::Discovery => {
            let bytes = call.kind.shown(bytes).map_err(Status::internal)?;
            respond::stored(code, call.style(call.type_name()), bytes)
        }
        Form::Table | Form::Metadata => {
            let object = call.kind.decode(&bytes).map_err(Status::internal)?;
            respond::value(code, call.style(PARTIAL_METADATA), &shaped(call, object)?)
        }
    }
}

/// One object that is not (yet) stored.
pub(super) fn value(call: &Call, code: StatusCode, object: &Value) -> Answer {
    match call.accepted.form {
        Form::Object | Form::Discovery => respond::value(code, call.style(call.type_name()), object),
        Form::Table | Form::Metadata => {
            respond::value(code, call.style(PARTIAL_METADATA), &shaped(call, object.clone())?)
        }
    }
}

/// An object as a table of one row, or as its metadata.
fn shaped(call: &Call, object: Value) -> Result<Value, Status> {
    match call.accepted.form {
        Form::Table => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            rows(call, &[object], metadata, true)
        }
        Form::Metadata => Ok(metadata_of(call, &object)),
        Form::Object | Form::Discovery => Ok(object),
    }
}

fn metadata_of(call: &Call, object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{}", call.accepted.version),
        "metadata": object["metadata"],
    })
}

/// The bytes of an object's `PartialObjectMetadata`, made of the object's bytes. Whoever follows the metadata of a whole
/// cluster, as the garbage collector does, makes this the answer that is made most often: nothing is taken apart.
pub(super) fn metadata_only(call: &Call, object: &[u8]) -> Result<Vec<u8>, Status> {
    #[derive(Deserialize)]
    struct Slim<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let Slim { metadata } = serde_json::from_slice(object).map_err(Status::internal)?;
    let version = call.accepted.version;
    let head = format!(r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/{version}","metadata":"#);
    Ok([head.as_bytes(), metadata.get().as_bytes(), b"}"].concat())
}

pub(super) fn rows(call: &Call, objects: &[Value], metadata: Value, columns: bool) -> Result<Value, Status> {
    tabled(call, |include| table::table(&call.kind.resource, objects, metadata, include, columns, now()))
}

fn tabled(call: &Call, make: impl FnOnce(IncludeObject) -> Value) -> Result<Value, Status> {
    let asked = call.query().get("includeObject").unwrap_or_default();
    let include = IncludeObject::parse(asked)
        .ok_or_else(|| Status::bad_request(format!("unrecognized includeObject value: {asked:?}")))?;
    let mut table = make(include);
    table["apiVersion"] = json!(format!("meta.k8s.io/{}", call.accepted.version));
    Ok(table)
}

/// The scale of an object; `type_name` is what a scale is.
pub(super) fn scale(call: &Call, scale: &Value, type_name: &str) -> Answer {
    match call.accepted.form {
        Form::Object | Form::Discovery => respond::value(StatusCode::OK, call.style(type_name), scale),
        Form::Metadata => respond::value(StatusCode::OK, call.style(PARTIAL_METADATA), &metadata_of(call, scale)),
        Form::Table => {
            let table = tabled(call, |include| table::scale(scale, include, now()))?;
            respond::value(StatusCode::OK, call.style(PARTIAL_METADATA), &table)
        }
    }
}

/// A page of a list.
pub(super) async fn list(call: &Call, page: &Page) -> Answer {
    entries(call, list_metadata(page), &page.entries).await
}

/// A list of these objects.
pub(super) async fn entries(call: &Call, metadata: Value, entries: &[Arc<Entry>]) -> Answer {
    if call.kind.converter.is_none() {
        return shown(call, metadata, entries);
    }
    let bare = call.accepted.form == Form::Metadata;
    shown(call, metadata, &conversion::entries(&call.state, &call.kind, entries, bare).await?)
}

fn shown(call: &Call, metadata: Value, entries: &[Arc<Entry>]) -> Answer {
    match (call.accepted.encoding, call.accepted.form) {
        (Encoding::Protobuf, _) => {
            let body = binary_list(call, &metadata, entries)?;
            return Ok(respond::whole(StatusCode::OK, protobuf::MEDIA_TYPE, body));
        }
        (Encoding::Json, Form::Object | Form::Metadata) if !call.pretty() => {
            return Ok(respond::json(StatusCode::OK, joined_list(call, &metadata, entries)?));
        }
        _ => {}
    }
    let objects: Result<Vec<Value>, _> = entries.iter().map(|entry| call.kind.decode(&entry.value)).collect();
    values(call, metadata, &objects.map_err(Status::internal)?)
}

/// A list of these objects, which need not be stored.
pub(super) fn values(call: &Call, metadata: Value, objects: &[Value]) -> Answer {
    if call.accepted.encoding == Encoding::Protobuf {
        let items: Vec<String> = objects.iter().map(Value::to_string).collect();
        let body = binary(call, &metadata, items.iter().map(String::as_bytes), 256)?;
        return Ok(respond::whole(StatusCode::OK, protobuf::MEDIA_TYPE, body));
    }
    let whole = match call.accepted.form {
        Form::Table => rows(call, objects, metadata, true)?,
        Form::Metadata => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": format!("meta.k8s.io/{}", call.accepted.version),
            "metadata": metadata,
            "items": objects.iter().map(|object| metadata_of(call, object)).collect::<Vec<_>>(),
        }),
        Form::Object | Form::Discovery => json!({
            "kind": call.kind.resource.list_kind(),
            "apiVersion": call.kind.api_version,
            "metadata": metadata,
            "items": objects,
        }),
    };
    respond::value(StatusCode::OK, call.style(""), &whole)
}

/// The same in protobuf: each object goes there from its stored bytes, in one pass.
fn binary_list(call: &Call, metadata: &Value, entries: &[Arc<Entry>]) -> Result<Vec<u8>, Status> {
    let size = entries.iter().map(|entry| entry.value.len()).sum::<usize>() + 256;
    if call.kind.resource.is_view() && call.accepted.form == Form::Object {
        let shown: Result<Vec<Bytes>, _> = entries.iter().map(|entry| call.kind.shown(entry.value.clone())).collect();
        let shown = shown.map_err(Status::internal)?;
        binary(call, metadata, shown.iter().map(|one| &**one), size)
    } else {
        binary(call, metadata, entries.iter().map(|entry| &*entry.value), size)
    }
}

fn binary<'a>(
    call: &Call,
    metadata: &Value,
    items: impl Iterator<Item = &'a [u8]>,
    size: usize,
) -> Result<Vec<u8>, Status> {
    let meta_version = format!("meta.k8s.io/{}", call.accepted.version);
    let list_kind = call.kind.resource.list_kind();
    let (name, type_name) = if call.accepted.form == Form::Metadata {
        (Name { api_version: &meta_version, kind: "PartialObjectMetadataList" }, PARTIAL_METADATA)
    } else {
        (Name { api_version: &call.kind.api_version, kind: &list_kind }, call.kind.resource.type_name())
    };
    protobuf::list(name, metadata.to_string().as_bytes(), items, size, type_name).map_err(Status::internal)
}

fn list_metadata(page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.snapshot.revision().to_string()});
    if let Some(next) = &page.next {
        metadata["continue"] = json!(next.encode());
        if let Some(left) = next.left {
            metadata["remainingItemCount"] = json!(left);
        }
    }
    metadata
}

/// The stored bytes of all objects, or of their metadata, between the list's head and its end: nothing is taken apart.
fn joined_list(call: &Call, metadata: &Value, entries: &[Arc<Entry>]) -> Result<Vec<u8>, Status> {
    let slim = call.accepted.form == Form::Metadata;
    let (list_kind, api_version) = if slim {
        ("PartialObjectMetadataList".to_owned(), format!("meta.k8s.io/{}", call.accepted.version))
    } else {
        (call.kind.resource.list_kind(), call.kind.api_version.clone())
    };
    let head = format!(r#"{{"kind":"{list_kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#);
    let size: usize = entries.iter().map(|entry| entry.value.len() + 1).sum();
    let mut body = Vec::with_capacity(head.len() + size + 2);
    body.extend_from_slice(head.as_bytes());
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        let shown = call.kind.shown(entry.value.clone()).map_err(Status::internal)?;
        if slim {
            body.extend_from_slice(&metadata_only(call, &shown)?);
        } else {
            body.extend_from_slice(&shown);
        }
    }
    body.extend_from_slice(b"]}");
    Ok(body)
}
