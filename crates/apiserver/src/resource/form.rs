//! The forms that objects are answered in: as they are, as a `Table`, or their metadata only.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use skiff_api::{
    status::Status,
    table::{self, IncludeObject},
};
use skiff_store::Entry;

use super::{Call, list::Page};
use crate::{
    http::{
        accept::{Encoding, Form},
        respond::{self, Answer},
    },
    state::now,
};

/// One stored object.
pub(super) fn one(call: &Call, bytes: Bytes) -> Answer {
    object(call, StatusCode::OK, bytes)
}

/// One stored object with that code.
pub(super) fn object(call: &Call, code: StatusCode, bytes: Bytes) -> Answer {
    let encoding = call.accepted.encoding;
    match call.accepted.form {
        Form::Object | Form::Discovery => {
            let bytes = call.kind.shown(bytes).map_err(Status::internal)?;
            respond::stored(code, encoding, call.pretty(), bytes)
        }
        Form::Table | Form::Metadata => {
            let object = call.kind.decode(&bytes).map_err(Status::internal)?;
            respond::value(code, encoding, call.pretty(), &shaped(call, object)?)
        }
    }
}

/// One object that is not (yet) stored.
pub(super) fn value(call: &Call, code: StatusCode, object: &Value) -> Answer {
    let encoding = call.accepted.encoding;
    match call.accepted.form {
        Form::Object | Form::Discovery => respond::value(code, encoding, call.pretty(), object),
        Form::Table | Form::Metadata => respond::value(code, encoding, call.pretty(), &shaped(call, object.clone())?),
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

fn rows(call: &Call, objects: &[Value], metadata: Value, columns: bool) -> Result<Value, Status> {
    let asked = call.query().get("includeObject").unwrap_or_default();
    let include = IncludeObject::parse(asked)
        .ok_or_else(|| Status::bad_request(format!("unrecognized includeObject value: {asked:?}")))?;
    let mut table = table::table(&call.kind.resource, objects, metadata, include, columns, now());
    table["apiVersion"] = json!(format!("meta.k8s.io/{}", call.accepted.version));
    Ok(table)
}

/// A page of a list.
pub(super) fn list(call: &Call, page: &Page) -> Answer {
    let metadata = list_metadata(page);
    if call.accepted.form == Form::Object && call.accepted.encoding == Encoding::Json && !call.pretty() {
        return Ok(respond::json(StatusCode::OK, joined_list(call, &metadata, &page.entries)?));
    }
    let objects: Result<Vec<Value>, _> = page.entries.iter().map(|entry| call.kind.decode(&entry.value)).collect();
    let objects = objects.map_err(Status::internal)?;
    let whole = match call.accepted.form {
        Form::Table => rows(call, &objects, metadata, true)?,
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
    respond::value(StatusCode::OK, call.accepted.encoding, call.pretty(), &whole)
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

/// The stored bytes of all objects between the list's head and its end: nothing is parsed.
pub(super) fn joined_list(call: &Call, metadata: &Value, entries: &[Arc<Entry>]) -> Result<Vec<u8>, Status> {
    let head = format!(
        r#"{{"kind":"{}","apiVersion":"{}","metadata":{metadata},"items":["#,
        call.kind.resource.list_kind(),
        call.kind.api_version
    );
    let size: usize = entries.iter().map(|entry| entry.value.len() + 1).sum();
    let mut body = Vec::with_capacity(head.len() + size + 2);
    body.extend_from_slice(head.as_bytes());
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&call.kind.shown(entry.value.clone()).map_err(Status::internal)?);
    }
    body.extend_from_slice(b"]}");
    Ok(body)
}

/// The line of one event of a watch; `columns` for the first table of it.
pub(super) fn event(call: &Call, kind: &str, object: &[u8], columns: bool) -> Result<Bytes, Status> {
    if call.accepted.form == Form::Object {
        let shown = call.kind.shown(Bytes::copy_from_slice(object)).map_err(Status::internal)?;
        return Ok(line(kind, &shown));
    }
    let object = call.kind.decode(object).map_err(Status::internal)?;
    let shaped = match call.accepted.form {
        Form::Table => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            rows(call, &[object], metadata, columns)?
        }
        _ => metadata_of(call, &object),
    };
    Ok(line(kind, shaped.to_string().as_bytes()))
}

/// A bookmark: everything up to `revision` has been sent.
pub(super) fn bookmark(call: &Call, revision: u64, initial_end: bool) -> Bytes {
    let (kind, version) = match call.accepted.form {
        Form::Table => ("Table", format!("meta.k8s.io/{}", call.accepted.version)),
        Form::Metadata => ("PartialObjectMetadata", format!("meta.k8s.io/{}", call.accepted.version)),
        Form::Object | Form::Discovery => (call.kind.resource.kind(), call.kind.api_version.clone()),
    };
    let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
    if initial_end {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let mut object = json!({"kind": kind, "apiVersion": version, "metadata": metadata});
    if call.accepted.form == Form::Table {
        object["columnDefinitions"] = Value::Null;
        object["rows"] = json!([]);
    }
    line("BOOKMARK", object.to_string().as_bytes())
}

/// The last line of a watch that cannot go on.
pub(super) fn error(status: &Status) -> Bytes {
    line("ERROR", status.to_json().to_string().as_bytes())
}

/// One event as it goes over the wire.
pub(super) fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(object.len() + kind.len() + 24);
    append_line(&mut out, kind, object);
    out.into()
}

/// The same at the end of more of them.
pub(super) fn append_line(out: &mut Vec<u8>, kind: &str, object: &[u8]) {
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","object":"#);
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}

/// A stream of lines.
pub(super) fn stream(body: Body) -> Response<Body> {
    let mut response = respond::json(StatusCode::OK, Bytes::new());
    *response.body_mut() = body;
    response
}
