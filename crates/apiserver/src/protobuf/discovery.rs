//! Discovery in protobuf. Most of its types are in no schema, and its verbs are written as nowhere else, so that the
//! fields and their numbers stand here.

use serde_json::Value;

use super::{Name, ProtobufError, envelope, wire};

/// What a field holds.
enum Holds {
    Text,
    Truth,
    Texts,
    /// A message with the texts as its field 1: a list that can be absent as well as empty.
    TextsWithin,
    One(&'static Message),
    Many(&'static Message),
}

use Holds::{Many, One, Text, Texts, TextsWithin, Truth};

/// The fields of a message: number, name, content.
struct Message(&'static [(u64, &'static str, Holds)]);

const ADDRESS: Message = Message(&[(1, "clientCIDR", Text), (2, "serverAddress", Text)]);
const VERSIONS: Message = Message(&[(1, "versions", Texts), (2, "serverAddressByClientCIDRs", Many(&ADDRESS))]);
const VERSION: Message = Message(&[(1, "groupVersion", Text), (2, "version", Text)]);
const GROUP: Message = Message(&[
    (1, "name", Text),
    (2, "versions", Many(&VERSION)),
    (3, "preferredVersion", One(&VERSION)),
    (4, "serverAddressByClientCIDRs", Many(&ADDRESS)),
]);
const GROUPS: Message = Message(&[(1, "groups", Many(&GROUP))]);
const RESOURCE: Message = Message(&[
    (1, "name", Text),
    (2, "namespaced", Truth),
    (3, "kind", Text),
    (4, "verbs", TextsWithin),
    (5, "shortNames", Texts),
    (6, "singularName", Text),
    (7, "categories", Texts),
    (8, "group", Text),
    (9, "version", Text),
    (10, "storageVersionHash", Text),
]);
const RESOURCES: Message = Message(&[(1, "groupVersion", Text), (2, "resources", Many(&RESOURCE))]);

const METADATA: Message = Message(&[(1, "name", Text)]);
const KIND: Message = Message(&[(1, "group", Text), (2, "version", Text), (3, "kind", Text)]);
const PART: Message = Message(&[
    (1, "subresource", Text),
    (2, "responseKind", One(&KIND)),
    (3, "acceptedTypes", Many(&KIND)),
    (4, "verbs", Texts),
]);
const AGGREGATED_RESOURCE: Message = Message(&[
    (1, "resource", Text),
    (2, "responseKind", One(&KIND)),
    (3, "scope", Text),
    (4, "singularResource", Text),
    (5, "verbs", Texts),
    (6, "shortNames", Texts),
    (7, "categories", Texts),
    (8, "subresources", Many(&PART)),
]);
const AGGREGATED_VERSION: Message =
    Message(&[(1, "version", Text), (2, "resources", Many(&AGGREGATED_RESOURCE)), (3, "freshness", Text)]);
const AGGREGATED_GROUP: Message =
    Message(&[(1, "metadata", One(&METADATA)), (2, "versions", Many(&AGGREGATED_VERSION))]);
const AGGREGATED: Message = Message(&[(1, "metadata", One(&Message(&[]))), (2, "items", Many(&AGGREGATED_GROUP))]);

/// The whole body of a discovery document.
pub(crate) fn document(document: &Value) -> Result<Vec<u8>, ProtobufError> {
    let text = |name: &str| document[name].as_str().unwrap_or_default();
    let name = Name { api_version: text("apiVersion"), kind: text("kind") };
    let message = match name.kind {
        "APIVersions" => &VERSIONS,
        "APIGroupList" => &GROUPS,
        "APIGroup" => &GROUP,
        "APIResourceList" => &RESOURCES,
        "APIGroupDiscoveryList" => &AGGREGATED,
        other => return Err(ProtobufError::Unknown(other.to_owned())),
    };
    let mut out = Vec::new();
    envelope(&mut out, name, |out| write(out, document, message))?;
    Ok(out)
}

fn write(out: &mut Vec<u8>, value: &Value, message: &Message) -> Result<(), ProtobufError> {
    for (number, name, holds) in message.0 {
        let Some(value) = value.get(name).filter(|value| !value.is_null()) else { continue };
        let items = || value.as_array().into_iter().flatten();
        match holds {
            Text => text(out, *number, value)?,
            Truth => wire::put_number(out, *number, u64::from(value.as_bool().ok_or(ProtobufError::Json)?)),
            Texts => items().try_for_each(|item| text(out, *number, item))?,
            TextsWithin => wire::framed(out, *number, |out| items().try_for_each(|item| text(out, 1, item)))?,
            One(message) => wire::framed(out, *number, |out| write(out, value, message))?,
            Many(message) => {
                items().try_for_each(|item| wire::framed(out, *number, |out| write(out, item, message)))?;
            }
        }
    }
    Ok(())
}

fn text(out: &mut Vec<u8>, number: u64, value: &Value) -> Result<(), ProtobufError> {
    wire::put_bytes(out, number, value.as_str().ok_or(ProtobufError::Json)?.as_bytes());
    Ok(())
}
