//! Answers in protobuf, looked at byte by byte: what client-go's typed clients ask for.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::customs::{WIDGETS, widget, with_widgets};
use crate::support::{Answer, CONFIG_MAPS, Server, config_map, with};

pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What client-go sends.
const CLIENT_GO: &str = "application/vnd.kubernetes.protobuf,application/json";

/// A message's fields that are bytes, by their numbers. Numbers are passed over.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        match tag & 7 {
            0 => drop(varint(&mut message)),
            2 => {
                let length = usize::try_from(varint(&mut message)).unwrap();
                found.push((tag >> 3, message[..length].to_vec()));
                message = &message[length..];
            }
            other => panic!("wire type {other}"),
        }
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = message[0];
        *message = &message[1..];
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}

/// What stands at this path of field numbers.
pub(crate) fn at(message: &[u8], path: &[u64]) -> Vec<Vec<u8>> {
    let [number, path @ ..] = path else { return vec![message.to_vec()] };
    let found = fields(message).into_iter().filter(|(own, _)| own == number);
    found.flat_map(|(_, bytes)| at(&bytes, path)).collect()
}

pub(crate) fn texts(message: &[u8], path: &[u64]) -> Vec<String> {
    at(message, path).into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
}

/// `kind`, `apiVersion` and the message in an envelope.
pub(crate) fn opened(body: &[u8]) -> (String, String, Vec<u8>) {
    let body = body.strip_prefix(b"k8s\0").unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(body)));
    (texts(body, &[1, 2]).concat(), texts(body, &[1, 1]).concat(), at(body, &[2]).concat())
}

fn answered(answer: &Answer, code: u16) -> (String, String, Vec<u8>) {
    assert_eq!(answer.code.as_u16(), code, "{}", String::from_utf8_lossy(&answer.bytes));
    assert_eq!(answer.headers["content-type"], PROTOBUF);
    opened(&answer.bytes)
}

#[tokio::test]
async fn objects_and_lists_are_answered() {
    let server = Server::start().await;
    let mut created = with("POST", CONFIG_MAPS, "application/json", config_map("a").to_string());
    created.headers_mut().insert("accept", CLIENT_GO.parse().unwrap());
    let (kind, version, raw) = answered(&server.send(created).await, 201);
    assert_eq!((kind.as_str(), version.as_str()), ("ConfigMap", "v1"));
    assert_eq!(texts(&raw, &[1, 1]), ["a"]);
    assert_eq!((texts(&raw, &[2, 1]), texts(&raw, &[2, 2])), (vec!["key".to_owned()], vec!["value".to_owned()]));
    server.post(CONFIG_MAPS, &config_map("b")).await.expect(201);
    let (kind, _, raw) = answered(&server.get_as(CONFIG_MAPS, CLIENT_GO).await, 200);
    assert_eq!(kind, "ConfigMapList");
    assert_eq!(texts(&raw, &[2, 1, 1]), ["a", "b"]);
    let revision = server.get(CONFIG_MAPS).await.expect(200)["metadata"]["resourceVersion"].clone();
    assert_eq!(texts(&raw, &[1, 2]), [revision.as_str().unwrap()]);
    let page = server.get_as(&format!("{CONFIG_MAPS}?limit=1"), PROTOBUF).await;
    assert_eq!(texts(&answered(&page, 200).2, &[1, 3]).len(), 1, "the token of the next page");
    let (kind, _, raw) = answered(&server.get_as(&format!("{CONFIG_MAPS}/b"), PROTOBUF).await, 200);
    assert_eq!((kind.as_str(), texts(&raw, &[1, 1])), ("ConfigMap", vec!["b".to_owned()]));
}

#[tokio::test]
async fn what_was_read_can_be_sent_back() {
    let server = Server::start().await;
    let pods = crate::support::PODS;
    server.post(pods, &crate::support::pod("p")).await.expect(201);
    let path = format!("{pods}/p");
    let read = server.get_as(&path, PROTOBUF).await;
    let before = server.get(&path).await.expect(200);
    let mut put = with("PUT", &path, PROTOBUF, read.bytes.clone());
    put.headers_mut().insert("accept", PROTOBUF.parse().unwrap());
    answered(&server.send(put).await, 200);
    assert_eq!(server.get(&path).await.expect(200), before, "nothing was lost, so nothing changed");
}

#[tokio::test]
async fn errors_are_statuses_in_every_encoding() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}/none");
    let (kind, version, raw) = answered(&server.get_as(&path, CLIENT_GO).await, 404);
    assert_eq!((kind.as_str(), version.as_str()), ("Status", "v1"));
    assert_eq!(texts(&raw, &[3]), ["configmaps \"none\" not found"]);
    assert_eq!(texts(&raw, &[5, 1]), ["none"]);
    let yaml = server.get_as(&path, "application/yaml").await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(String::from_utf8_lossy(&yaml.bytes).contains("reason: NotFound"), "{:?}", yaml.bytes);
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let options = b"k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x06\x12\x04\x0a\x02no";
    let mut delete = with("DELETE", &format!("{CONFIG_MAPS}/a"), PROTOBUF, &options[..]);
    delete.headers_mut().insert("accept", PROTOBUF.parse().unwrap());
    let (kind, _, raw) = answered(&server.send(delete).await, 409);
    assert!(texts(&raw, &[3])[0].contains("UID in precondition: no"), "{kind}");
    let mut delete = with("DELETE", &format!("{CONFIG_MAPS}/a"), PROTOBUF, "");
    delete.headers_mut().insert("accept", PROTOBUF.parse().unwrap());
    let (_, _, raw) = answered(&server.send(delete).await, 200);
    assert_eq!(texts(&raw, &[2]), ["Success"]);
}

