//! Events of a watch as they go over the wire: lines of JSON, or messages of protobuf with their length
//! before them.

use std::borrow::Cow;

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use skiff_api::status::Status;

use super::{Call, form};
use crate::{
    http::{
        accept::{Encoding, Form},
        respond,
        websocket::Split,
    },
    protobuf::{self, Name, PARTIAL_METADATA},
};

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// An event in the form that was asked for; `columns` for the first table of a watch.
pub(super) fn event(call: &Call, kind: &str, object: &[u8], columns: bool) -> Bytes {
    let mut out = Vec::new();
    append(&mut out, call, kind, object, columns);
    // Many may keep it.
    out.shrink_to_fit();
    out.into()
}

/// The same at the end of more of them.
pub(super) fn append(out: &mut Vec<u8>, call: &Call, kind: &str, object: &[u8], columns: bool) {
    let start = out.len();
    if let Err(status) = try_append(out, call, kind, object, columns) {
        tracing::error!(%status, "an event cannot be written");
        out.truncate(start);
        out.extend_from_slice(&error(call.accepted.encoding, &status));
    }
}

fn try_append(out: &mut Vec<u8>, call: &Call, kind: &str, object: &[u8], columns: bool) -> Result<(), Status> {
    match (call.accepted.encoding, call.accepted.form) {
        (Encoding::Protobuf, Form::Metadata) => {
            let api_version = format!("meta.k8s.io/{}", call.accepted.version);
            let name = Name { api_version: &api_version, kind: "PartialObjectMetadata" };
            binary(out, kind, protobuf::object(object, PARTIAL_METADATA, Some(name)))
        }
        (Encoding::Protobuf, _) => {
            binary(out, kind, protobuf::object(&shown(call, object)?, call.kind.resource.type_name(), None))
        }
        (_, Form::Object | Form::Discovery) => {
            line(out, kind, &shown(call, object)?);
            Ok(())
        }
        (_, Form::Metadata) => {
            line(out, kind, &form::metadata_only(call, &shown(call, object)?)?);
            Ok(())
        }
        (_, Form::Table) => {
            let object = call.kind.decode(object).map_err(Status::internal)?;
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            line(out, kind, form::rows(call, &[object], metadata, columns)?.to_string().as_bytes());
            Ok(())
        }
    }
}

/// Stored bytes as this kind shows them: mostly as they are.
fn shown<'a>(call: &Call, stored: &'a [u8]) -> Result<Cow<'a, [u8]>, Status> {
    if !call.kind.resource.is_view() {
        return Ok(Cow::Borrowed(stored));
    }
    let shown = call.kind.shown(Bytes::copy_from_slice(stored)).map_err(Status::internal)?;
    Ok(Cow::Owned(shown.into()))
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
    // All that a bookmark has is metadata, whatever its kind.
    own(call.accepted.encoding, "BOOKMARK", &object, PARTIAL_METADATA)
}

/// The last event of a watch that cannot go on.
pub(super) fn error(encoding: Encoding, status: &Status) -> Bytes {
    own(encoding, "ERROR", &status.to_json(), STATUS)
}

fn own(encoding: Encoding, kind: &str, object: &Value, type_name: &str) -> Bytes {
    let (mut out, text) = (Vec::new(), object.to_string());
    if encoding == Encoding::Protobuf {
        // What the server makes itself fits its schema.
        let _ = binary(&mut out, kind, protobuf::object(text.as_bytes(), type_name, None));
    } else {
        line(&mut out, kind, text.as_bytes());
    }
    out.into()
}

fn binary(out: &mut Vec<u8>, kind: &str, object: Result<Vec<u8>, protobuf::ProtobufError>) -> Result<(), Status> {
    object.and_then(|object| protobuf::frame(out, kind, &object)).map_err(Status::internal)
}

fn line(out: &mut Vec<u8>, kind: &str, object: &[u8]) {
    out.reserve(object.len() + kind.len() + 24);
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","object":"#);
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
}

/// How events that follow one another are told apart. Lines keep their end, as kube-apiserver's messages do; a length
/// is not part of a message.
pub(super) fn split(encoding: Encoding) -> Split {
    if encoding == Encoding::Protobuf { message } else { text_line }
}

fn text_line(bytes: &mut Bytes) -> Option<Bytes> {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    (end > 0).then(|| bytes.split_to(end))
}

fn message(bytes: &mut Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let mut message = bytes.split_to((4 + length).min(bytes.len()));
    message.advance(4);
    Some(message)
}

/// The answer that events follow one another in.
pub(super) fn stream(encoding: Encoding, body: Body) -> Response<Body> {
    let mut response = respond::json(StatusCode::OK, Bytes::new());
    if encoding == Encoding::Protobuf {
        let media_type = HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    *response.body_mut() = body;
    response
}
