//! Wrong bodies, wrong types, too much of everything.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body::{Body as _, Frame};
use serde_json::json;

use crate::support::{CONFIG_MAPS, SERVICES, Server, config_map, whole, with};

/// A body of many megabytes that counts how much of it was read.
struct Endless {
    left: usize,
    read: Arc<AtomicUsize>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        const FRAME: usize = 64 << 10;
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left = self.left.saturating_sub(FRAME);
        self.read.fetch_add(FRAME, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; FRAME])))))
    }
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_without_being_read() {
    let server = Server::start().await;
    for claimed in [true, false] {
        let read = Arc::new(AtomicUsize::new(0));
        let body = Body::new(Endless { left: 100 << 20, read: Arc::clone(&read) });
        assert!(body.size_hint().exact().is_none());
        let mut request = with("POST", CONFIG_MAPS, "application/json", body);
        if claimed {
            request.headers_mut().insert("content-length", (100 << 20).into());
        }
        let answer = tokio::time::timeout(Duration::from_secs(5), server.send(request)).await.unwrap();
        let status = answer.expect(413);
        assert_eq!(status["reason"], "RequestEntityTooLarge");
        assert!(read.load(Ordering::Relaxed) < 10 << 20, "{read:?}");
    }
}

#[tokio::test]
async fn unknown_and_duplicate_fields_are_told() {
    let server = Server::start().await;
    let typo = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "selectr": {"a": "b"}}});
    let warned = server.post(SERVICES, &typo).await;
    warned.expect(201);
    assert_eq!(warned.headers["warning"], "299 - \"unknown field \\\"spec.selectr\\\"\"");
    let strict = server.post(&format!("{SERVICES}?fieldValidation=Strict"), &typo).await;
    strict.expect(400);
    assert!(strict.message().contains("strict decoding error: unknown field \"spec.selectr\""), "{}", strict.message());
    let ignored = server.put(&format!("{SERVICES}/s?fieldValidation=Ignore"), &typo).await;
    ignored.expect(200);
    assert!(!ignored.headers.contains_key("warning"));
    let twice = r#"{"metadata": {"name": "d"}, "data": {"a": "1"}, "data": {"b": "2"}}"#;
    let path = format!("{CONFIG_MAPS}?fieldValidation=Strict");
    let answer = server.send(with("POST", &path, "application/json", twice)).await;
    answer.expect(400);
    assert!(answer.message().contains("duplicate field \"data\""), "{}", answer.message());
    server.post(&format!("{CONFIG_MAPS}?fieldValidation=Sometimes"), &config_map("a")).await.expect(400);
}

#[tokio::test]
async fn wrong_types_and_kinds_are_bad_requests() {
    let server = Server::start().await;
    let wrong = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": "eighty"}]}});
    let answer = server.post(SERVICES, &wrong).await;
    answer.expect(400);
    assert!(answer.message().starts_with("Service in version \"v1\" cannot be handled as a Service"));
    server.post(SERVICES, &json!({"kind": "Pod", "metadata": {"name": "s"}})).await.expect(400);
    server.post(SERVICES, &json!({"apiVersion": "v2", "metadata": {"name": "s"}})).await.expect(400);
    server.send(with("POST", SERVICES, "application/json", "{")).await.expect(400);
    server.send(with("POST", SERVICES, "application/json", "")).await.expect(400);
    server.send(with("POST", SERVICES, "application/json", "[]")).await.expect(400);
    server
        .send(with("PATCH", &format!("{SERVICES}/kubernetes"), "application/merge-patch+json", "nonsense"))
        .await
        .expect(400);
}

#[tokio::test]
async fn names_are_checked() {
    let server = Server::start().await;
    let answer = server.post(CONFIG_MAPS, &config_map("Not_A_Name")).await;
    let status = answer.expect(422);
    assert_eq!(status["reason"], "Invalid");
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.name");
    server.post(CONFIG_MAPS, &json!({"data": {}})).await.expect(422);
}

#[tokio::test]
async fn media_types_are_negotiated() {
    let server = Server::start().await;
    let answer = server.send(with("POST", CONFIG_MAPS, "text/html", "<p>")).await;
    answer.expect(415);
    assert_eq!(
        answer.message(),
        "the body of the request was in an unknown format - accepted media types include: application/json, \
         application/yaml, application/vnd.kubernetes.protobuf"
    );
    let protobuf = |body: &'static [u8]| with("POST", CONFIG_MAPS, "application/vnd.kubernetes.protobuf", body);
    let named = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x05\x0a\x03\x0a\x01p";
    assert_eq!(server.send(protobuf(named)).await.expect(201)["metadata"]["name"], "p");
    server.send(protobuf(b"k8s\0\xff")).await.expect(400);
    let answer = server.get_as(CONFIG_MAPS, "text/html").await;
    answer.expect(406);
    let request = Request::get(CONFIG_MAPS).header("user-agent", "curl/8.0").body(Body::empty()).unwrap();
    let pretty = whole(server.raw(request).await).await;
    assert!(pretty.bytes.starts_with(b"{\n  \"apiVersion\""), "{:?}", pretty.bytes);
}

#[tokio::test]
async fn tables_and_metadata_are_other_forms_of_the_same() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let table = server.get_as(CONFIG_MAPS, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").await;
    let table = table.expect(200);
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = server.get_as(CONFIG_MAPS, accept).await.expect(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    assert!(list["items"][0].get("data").is_none());
}
