//! The documents: versions, discovery and OpenAPI. Each is made when it is first asked for, and kept
//! as bytes with its hash until other kinds are served.

mod hashes;

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
use skiff_api::{catalogue::Catalogue, discovery, openapi, status::Status};

use self::hashes::Hashes;
use crate::{
    config::Config,
    http::{
        accept::{Accepted, Encoding, Form, negotiate, pretty},
        query::Query,
        respond::{self, Answer, Style},
    },
    protobuf,
    resource::not_acceptable,
    state::State,
};

/// The version that the server says it is.
pub(crate) const VERSION: &str = concat!("v1.36.0+skiff", env!("CARGO_PKG_VERSION"));

/// What kubectl calls the OpenAPI document as protobuf.
const OPENAPI_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What it is called in the answer: `@` has no place in a media type, and clients that read it say so.
const OPENAPI_PROTOBUF_ANSWER: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Aggregated discovery in protobuf.
const AGGREGATED_PROTOBUF: &str =
    "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    /// As JSON.
    Plain,
    /// As protobuf: OpenAPI's own, or Kubernetes's.
    Protobuf,
    /// Everything in one document of JSON.
    Aggregated,
    /// The same in protobuf.
    AggregatedProtobuf,
}

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
    documents: HashMap<(String, Shape), Arc<Document>>,
}

/// The documents that were asked for so far.
#[derive(Default)]
pub(crate) struct Documents {
    made: Mutex<Made>,
    hashes: Hashes,
}

impl Documents {
    /// Answers a GET of a document; `None` if there is none at this path.
    pub(crate) fn answer(&self, path: &str, query: &Query, headers: &HeaderMap, state: &State) -> Option<Answer> {
        // A document is kept once, however many slashes are asked for.
        let path = path.trim_matches('/');
        let Some(accepted) = accepted(path, headers) else {
            return self.find(path, Shape::Plain, state).map(|_| Err(not_acceptable()));
        };
        let aggregated = accepted.form == Form::Discovery && matches!(path, "api" | "apis");
        let shape = match (aggregated, accepted.encoding == Encoding::Protobuf) {
            (false, false) => Shape::Plain,
            (false, true) => Shape::Protobuf,
            (true, false) => Shape::Aggregated,
            (true, true) => Shape::AggregatedProtobuf,
        };
        let document = match self.find(path, shape, state)? {
            Ok(document) => document,
            Err(status) => return Some(Err(status)),
        };
        let laid_out = accepted.encoding == Encoding::Json && pretty(query, headers) && !path.starts_with("openapi");
        if accepted.encoding == Encoding::Yaml || laid_out {
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
        let path = path.trim_matches('/');
        let wanted = path == "openapi/v2" && headers.get_all(ACCEPT).iter().any(asks);
        wanted.then(|| self.find(path, Shape::Protobuf, state))??.ok().map(|document| document.response(query, headers))
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The document in that shape; `None` if there is none at this path.
    fn find(&self, path: &str, shape: Shape, state: &State) -> Option<Result<Arc<Document>, Status>> {
        let key = (path.to_owned(), shape);
        let served = state.kinds.now();
        let kinds = &served.catalogue;
        {
            let mut made = self.lock();
            if made.generation < served.generation {
                *made = Made { generation: served.generation, ..Made::default() };
            }
            if let Some(document) = made.documents.get(&key) {
                return Some(Ok(Arc::clone(document)));
            }
        }
        let (bytes, media_type) = match self.make(kinds, path, shape, &state.config)? {
            Ok(made) => made,
            Err(error) => return Some(Err(Status::internal(error))),
        };
        let bytes = Bytes::from(bytes);
        let hash: String = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02X}")).collect();
        let document = Arc::new(Document { bytes, etag: format!("\"{hash}\""), media_type });
        let mut made = self.lock();
        if made.generation == served.generation {
            made.documents.insert(key, Arc::clone(&document));
        }
        Some(Ok(document))
    }

    /// The bytes of a document, and what they are.
    fn make(
        &self,
        kinds: &Catalogue,
        path: &str,
        shape: Shape,
        config: &Config,
    ) -> Option<Result<(Vec<u8>, &'static str), protobuf::ProtobufError>> {
        let plain = || match path {
            "openapi/v3" => Some(self.index(kinds)),
            path => value(kinds, path, config),
        };
        Some(Ok(match shape {
            Shape::Plain => (plain()?.to_string().into(), "application/json"),
            Shape::Protobuf if path == "openapi/v2" => (openapi::v2_protobuf(kinds, VERSION), OPENAPI_PROTOBUF_ANSWER),
            Shape::Protobuf => return Some(protobuf::document(&plain()?).map(|bytes| (bytes, protobuf::MEDIA_TYPE))),
            Shape::Aggregated => (aggregated_value(kinds, path).to_string().into(), discovery::AGGREGATED_CONTENT_TYPE),
            Shape::AggregatedProtobuf => {
                let made = protobuf::document(&aggregated_value(kinds, path));
                return Some(made.map(|bytes| (bytes, AGGREGATED_PROTOBUF)));
            }
        }))
    }

    fn index(&self, kinds: &Catalogue) -> Value {
        self.hashes.keep_only(&kinds.group_versions());
        openapi::v3_index(kinds, |group, version| {
            self.hashes.of(kinds, group, version, || openapi::v3_hash(kinds, group, version))
        })
    }
}

/// What a client gets of what it accepts; `None`: nothing. What is not made of API objects is JSON for everyone.
fn accepted(path: &str, headers: &HeaderMap) -> Option<Accepted> {
    let parts: Vec<&str> = path.split('/').collect();
    let (is_root, is_document) = match parts.as_slice() {
        [""] | ["version"] => return Some(Accepted::default()),
        ["api"] | ["apis"] => (true, true),
        ["api" | "apis", ..] => (false, true),
        _ => (false, false),
    };
    negotiate(headers, |encoding, form| match (encoding, form) {
        (Encoding::Protobuf, Form::Object) => is_document,
        (Encoding::Protobuf, Form::Discovery) => is_root,
        (_, Form::Object) => true,
        (_, Form::Discovery) => is_root,
        _ => false,
    })
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
    if path == "api" { discovery::aggregated_core(kinds) } else { discovery::aggregated_groups(kinds) }
}

fn value(kinds: &Catalogue, path: &str, config: &Config) -> Option<Value> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [""] => Some(root(kinds)),
        ["version"] => Some(version()),
        ["api"] => Some(discovery::core_versions(&address(config))),
        ["apis"] => Some(discovery::groups(kinds)),
        ["api", version] => discovery::resources(kinds, "", version),
        ["apis", group] => discovery::group(kinds, group),
        ["apis", group, version] => discovery::resources(kinds, group, version),
        ["openapi", "v2"] => Some(openapi::v2(kinds, VERSION)),
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
