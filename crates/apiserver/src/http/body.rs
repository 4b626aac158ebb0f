//! Reading request bodies: never more than the limit, and in the format that they claim to have.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use skiff_api::status::Status;

use crate::protobuf;

/// As much as kube-apiserver takes.
pub(crate) const LIMIT: usize = 3 << 20;
/// What is read of a refused body, so that its sender gets to see the answer instead of a reset.
const DRAINED: usize = 4 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(1);
const READABLE: [&str; 3] = ["application/json", "application/yaml", protobuf::MEDIA_TYPE];

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    Protobuf,
}

/// The format that the headers claim.
pub(crate) fn format(headers: &HeaderMap) -> Result<Format, Status> {
    match media_type(headers).as_deref() {
        None | Some("application/json") => Ok(Format::Json),
        Some("application/yaml") => Ok(Format::Yaml),
        Some(protobuf::MEDIA_TYPE) => Ok(Format::Protobuf),
        Some(_) => Err(Status::unsupported_media_type(&READABLE)),
    }
}

/// The media type without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().unwrap_or("unreadable");
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    (!media_type.is_empty()).then_some(media_type)
}

/// The whole body, or 413 as soon as it is known to be too long.
pub(crate) async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Status> {
    let claimed = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|length| length > LIMIT as u64) {
        return Err(refuse(body));
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::bad_request(format!("cannot read the body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + more.len() + data.len() > LIMIT {
            return Err(refuse(body));
        }
        if first.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&data);
        }
    }
    if more.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + more.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&more);
    Ok(whole.freeze())
}

/// Answers at once, and reads on for a moment.
fn refuse(mut body: Body) -> Status {
    tokio::spawn(tokio::time::timeout(DRAIN_TIME, async move {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    }));
    Status::request_entity_too_large(LIMIT)
}

/// JSON text of a body in any format; `type_name` is the schema's name of what it holds.
pub(crate) fn json(format: Format, bytes: Bytes, type_name: &str) -> Result<Bytes, Status> {
    let value = match format {
        Format::Json => return Ok(bytes),
        Format::Yaml => serde_saphyr::from_slice(&bytes)
            .map_err(|error| Status::bad_request(format!("error parsing YAML: {error}")))?,
        Format::Protobuf => {
            protobuf::to_json(&bytes, type_name).map_err(|error| Status::bad_request(error.to_string()))?
        }
    };
    let value: serde_json::Value = value;
    Ok(value.to_string().into())
}
