//! Request bodies in Kubernetes's protobuf: what client-go's typed clients send, and with them
//! `kubectl create deployment`. They are turned into JSON, which everything else understands; answers
//! are JSON, which those clients accept.
//!
//! What stands in a field is known from the schema; this adds only the fields' numbers, which
//! `scripts/protobuf/numbers.py` derives.

mod decode;
mod numbers;
mod wire;

use serde_json::{Value, json};
use thiserror::Error;

use self::wire::Reader;

/// The media type of such bodies.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a body cannot be read.
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
    #[error("objects of type {0} cannot be read as protobuf")]
    Unknown(String),
    /// Messages within messages without end.
    #[error("the protobuf message is nested too deeply")]
    Depth,
}

/// Whether objects of that type can be read at all. Custom kinds have no numbers, and neither have their
/// definitions, whose clients speak JSON.
pub(crate) fn knows(type_name: &str) -> bool {
    numbers::of(type_name).is_some()
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

#[cfg(test)]
mod tests;
