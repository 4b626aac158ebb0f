//! Kubernetes's protobuf: what client-go's typed clients send and want to be sent. Bodies are turned into
//! JSON, which everything else understands, and stored JSON is turned into answers.
//!
//! What stands in a field is known from the schema; this adds only the fields' numbers, which
//! `scripts/protobuf/numbers.py` derives.

mod decode;
mod discovery;
mod encode;
mod json;
mod numbers;
mod plan;
mod wire;

use serde_json::{Value, json};
use thiserror::Error;

use self::wire::Reader;
pub(crate) use {discovery::document, plan::PARTIAL_METADATA};

/// The media type of such bodies.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a body cannot be read, or an object not be written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ProtobufError {
    /// It does not begin as such bodies do.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Prefix,
    /// It is cut off or was never protobuf.
    #[error("the protobuf message is malformed")]
    Malformed,
    /// A text is no UTF-8.
    #[error("a string of the protobuf message is no UTF-8")]
    Text,
    /// The kind has no known field numbers.
    #[error("objects of type {0} have no form in protobuf")]
    Unknown(String),
    /// Messages within messages without end.
    #[error("the protobuf message is nested too deeply")]
    Depth,
    /// An object is not what its schema says.
    #[error("the object does not fit its schema")]
    Json,
}

/// Whether objects of that type can be read and written at all: those of custom kinds cannot.
pub(crate) fn knows(type_name: &str) -> bool {
    plan::of(type_name).is_ok()
}

/// The object in a body, whose type has that name in the schema.
pub(crate) fn to_json(body: &[u8], type_name: &str) -> Result<Value, ProtobufError> {
    let message = body.strip_prefix(MAGIC).ok_or(ProtobufError::Prefix)?;
    let (mut api_version, mut kind, mut raw): (_, _, &[u8]) = (String::new(), String::new(), &[]);
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => (api_version, kind) = type_meta(field.bytes()?)?,
            2 => raw = field.bytes()?,
            _ => {}
        }
    }
    let mut object = decode::object(raw, type_name)?;
    for (name, value) in [("apiVersion", api_version), ("kind", kind)] {
        if !value.is_empty() {
            object[name] = json!(value);
        }
    }
    Ok(object)
}

fn type_meta(message: &[u8]) -> Result<(String, String), ProtobufError> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => api_version = field.text()?.to_owned(),
            2 => kind = field.text()?.to_owned(),
            _ => {}
        }
    }
    Ok((api_version, kind))
}

/// What something is called, where its JSON does not say it or says something else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
}

/// The whole body of an object in JSON, whose type has that name in the schema.
pub(crate) fn object(json: &[u8], type_name: &str, name: Option<Name<'_>>) -> Result<Vec<u8>, ProtobufError> {
    let mut raw = Vec::with_capacity(json.len());
    let own = encode::object(&mut raw, json, plan::of(type_name)?)?;
    let name = name.unwrap_or(Name { api_version: &own.api_version, kind: &own.kind });
    let mut out = Vec::with_capacity(raw.len() + name.api_version.len() + name.kind.len() + 32);
    envelope(&mut out, name, |out| {
        out.extend_from_slice(&raw);
        Ok(())
    })?;
    Ok(out)
}

/// The whole body of a list: `metadata` and the items are JSON.
pub(crate) fn list<'a>(
    name: Name<'_>,
    metadata: &[u8],
    items: impl Iterator<Item = &'a [u8]>,
    size: usize,
    type_name: &str,
) -> Result<Vec<u8>, ProtobufError> {
    let (of_list, of_item) = (plan::of(skiff_api::schema::LIST_META)?, plan::of(type_name)?);
    let mut out = Vec::with_capacity(size);
    envelope(&mut out, name, |out| {
        wire::framed(out, 1, |out| encode::object(out, metadata, of_list).map(drop))?;
        for item in items {
            wire::framed(out, 2, |out| encode::object(out, item, of_item).map(drop))?;
        }
        Ok(())
    })?;
    Ok(out)
}

/// One event of a watch, with its length before it; `object` is a whole body.
pub(crate) fn frame(out: &mut Vec<u8>, kind: &str, object: &[u8]) -> Result<(), ProtobufError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    wire::put_bytes(out, 1, kind.as_bytes());
    wire::framed(out, 2, |out| {
        wire::put_bytes(out, 1, object);
        Ok(())
    })?;
    let length = u32::try_from(out.len() - start - 4).map_err(|_| ProtobufError::Malformed)?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// `runtime.Unknown`: what it is, the message itself, and that it is neither packed nor anything but protobuf.
fn envelope(
    out: &mut Vec<u8>,
    name: Name<'_>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), ProtobufError>,
) -> Result<(), ProtobufError> {
    out.extend_from_slice(MAGIC);
    wire::framed(out, 1, |out| {
        wire::put_bytes(out, 1, name.api_version.as_bytes());
        wire::put_bytes(out, 2, name.kind.as_bytes());
        Ok(())
    })?;
    wire::framed(out, 2, write)?;
    wire::put_bytes(out, 3, b"");
    wire::put_bytes(out, 4, b"");
    Ok(())
}

#[cfg(test)]
mod tests;
