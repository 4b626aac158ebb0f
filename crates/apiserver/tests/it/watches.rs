//! Watches, line by line.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{CONFIG_MAPS, Server, config_map};

pub(crate) struct Lines {
    body: Body,
    rest: Vec<u8>,
}

impl Lines {
    pub(crate) async fn open(server: &Server, path: &str, accept: &str) -> Self {
        let response = server.raw(Request::get(path).header("accept", accept).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        Self { body: response.into_body(), rest: Vec::new() }
    }

    /// The next event; `None` when the watch is over.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await.unwrap()?;
            self.rest.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
    }

    async fn short(&mut self) -> String {
        let event = self.next().await.unwrap();
        format!("{} {}", event["type"].as_str().unwrap(), event["object"]["metadata"]["name"].as_str().unwrap_or("-"))
    }
}

const JSON: &str = "application/json";

#[tokio::test]
async fn a_watch_shows_what_is_there_and_what_changes() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let mut lines = Lines::open(&server, &format!("{CONFIG_MAPS}?watch=1"), JSON).await;
    assert_eq!(lines.short().await, "ADDED a");
    server.post(CONFIG_MAPS, &config_map("b")).await.expect(201);
    assert_eq!(lines.short().await, "ADDED b");
    let patched =
        server.patch(&format!("{CONFIG_MAPS}/b"), "merge-patch+json", &json!({"data": {"x": "y"}})).await.expect(200);
    let event = lines.next().await.unwrap();
    assert_eq!(event["type"], "MODIFIED");
    assert_eq!(event["object"], patched);
    server.delete(&format!("{CONFIG_MAPS}/b")).await.expect(200);
    let event = lines.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_ne!(event["object"]["metadata"]["resourceVersion"], patched["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn a_watch_goes_on_from_a_list() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let list = server.get(CONFIG_MAPS).await.expect(200);
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap();
    server.post(CONFIG_MAPS, &config_map("b")).await.expect(201);
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={revision}&timeoutSeconds=1&allowWatchBookmarks=true");
    let mut lines = Lines::open(&server, &path, JSON).await;
    assert_eq!(lines.short().await, "ADDED b");
    let bookmark = lines.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "ConfigMap");
    assert!(lines.next().await.is_none(), "it lasts a second");
}

#[tokio::test]
async fn a_selection_turns_changes_into_arrivals_and_departures() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}?watch=1&labelSelector=app%3Dx");
    let mut lines = Lines::open(&server, &path, JSON).await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let label = |value: Value| json!({"metadata": {"labels": {"app": value}}});
    let path = format!("{CONFIG_MAPS}/a");
    server.patch(&path, "merge-patch+json", &label(json!("x"))).await.expect(200);
    assert_eq!(lines.short().await, "ADDED a");
    server.patch(&path, "merge-patch+json", &json!({"data": {"n": "1"}})).await.expect(200);
    assert_eq!(lines.short().await, "MODIFIED a");
    let left = server.patch(&path, "merge-patch+json", &label(json!("y"))).await.expect(200);
    let event = lines.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["metadata"]["labels"]["app"], "x", "as it was");
    assert_eq!(event["object"]["metadata"]["resourceVersion"], left["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn a_watch_list_ends_its_beginning_with_a_bookmark() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let options = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut lines = Lines::open(&server, &format!("{CONFIG_MAPS}?watch=1&{options}"), JSON).await;
    assert_eq!(lines.short().await, "ADDED a");
    let bookmark = lines.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    server.get(&format!("{CONFIG_MAPS}?watch=1&sendInitialEvents=true")).await.expect(422);
}

#[tokio::test]
async fn one_object_can_be_watched() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}?watch=1&fieldSelector=metadata.name%3Da");
    let mut lines = Lines::open(&server, &path, JSON).await;
    for name in ["ab", "b", "a"] {
        server.post(CONFIG_MAPS, &config_map(name)).await.expect(201);
    }
    assert_eq!(lines.short().await, "ADDED a");
}

#[tokio::test]
async fn a_watch_from_a_forgotten_revision_is_expired() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let folder = &server.folder;
    server.store.close().await.unwrap();
    // After a restart the window is empty: nothing before it can be watched.
    let store = skiff_store::Store::open(folder.path().join("store"), skiff_store::Options::default()).unwrap();
    let config = skiff_apiserver::Config::with_pki_dir(&folder.path().join("pki"), [127, 0, 0, 1].into()).unwrap();
    let again = skiff_apiserver::ApiServer::new(store, config).await.unwrap();
    let user = skiff_apiserver::User::master("test");
    let request = Request::get(format!("{CONFIG_MAPS}?watch=1&resourceVersion=1")).body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(again.service_as(user), request).await.unwrap();
    let mut lines = Lines { body: response.into_body(), rest: Vec::new() };
    let event = lines.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!(event["object"]["code"], 410);
    assert!(lines.next().await.is_none());
}

#[tokio::test]
async fn tables_are_watched_with_columns_once() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut lines = Lines::open(&server, &format!("{CONFIG_MAPS}?watch=1"), accept).await;
    let first = lines.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    assert!(!first["object"]["columnDefinitions"].as_array().unwrap().is_empty());
    server.post(CONFIG_MAPS, &config_map("b")).await.expect(201);
    let second = lines.next().await.unwrap();
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
    assert!(second["object"]["columnDefinitions"].as_array().is_none_or(Vec::is_empty));
}
