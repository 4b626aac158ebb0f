//! The documents: versions, discovery and OpenAPI. Each is made when it is first asked for, and kept
//! as bytes with its hash until other kinds are served.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use skiff_api::{catalogue::Catalogue, discovery, openapi};

use crate::{
    config::Config,
    http::{
        accept::{Accepted, Encoding, Form, pretty},
        query::Query,
        respond::{self, Answer, Style},
    },
    state::State,
};

/// The version that the server says it is.
pub(crate) const VERSION: &str = concat!("v1.36.0+skiff", env!("CARGO_PKG_VERSION"));

/// What kubectl calls the OpenAPI document as protobuf.
const OPENAPI_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What it is called in the answer: `@` has no place in a media type, and clients that read it say so.
const OPENAPI_PROTOBUF_ANSWER: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

#[derive(Clone)]
struct Document {
    bytes: Bytes,
    etag: String,
    media_type: &'static str,
}

#[derive(Default)]
struct Made {
    /// The kinds that they are about.
    generation: u64,
    documents: HashMap<(String, bool), Arc<Document>>,
}

/// The documents that were asked for so far.
#[derive(Default)]
pub(crate) struct Documents {
    made: Mutex<Made>,
}

impl Documents {
    /// Answers a GET of a document; `None` if there is none at this path.
    pub(crate) fn answer(
        &self,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
        accepted: Accepted,
        state: &State,
    ) -> Option<Answer> {
        let aggregated = accepted.form == Form::Discovery && matches!(path, "/api" | "/apis");
        let document = self.find(path, aggregated, state)?;
        if accepted.encoding == Encoding::Yaml || (pretty(query, headers) && !path.starts_with("/openapi")) {
            let style = Style { encoding: accepted.encoding, pretty: true, type_name: "" };
            return Some(respond::stored(StatusCode::OK, style, document.bytes.clone()));
        }
        Some(Ok(document.response(query, headers)))
    }

    /// Answers a GET of `/openapi/v2` as protobuf, if that is what the client asks for: kubectl before 1.27.
    pub(crate) fn openapi_protobuf(
        &self,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
        state: &State,
    ) -> Option<Response<Body>> {
        let asks = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.starts_with(OPENAPI_PROTOBUF));
        let wanted = path == "/openapi/v2" && headers.get_all(ACCEPT).iter().any(asks);
        wanted.then(|| self.find(path, true, state))?.map(|document| document.response(query, headers))
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The document in its usual form, or in its other one: aggregated, or as protobuf.
    fn find(&self, path: &str, other: bool, state: &State) -> Option<Arc<Document>> {
        let key = (path.to_owned(), other);
        let served = state.kinds.now();
        let kinds = &served.catalogue;
        {
            let mut made = self.lock();
            if made.generation < served.generation {
                *made = Made { generation: served.generation, ..Made::default() };
            }
            if let Some(document) = made.documents.get(&key) {
                return Some(Arc::clone(document));
            }
        }
        let (bytes, media_type) = match (other, path) {
            (false, _) => (value(kinds, path, &state.config)?.to_string().into(), "application/json"),
            (true, "/openapi/v2") => (openapi::v2_protobuf(kinds, VERSION), OPENAPI_PROTOBUF_ANSWER),
            (true, _) => (aggregated_value(kinds, path).to_string().into(), discovery::AGGREGATED_CONTENT_TYPE),
        };
        let bytes = Bytes::from(bytes);
        let hash: String = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02X}")).collect();
        let document = Arc::new(Document { bytes, etag: format!("\"{hash}\""), media_type });
        let mut made = self.lock();
        if made.generation == served.generation {
            made.documents.insert(key, Arc::clone(&document));
        }
        Some(document)
    }
}

impl Document {
    fn response(&self, query: &Query, headers: &HeaderMap) -> Response<Body> {
        let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let same = known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == self.etag));
        let mut response = if same {
            respond::whole(StatusCode::NOT_MODIFIED, self.media_type, "")
        } else {
            respond::whole(StatusCode::OK, self.media_type, self.bytes.clone())
        };
        let answer = response.headers_mut();
        if same {
            answer.remove(CONTENT_TYPE);
        }
        answer.insert(VARY, HeaderValue::from_static("Accept"));
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            answer.insert(ETAG, etag);
        }
        // The hash in the URL changes with the document.
        if query.has("hash") {
            answer.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        }
        response
    }
}

fn aggregated_value(kinds: &Catalogue, path: &str) -> Value {
    if path == "/api" { discovery::aggregated_core(kinds) } else { discovery::aggregated_groups(kinds) }
}

fn value(kinds: &Catalogue, path: &str, config: &Config) -> Option<Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        [""] => Some(root(kinds)),
        ["version"] => Some(version()),
        ["api"] => Some(discovery::core_versions(&address(config))),
        ["apis"] => Some(discovery::groups(kinds)),
        ["api", version] => discovery::resources(kinds, "", version),
        ["apis", group] => discovery::group(kinds, group),
        ["apis", group, version] => discovery::resources(kinds, group, version),
        ["openapi", "v2"] => Some(openapi::v2(kinds, VERSION)),
        ["openapi", "v3"] => Some(openapi::v3_index(kinds)),
        ["openapi", "v3", "api", version] => openapi::v3(kinds, "", version, VERSION),
        ["openapi", "v3", "apis", group, version] => openapi::v3(kinds, group, version, VERSION),
        _ => None,
    }
}

fn address(config: &Config) -> String {
    std::net::SocketAddr::new(config.advertise_address, config.port).to_string()
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("linux/{}", architecture()),
    })
}

/// The processor as Go and container images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What there is, for people who look around.
fn root(kinds: &Catalogue) -> Value {
    let mut paths: Vec<String> = ["/api", "/api/v1", "/apis"].map(str::to_owned).into();
    for (group, version) in kinds.group_versions() {
        if !group.is_empty() {
            paths.push(format!("/apis/{group}"));
            paths.push(format!("/apis/{group}/{version}"));
        }
    }
    for path in ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"] {
        paths.push(path.to_owned());
    }
    json!({"paths": paths})
}
