//! A server of the test's own, and one-line requests to it.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use skiff_apiserver::{ApiServer, Config, InProcess, User};
use skiff_store::{Options, Store, WindowLimits};
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) struct Server {
    pub(crate) server: ApiServer,
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
    service: InProcess,
}

pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The JSON of an answer that must have this code.
    pub(crate) fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code.as_u16(), code, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(configure: impl FnOnce(&mut Config)) -> Self {
        Self::start_over(Options::default(), configure).await
    }

    /// A server over a store that remembers no more than so many changes.
    pub(crate) async fn forgetful(events: usize) -> Self {
        let window = WindowLimits { events, ..WindowLimits::default() };
        Self::start_over(Options { window, ..Options::default() }, |_| {}).await
    }

    async fn start_over(options: Options, configure: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store"), options).unwrap();
        let mut config = Config::with_pki_dir(&folder.path().join("pki"), IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        configure(&mut config);
        let server = ApiServer::new(store.clone(), config).await.unwrap();
        let service = server.service_as(User::master("system:test"));
        let started = Self { server, store, folder, service };
        let account = json!({"metadata": {"name": "default"}});
        started.post("/api/v1/namespaces/default/serviceaccounts", &account).await.expect(201);
        started
    }

    pub(crate) async fn raw(&self, request: Request<Body>) -> Response<Body> {
        self.service.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        whole(self.raw(request).await).await
    }

    pub(crate) async fn as_user(&self, user: User, request: Request<Body>) -> Answer {
        whole(self.server.service_as(user).oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Request::get(path).header("accept", accept).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(with("POST", path, "application/json", body.to_string())).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(with("PUT", path, "application/json", body.to_string())).await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        self.send(with("PATCH", path, &format!("application/{kind}"), body.to_string())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Request::delete(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete_with(&self, path: &str, options: &Value) -> Answer {
        self.send(with("DELETE", path, "application/json", options.to_string())).await
    }
}

pub(crate) fn with(method: &str, path: &str, media_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(path).header("content-type", media_type).body(body.into()).unwrap()
}

pub(crate) async fn whole(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { code: parts.status, headers: parts.headers, bytes }
}

pub(crate) fn config_map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"key": "value"}})
}

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";

pub(crate) fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}
