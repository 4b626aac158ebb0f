//! Answers.

use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WARNING},
};
use serde_json::Value;
use skiff_api::status::Status;

use super::accept::Encoding;
use crate::protobuf;

/// What a handler gives back: an answer, or the `Status` that says why not.
pub(crate) type Answer = Result<Response<Body>, Status>;

/// A whole body of that type.
pub(crate) fn whole(code: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Bytes that are JSON already.
pub(crate) fn json(code: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    whole(code, "application/json", body)
}

/// Plain text.
pub(crate) fn text(code: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    whole(code, "text/plain; charset=utf-8", body)
}

/// How an answer is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style<'a> {
    pub(crate) encoding: Encoding,
    pub(crate) pretty: bool,
    /// The schema's name of what is written.
    pub(crate) type_name: &'a str,
}

/// A value in the encoding that was asked for.
pub(crate) fn value(code: StatusCode, style: Style<'_>, value: &Value) -> Answer {
    let body = match style.encoding {
        Encoding::Json if style.pretty => serde_json::to_string_pretty(value).map(|text| text + "\n"),
        Encoding::Json => serde_json::to_string(value),
        Encoding::Yaml => return yaml(code, value),
        Encoding::Protobuf => return binary(code, value.to_string().as_bytes(), style.type_name),
    };
    Ok(whole(code, style.encoding.media_type(), body.map_err(Status::internal)?))
}

fn yaml(code: StatusCode, value: &Value) -> Answer {
    let body = serde_saphyr::to_string(value).map_err(Status::internal)?;
    Ok(whole(code, Encoding::Yaml.media_type(), body))
}

fn binary(code: StatusCode, json: &[u8], type_name: &str) -> Answer {
    let body = protobuf::object(json, type_name, None).map_err(Status::internal)?;
    Ok(whole(code, protobuf::MEDIA_TYPE, body))
}

/// JSON bytes in the encoding that was asked for; parsed only if they have to be laid out anew.
pub(crate) fn stored(code: StatusCode, style: Style<'_>, bytes: Bytes) -> Answer {
    match style.encoding {
        Encoding::Json if !style.pretty => Ok(json(code, bytes)),
        Encoding::Protobuf => binary(code, &bytes, style.type_name),
        _ => value(code, style, &serde_json::from_slice(&bytes).map_err(Status::internal)?),
    }
}

/// Marks an answer that is a `Status` in JSON: clients get those in any encoding, wherever they come from.
#[derive(Clone, Copy, Debug)]
struct IsStatus;

/// A `Status` as the answer.
pub(crate) fn status(status: &Status) -> Response<Body> {
    let code = match status.code {
        0 => StatusCode::OK,
        code => StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    if code == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(cause = %status.message, "a request failed through no fault of its own");
    }
    let mut response = status_value(code, &status.to_json());
    let retry = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if retry > 0 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry));
    }
    response
}

/// The same from its JSON.
pub(crate) fn status_value(code: StatusCode, status: &Value) -> Response<Body> {
    let mut response = json(code, status.to_string());
    response.extensions_mut().insert(IsStatus);
    response
}

/// Whether an answer is a `Status`.
pub(crate) fn is_status(response: &Response<Body>) -> bool {
    response.extensions().get::<IsStatus>().is_some()
}

/// Adds warnings, which kubectl shows to people.
pub(crate) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let mut text = String::from("299 - \"");
        for letter in warning.chars().filter(|letter| !letter.is_control()) {
            if matches!(letter, '"' | '\\') {
                text.push('\\');
            }
            text.push(letter);
        }
        text.push('"');
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}
