//! A small API server: it lists, watches, patches and keeps what it is given. Enough for one component.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use skiff_client::kube::{Client, client::Body};
use tokio::sync::{broadcast, watch};
use tokio_stream::{StreamExt as _, wrappers::BroadcastStream};

type Answer = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Default)]
struct State {
    revision: u64,
    /// By the path of the collection of all namespaces, then namespace and name.
    objects: BTreeMap<String, BTreeMap<(String, String), Value>>,
}

/// The API server.
#[derive(Clone)]
pub(super) struct Api {
    state: Arc<Mutex<State>>,
    changes: broadcast::Sender<(String, Value)>,
    pub(super) revision: watch::Sender<u64>,
}

impl Api {
    pub(super) fn new() -> Self {
        Self { state: Arc::default(), changes: broadcast::channel(1024).0, revision: watch::Sender::new(0) }
    }

    pub(super) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        skiff_client::in_process(service, "default")
    }

    pub(super) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let key = ("default".to_owned(), name.to_owned());
        self.state.lock().unwrap().objects.get(kind)?.get(&key).cloned()
    }

    pub(super) fn all(&self, kind: &str) -> Vec<Value> {
        self.state.lock().unwrap().objects.get(kind).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Creates or replaces an object of the namespace `default`.
    pub(super) fn put(&self, kind: &str, name: &str, mut object: Value) -> Value {
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        let revision = state.revision;
        object["metadata"]["namespace"] = json!("default");
        object["metadata"]["name"] = json!(name);
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let key = ("default".to_owned(), name.to_owned());
        let old = state.objects.entry(kind.to_owned()).or_default().insert(key, object.clone());
        let change = if old.is_some() { "MODIFIED" } else { "ADDED" };
        let _ = self.changes.send((kind.to_owned(), json!({ "type": change, "object": object })));
        self.revision.send_replace(revision);
        object
    }

    pub(super) fn delete(&self, kind: &str, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        let revision = state.revision;
        let key = ("default".to_owned(), name.to_owned());
        let mut object = state.objects.get_mut(kind).and_then(|objects| objects.remove(&key)).unwrap();
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let _ = self.changes.send((kind.to_owned(), json!({ "type": "DELETED", "object": object })));
        self.revision.send_replace(revision);
    }

    async fn answer(&self, request: Request<Body>) -> Response<Answer> {
        let path = request.uri().path().trim_start_matches("/api/v1/").to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, _) if request.uri().query().is_some_and(|query| query.contains("watch=true")) => {
                self.watch(&path)
            }
            (&Method::GET, _) => whole(&self.list(&path)),
            (&Method::PATCH, ["namespaces", "default", kind, name, "status"]) => {
                let patch: Value = serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
                let Some(mut object) = self.get(kind, name) else { return missing() };
                merge(&mut object, &patch);
                whole(&self.put(kind, name, object))
            }
            (&Method::POST, ["namespaces", "default", kind]) => {
                let object: Value =
                    serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                whole(&self.put(kind, &name, object))
            }
            _ => missing(),
        }
    }

    fn list(&self, kind: &str) -> Value {
        let state = self.state.lock().unwrap();
        let items: Vec<&Value> = state.objects.get(kind).into_iter().flat_map(BTreeMap::values).collect();
        json!({ "metadata": { "resourceVersion": state.revision.to_string() }, "items": items })
    }

    /// Changes from now on: tests change nothing between a list and its watch.
    fn watch(&self, kind: &str) -> Response<Answer> {
        let kind = kind.to_owned();
        let changes = BroadcastStream::new(self.changes.subscribe()).filter_map(move |change| match change {
            Ok((of, event)) if of == kind => Some(Bytes::from(format!("{event}\n"))),
            _ => None,
        });
        let frames = changes.map(|bytes| Ok(http_body::Frame::data(bytes)));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }
}

fn whole(value: &Value) -> Response<Answer> {
    Response::new(http_body_util::Full::new(Bytes::from(value.to_string())).boxed_unsync())
}

fn missing() -> Response<Answer> {
    let status = json!({ "kind": "Status", "status": "Failure", "reason": "NotFound", "message": "gone", "code": 404 });
    let mut response = whole(&status);
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}

fn merge(into: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !into.is_object() {
                *into = json!({});
            }
            for (name, value) in fields {
                merge(&mut into[name], value);
            }
        }
        other => *into = other.clone(),
    }
}