#[tokio::test]
async fn metadata_alone_and_tables_where_they_are_to_be_had() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let wanted = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let (kind, version, raw) = answered(&server.get_as(CONFIG_MAPS, &wanted).await, 200);
    assert_eq!((kind.as_str(), version.as_str()), ("PartialObjectMetadataList", "meta.k8s.io/v1"));
    assert_eq!(texts(&raw, &[2, 1, 1]), ["a"]);
    assert!(at(&raw, &[2, 2]).is_empty(), "no data");
    let wanted = format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let (kind, _, _) = answered(&server.get_as(&format!("{CONFIG_MAPS}/a"), &wanted).await, 200);
    assert_eq!(kind, "PartialObjectMetadata");
    let table = format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1");
    let refused = server.get_as(CONFIG_MAPS, &table).await;
    refused.expect(406);
    assert_eq!(
        refused.message(),
        "only the following media types are accepted: application/json, application/yaml, \
         application/vnd.kubernetes.protobuf"
    );
    let yaml = server.get_as(CONFIG_MAPS, "application/yaml;as=Table;g=meta.k8s.io;v=v1").await;
    assert!(String::from_utf8_lossy(&yaml.bytes).contains("kind: Table"), "{:?}", yaml.bytes);
}

#[tokio::test]
async fn custom_kinds_have_no_protobuf_but_for_their_metadata() {
    let server = with_widgets().await;
    server.post(WIDGETS, &widget("a")).await.expect(201);
    let list = server.get_as(WIDGETS, CLIENT_GO).await;
    assert_eq!(list.expect(200)["kind"], "WidgetList", "the second choice");
    let (kind, _, _) = answered(&server.get_as(WIDGETS, PROTOBUF).await, 406);
    assert_eq!(kind, "Status");
    let wanted = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let (_, _, raw) = answered(&server.get_as(WIDGETS, &wanted).await, 200);
    assert_eq!(texts(&raw, &[2, 1, 1]), ["a"]);
    server.send(with("POST", WIDGETS, PROTOBUF, &b"k8s\0"[..])).await.expect(415);
}

struct Frames {
    body: Body,
    rest: Vec<u8>,
}

impl Frames {
    async fn open(server: &Server, path: &str, accept: &str) -> Self {
        let response = server.raw(Request::get(path).header("accept", accept).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
        Self { body: response.into_body(), rest: Vec::new() }
    }

    /// The next event: its type, the object's kind and message.
    async fn next(&mut self) -> Option<(String, String, Vec<u8>)> {
        loop {
            if let Some((length, rest)) = self.rest.split_at_checked(4) {
                let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
                if rest.len() >= length {
                    let event = rest[..length].to_vec();
                    self.rest.drain(..4 + length);
                    let (kind, _, raw) = opened(&at(&event, &[2, 1]).concat());
                    return Some((texts(&event, &[1]).concat(), kind, raw));
                }
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame()).await.unwrap()?;
            self.rest.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
    }
}

#[tokio::test]
async fn watches_are_frames_and_shared() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let options = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let path = format!("{CONFIG_MAPS}?watch=1&{options}");
    let mut watches = [Frames::open(&server, &path, CLIENT_GO).await, Frames::open(&server, &path, CLIENT_GO).await];
    for watch in &mut watches {
        let (event, kind, raw) = watch.next().await.unwrap();
        assert_eq!((event.as_str(), kind.as_str(), texts(&raw, &[1, 1])), ("ADDED", "ConfigMap", vec!["a".to_owned()]));
        let (event, kind, raw) = watch.next().await.unwrap();
        assert_eq!((event.as_str(), kind.as_str()), ("BOOKMARK", "ConfigMap"));
        assert_eq!(texts(&raw, &[1, 12, 1]), ["k8s.io/initial-events-end"]);
    }
    let changed = json!({"data": {"key": "x".repeat(70_000)}});
    server.patch(&format!("{CONFIG_MAPS}/a"), "merge-patch+json", &changed).await.expect(200);
    server.delete(&format!("{CONFIG_MAPS}/a")).await.expect(200);
    for watch in &mut watches {
        let (event, _, raw) = watch.next().await.unwrap();
        assert_eq!((event.as_str(), texts(&raw, &[2, 2])[0].len()), ("MODIFIED", 70_000));
        assert_eq!(watch.next().await.unwrap().0, "DELETED");
    }
}

#[tokio::test]
async fn watches_of_metadata_and_of_what_is_no_stream() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true");
    let accept = format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let mut frames = Frames::open(&server, &path, &accept).await;
    let (event, kind, raw) = frames.next().await.unwrap();
    assert_eq!((event.as_str(), kind.as_str()), ("ADDED", "PartialObjectMetadata"));
    assert!(at(&raw, &[2]).is_empty(), "no data");
    let (event, kind, _) = frames.next().await.unwrap();
    assert_eq!((event.as_str(), kind.as_str()), ("BOOKMARK", "PartialObjectMetadata"));
    assert!(frames.next().await.is_none());
    let refused = server.get_as(&path, "application/yaml").await;
    assert_eq!(refused.code, 406);
    assert!(
        String::from_utf8_lossy(&refused.bytes)
            .contains("application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"),
        "{:?}",
        refused.bytes
    );
}
