//! Where others find what they need to check service-account tokens by themselves.

use axum::body::Body;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::{Value, json};

use crate::{http::respond, state::State};

/// Where the description of the issuer is.
pub(crate) const CONFIGURATION: &str = "/.well-known/openid-configuration";
/// Where its keys are.
pub(crate) const KEYS: &str = "/openid/v1/jwks";

/// Answers a GET of one of the two documents; `None` if it is about something else.
pub(crate) fn answer(state: &State, path: &str) -> Option<Response<Body>> {
    let (media_type, document) = match path.strip_suffix('/').unwrap_or(path) {
        CONFIGURATION => ("application/json", configuration(state)),
        KEYS => ("application/jwk-set+json", json!({"keys": [state.tokens.public_key()]})),
        _ => return None,
    };
    let mut response = respond::json(StatusCode::OK, document.to_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Some(response)
}

fn configuration(state: &State) -> Value {
    let server = std::net::SocketAddr::new(state.config.advertise_address, state.config.port);
    json!({
        "issuer": state.tokens.name(),
        "jwks_uri": format!("https://{server}{KEYS}"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}
