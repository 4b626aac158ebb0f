//! Watches and logs as messages of a WebSocket, over real sockets: one event, one message.

use std::time::Duration;

use axum::{Router, body::Body, routing::get};
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode, request::Builder};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use skiff_apiserver::User;
use tokio::net::{UnixListener, UnixStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, protocol::Role, protocol::frame::coding::CloseCode},
};
use tokio_util::sync::CancellationToken;

use crate::protobuf::{PROTOBUF, at, opened, texts};
use crate::support::{CONFIG_MAPS, PODS, Server, config_map, pod};

const LIMIT: Duration = Duration::from_secs(20);

/// A server on a Unix socket, for as long as this lives.
struct Served {
    server: Server,
    path: std::path::PathBuf,
    stop: CancellationToken,
}

impl Served {
    async fn start() -> Self {
        let server = Server::start().await;
        let path = server.folder.path().join("api.sock");
        let (listener, stop) = (UnixListener::bind(&path).unwrap(), CancellationToken::new());
        let (own, until) = (server.server.clone(), stop.clone());
        tokio::spawn(async move { own.serve_unix(listener, until).await });
        Self { server, path, stop }
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = TokioIo::new(UnixStream::connect(&self.path).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.unwrap()
    }

    async fn open(&self, path: &str, headers: &[(&str, &str)]) -> Socket {
        let mut request = upgrading(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.ask(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS, "{response:?}");
        let wanted = headers.iter().find(|(name, _)| *name == "sec-websocket-protocol").map(|(_, value)| *value);
        let got = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        assert_eq!(got, wanted.map(|all| all.rsplit(", ").next().unwrap()));
        let upgraded = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
        Socket(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await)
    }
}

pub(crate) fn upgrading(path: &str) -> Builder {
    Request::get(path)
        .header("host", "localhost")
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "websocket")
        .header("origin", "https://elsewhere.example")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

struct Socket(WebSocketStream<TokioIo<Upgraded>>);

impl Socket {
    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Message> {
        match tokio::time::timeout(LIMIT, self.0.next()).await.unwrap()? {
            Ok(message) => Some(message),
            Err(Error::ConnectionClosed) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn event(&mut self) -> Value {
        let Message::Text(text) = self.next().await.unwrap() else { panic!("no text") };
        assert_eq!(text.matches('\n').count(), 1, "one event: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn closed(&mut self) {
        let Some(Message::Close(Some(frame))) = self.next().await else { panic!("not closed") };
        assert_eq!(frame.code, CloseCode::Normal);
        assert!(self.next().await.is_none());
    }
}

fn short(event: &Value) -> String {
    format!("{} {}", event["type"].as_str().unwrap(), event["object"]["metadata"]["name"].as_str().unwrap_or("-"))
}

#[tokio::test]
async fn events_are_messages_of_text() {
    let served = Served::start().await;
    for name in ["a", "b"] {
        served.server.post(CONFIG_MAPS, &config_map(name)).await.expect(201);
    }
    let options = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut socket = served.open(&format!("{CONFIG_MAPS}?{options}"), &[]).await;
    assert_eq!(short(&socket.event().await), "ADDED a");
    assert_eq!(short(&socket.event().await), "ADDED b");
    let bookmark = socket.event().await;
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    served.server.post(CONFIG_MAPS, &config_map("c")).await.expect(201);
    assert_eq!(short(&socket.event().await), "ADDED c");
    served.server.delete(&format!("{CONFIG_MAPS}/a")).await.expect(200);
    assert_eq!(short(&socket.event().await), "DELETED a");
    socket.0.send(Message::text("what nobody asked for")).await.unwrap();
    socket.0.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    assert_eq!(socket.next().await, Some(Message::Pong(Bytes::from_static(b"there?"))));
    socket.0.send(Message::Close(None)).await.unwrap();
    assert!(matches!(socket.next().await, Some(Message::Close(_))));
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn protocols_say_how_messages_are_written() {
    let served = Served::start().await;
    served.server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}?watch=1");
    let parse = |bytes: &[u8]| short(&serde_json::from_slice(bytes).unwrap());
    let mut binary = served.open(&path, &[("sec-websocket-protocol", "binary.k8s.io")]).await;
    let Some(Message::Binary(bytes)) = binary.next().await else { panic!("not binary") };
    assert_eq!(parse(&bytes), "ADDED a");
    let mut text = served.open(&path, &[("sec-websocket-protocol", "base64.binary.k8s.io")]).await;
    let Some(Message::Text(encoded)) = text.next().await else { panic!("not text") };
    assert_eq!(parse(&BASE64_STANDARD.decode(&*encoded).unwrap()), "ADDED a");
    let mut other = served.open(&path, &[("sec-websocket-protocol", "chat")]).await;
    assert_eq!(short(&other.event().await), "ADDED a");
}

#[tokio::test]
async fn tables_and_protobuf_are_watched_too() {
    let served = Served::start().await;
    let path = format!("{CONFIG_MAPS}?watch=1");
    let mut tables = served.open(&path, &[("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")]).await;
    let mut frames = served.open(&path, &[("accept", PROTOBUF)]).await;
    for name in ["a", "b"] {
        served.server.post(CONFIG_MAPS, &config_map(name)).await.expect(201);
    }
    let first = tables.event().await;
    assert_eq!((&first["object"]["kind"], &first["object"]["rows"][0]["cells"][0]), (&json!("Table"), &json!("a")));
    assert!(!first["object"]["columnDefinitions"].as_array().unwrap().is_empty());
    assert_eq!(tables.event().await["object"]["rows"][0]["cells"][0], "b");
    for name in ["a", "b"] {
        let Some(Message::Binary(event)) = frames.next().await else { panic!("not binary") };
        assert_eq!(texts(&event, &[1]), ["ADDED"]);
        let (kind, _, raw) = opened(&at(&event, &[2, 1]).concat());
        assert_eq!((kind.as_str(), texts(&raw, &[1, 1])), ("ConfigMap", vec![name.to_owned()]));
    }
}

#[tokio::test]
async fn a_watch_ends_with_a_close() {
    let served = Served::start().await;
    let mut short_lived = served.open(&format!("{CONFIG_MAPS}?watch=1&timeoutSeconds=1"), &[]).await;
    let mut stopped = served.open(&format!("{CONFIG_MAPS}?watch=1"), &[]).await;
    short_lived.closed().await;
    served.stop.cancel();
    stopped.closed().await;
}

#[tokio::test]
async fn what_is_gone_is_an_event_of_its_own() {
    let mut served = Served::start().await;
    served.server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    served.stop.cancel();
    served.server.store.close().await.unwrap();
    // After a restart the window is empty: nothing before it can be watched.
    let folder = served.server.folder.path();
    let store = skiff_store::Store::open(folder.join("store"), skiff_store::Options::default()).unwrap();
    let config = skiff_apiserver::Config::with_pki_dir(&folder.join("pki"), [127, 0, 0, 1].into()).unwrap();
    let again = skiff_apiserver::ApiServer::new(store, config).await.unwrap();
    served.path = folder.join("again.sock");
    let (listener, stop) = (UnixListener::bind(&served.path).unwrap(), CancellationToken::new());
    tokio::spawn(async move { again.serve_unix(listener, stop).await });
    let mut socket = served.open(&format!("{CONFIG_MAPS}?watch=1&resourceVersion=1"), &[]).await;
    let event = socket.event().await;
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    socket.closed().await;
}

#[tokio::test]
async fn errors_before_it_is_one_are_statuses() {
    let served = Served::start().await;
    let mut old = upgrading(&format!("{CONFIG_MAPS}?watch=1"));
    old.headers_mut().unwrap().insert("sec-websocket-version", "8".parse().unwrap());
    for (request, code) in [
        (upgrading(&format!("{CONFIG_MAPS}?watch=1&fieldSelector=spec.nonsense%3Da")), 400),
        (upgrading(&format!("{CONFIG_MAPS}?watch=1&sendInitialEvents=true")), 422),
        (upgrading(&format!("{CONFIG_MAPS}?watch=1&resourceVersion=100000")), 504),
        (upgrading("/api/v1/nothings?watch=1"), 404),
        (upgrading(&format!("{CONFIG_MAPS}?watch=1")).header("accept", "application/yaml"), 406),
        (old, 400),
    ] {
        let response = served.ask(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), code);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("Status"), "{body:?}");
    }
    let list = upgrading(CONFIG_MAPS).body(Full::default()).unwrap();
    assert_eq!(served.ask(list).await.status(), 200, "a list is one whatever the headers say");
    let inside = upgrading(&format!("{CONFIG_MAPS}?watch=1")).body(Body::empty()).unwrap();
    assert_eq!(served.server.as_user(User::master("here"), inside).await.code, 400);
}

#[tokio::test]
async fn a_browsers_token_is_a_protocol() {
    let served = Served::start().await;
    let answer = served.server.post("/api/v1/namespaces/default/serviceaccounts/default/token", &json!({})).await;
    let token = answer.expect(201)["status"]["token"].as_str().unwrap().to_owned();
    let encoded = format!("base64url.bearer.authorization.k8s.io.{}", BASE64_URL_SAFE_NO_PAD.encode(&token));
    let may = json!({"metadata": {"name": "may"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}});
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let ask = |protocols: &str| {
        let request = upgrading(&format!("{CONFIG_MAPS}?watch=1")).header("sec-websocket-protocol", protocols);
        request.body(Full::default()).unwrap()
    };
    let with_other = format!("{encoded}, binary.k8s.io");
    assert_eq!(served.ask(ask(&encoded)).await.status(), 401, "nothing to answer with");
    let refused = served.ask(ask(&with_other)).await;
    assert_eq!(refused.status(), 403, "the socket's own user is not meant");
    served.server.post(bindings, &may).await.expect(201);
    served.server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}?watch=1");
    let mut socket = served.open(&path, &[("sec-websocket-protocol", &with_other)]).await;
    assert!(matches!(socket.next().await, Some(Message::Binary(_))));
}

#[tokio::test]
async fn logs_are_messages_as_well() {
    let served = Served::start().await;
    let mut made = pod("p");
    made["spec"]["nodeName"] = json!("one");
    served.server.post(PODS, &made).await.expect(201);
    let kubelet = Router::new().route("/containerLogs/{namespace}/{pod}/{container}", get(|| async { "a line\n" }));
    served.server.server.nodes().register("one", kubelet);
    let path = format!("{PODS}/p/log?container=c");
    let mut socket = served.open(&path, &[("sec-websocket-protocol", "binary.k8s.io")]).await;
    assert_eq!(socket.next().await, Some(Message::binary(&b"a line\n"[..])));
    socket.closed().await;
}
