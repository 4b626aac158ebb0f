//! A `Status` reaches its client in the encoding that it accepts, whichever layer or handler made it.

use axum::response::Response;
use http::{HeaderMap, HeaderValue, header::ACCEPT};
use http_body_util::BodyExt as _;

use crate::http::{
    accept::{Encoding, Form, negotiate},
    respond::{self, Style},
};

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// The same answer in that encoding, if it is a `Status`.
pub(super) async fn spoken(response: Response, encoding: Encoding) -> Response {
    if encoding == Encoding::Json || !respond::is_status(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    // The body is in memory already: nothing to wait for, nothing to fail.
    let Ok(whole) = body.collect().await else { return Response::from_parts(parts, axum::body::Body::empty()) };
    let style = Style { encoding, pretty: false, type_name: STATUS };
    let whole = whole.to_bytes();
    match respond::stored(parts.status, style, whole.clone()) {
        Ok(mut spoken) => {
            let own = std::mem::take(spoken.headers_mut());
            *spoken.headers_mut() = parts.headers;
            spoken.headers_mut().extend(own);
            spoken
        }
        Err(_) => Response::from_parts(parts, whole.into()),
    }
}

/// The encoding of errors: who accepts nothing that there is gets JSON all the same.
pub(super) fn wanted(headers: &HeaderMap) -> Encoding {
    // Almost everyone speaks JSON: not worth a closer look.
    let has = |value: &[u8], word: &[u8]| value.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    let other = |value: &HeaderValue| has(value.as_bytes(), b"protobuf") || has(value.as_bytes(), b"yaml");
    if !headers.get_all(ACCEPT).iter().any(other) {
        return Encoding::Json;
    }
    negotiate(headers, |_, form| form == Form::Object).map_or(Encoding::Json, |accepted| accepted.encoding)
}
