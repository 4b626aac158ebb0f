//! Large answers are compressed for clients elsewhere that ask for it.

use std::io::Write as _;

use axum::{body::Body, response::Response};
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY},
};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::Caller;

/// As kube-apiserver: smaller answers go faster as they are.
const WORTHWHILE: u64 = 128 << 10;

/// Whether the answer is to be compressed if it is large.
pub(super) fn is_wanted(caller: &Caller, headers: &HeaderMap) -> bool {
    matches!(caller, Caller::Network(_)) && accepts_gzip(headers)
}

/// The response, compressed if that is worthwhile.
pub(super) async fn large(response: Response) -> Response {
    // A stream has no exact size; only whole bodies are compressed.
    match response.body().size_hint().exact() {
        Some(size) if size >= WORTHWHILE && !response.headers().contains_key(CONTENT_ENCODING) => {
            compressed(response).await
        }
        _ => response,
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|offer| {
            let mut parts = offer.split(';').map(str::trim);
            parts.next() == Some("gzip") && parts.all(|parameter| !matches!(parameter, "q=0" | "q=0.0"))
        })
    })
}

async fn compressed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // The body is in memory already: nothing to wait for, nothing to fail.
    let Ok(whole) = body.collect().await else { return Response::from_parts(parts, Body::empty()) };
    let whole = whole.to_bytes();
    let work = whole.clone();
    let packed = tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(work.len() / 4), Compression::fast());
        encoder.write_all(&work)?;
        encoder.finish()
    });
    let Ok(Ok(packed)) = packed.await else { return Response::from_parts(parts, Body::from(whole)) };
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Response::from_parts(parts, Body::from(packed))
}
