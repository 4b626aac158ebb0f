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

/// A value in the encoding that was asked for.
pub(crate) fn value(code: StatusCode, encoding: Encoding, pretty: bool, value: &Value) -> Answer {
    let body = match encoding {
        Encoding::Json if pretty => serde_json::to_string_pretty(value).map(|text| text + "\n"),
        Encoding::Json => serde_json::to_string(value),
        Encoding::Yaml => return yaml(code, value),
    };
    Ok(whole(code, encoding.media_type(), body.map_err(Status::internal)?))
}

fn yaml(code: StatusCode, value: &Value) -> Answer {
    let body = serde_saphyr::to_string(value).map_err(Status::internal)?;
    Ok(whole(code, Encoding::Yaml.media_type(), body))
}

/// JSON bytes in the encoding that was asked for; parsed only if they have to be written anew.
pub(crate) fn stored(code: StatusCode, encoding: Encoding, pretty: bool, bytes: Bytes) -> Answer {
    if encoding == Encoding::Json && !pretty {
        return Ok(json(code, bytes));
    }
    let parsed: Value = serde_json::from_slice(&bytes).map_err(Status::internal)?;
    value(code, encoding, pretty, &parsed)
}

/// A `Status` as the answer.
pub(crate) fn status(status: &Status) -> Response<Body> {
    let code = match status.code {
        0 => StatusCode::OK,
        code => StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    if code == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(cause = %status.message, "a request failed through no fault of its own");
    }
    let mut response = json(code, status.to_json().to_string());
    let retry = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if retry > 0 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry));
    }
    response
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
