//! A registry on loopback: manifests, blobs, Basic and token authentication, and ways to misbehave.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use skiff_image::{Auth, Config, Digest, Keyring, Reference};

use crate::fixture::Fixture;

/// Who may read.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Door {
    Open,
    Basic,
    Token,
}

pub(crate) struct Registry {
    pub(crate) address: String,
    shared: Arc<Shared>,
    _server: tokio_util::task::AbortOnDropHandle<()>,
}

struct Shared {
    address: String,
    door: Door,
    manifests: Mutex<HashMap<String, Vec<u8>>>,
    blobs: Mutex<HashMap<Digest, Vec<u8>>>,
    blob_requests: AtomicUsize,
    /// How long a blob takes.
    delay: Duration,
}

pub(crate) const USER: &str = "ship";
// ship:anchor
const BASIC: &str = "Basic c2hpcDphbmNob3I=";
const TOKEN: &str = "let-me-in";

impl Registry {
    pub(crate) async fn start(door: Door, delay: Duration) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            address: address.clone(),
            door,
            manifests: Mutex::default(),
            blobs: Mutex::default(),
            blob_requests: AtomicUsize::new(0),
            delay,
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, _server: tokio_util::task::AbortOnDropHandle::new(server) }
    }

    pub(crate) async fn open() -> Self {
        Self::start(Door::Open, Duration::ZERO).await
    }

    pub(crate) fn put(&self, name: &str, tag: &str, fixture: &Fixture) {
        self.put_manifest(name, tag, fixture.manifest_bytes());
        self.shared.blobs.lock().unwrap().extend(fixture.blobs.iter().cloned());
    }

    pub(crate) fn put_manifest(&self, name: &str, tag: &str, bytes: Vec<u8>) {
        let mut manifests = self.shared.manifests.lock().unwrap();
        manifests.insert(format!("{name}/manifests/{}", Digest::of(&bytes)), bytes.clone());
        manifests.insert(format!("{name}/manifests/{tag}"), bytes);
    }

    pub(crate) fn put_blob(&self, digest: Digest, bytes: Vec<u8>) {
        self.shared.blobs.lock().unwrap().insert(digest, bytes);
    }

    pub(crate) fn drop_blob(&self, digest: Digest) {
        self.shared.blobs.lock().unwrap().remove(&digest);
    }

    pub(crate) fn blob_requests(&self) -> usize {
        self.shared.blob_requests.load(Ordering::SeqCst)
    }

    pub(crate) fn config(&self) -> Config {
        Config { plain_http: vec![self.address.clone()], ..Config::default() }
    }

    pub(crate) fn reference(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    pub(crate) fn keyring(&self, password: &str) -> Keyring {
        let mut keyring = Keyring::anonymous();
        keyring.add(&self.address, Auth::Basic { username: USER.to_owned(), password: password.to_owned() });
        keyring
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"errors": [{"code": code, "message": message}]}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Shared {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match self.door {
            Door::Open => true,
            Door::Basic => given == Some(BASIC),
            Door::Token => given == Some(&format!("Bearer {TOKEN}")),
        }
    }

    fn challenge(&self) -> Response {
        let challenge = match self.door {
            Door::Token => format!("Bearer realm=\"http://{}/token\",service=\"test\"", self.address),
            _ => "Basic realm=\"test\"".to_owned(),
        };
        let mut response = error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
        response
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path == "/token" {
        let known = request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == BASIC);
        return match known {
            true => json!({"token": TOKEN}).to_string().into_response(),
            false => (StatusCode::UNAUTHORIZED, "insufficient_scope: authorization failed").into_response(),
        };
    }
    if !shared.admits(request.headers()) {
        return shared.challenge();
    }
    let Some(path) = path.strip_prefix("/v2/") else { return StatusCode::NOT_FOUND.into_response() };
    if path.is_empty() {
        return StatusCode::OK.into_response();
    }
    if let Some((_, digest)) = path.split_once("/blobs/") {
        shared.blob_requests.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(shared.delay).await;
        let blob = digest.parse().ok().and_then(|digest: Digest| shared.blobs.lock().unwrap().get(&digest).cloned());
        return match blob {
            Some(bytes) => Body::from(bytes).into_response(),
            None => error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"),
        };
    }
    match shared.manifests.lock().unwrap().get(path) {
        Some(bytes) => bytes.clone().into_response(),
        None => error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown"),
    }
}
