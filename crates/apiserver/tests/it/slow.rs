//! Clients that open a watch and do not read: they are cut off, and nobody else notices.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{CONFIG_MAPS, Server, config_map};
use crate::watches::Lines;
use crate::websockets::upgrading;

const PATIENCE: Duration = Duration::from_millis(400);
const LIMIT: Duration = Duration::from_secs(30);
/// More than sockets and connections take up on their own.
const OBJECTS: usize = 40;
const SIZE: usize = 200 << 10;

async fn served() -> (Server, PathBuf) {
    let server = Server::start_with(|config| config.patience = PATIENCE).await;
    let path = server.folder.path().join("api.sock");
    let (listener, own) = (UnixListener::bind(&path).unwrap(), server.server.clone());
    tokio::spawn(async move { own.serve_unix(listener, CancellationToken::new()).await });
    (server, path)
}

/// Writes large objects while a watcher that reads follows; it sees each before the next is written.
async fn fill(server: &Server) {
    let mut quick = Lines::open(server, &format!("{CONFIG_MAPS}?watch=1&resourceVersion=0"), "application/json").await;
    for index in 0..OBJECTS {
        let mut object = config_map(&format!("m{index}"));
        object["data"]["key"] = "x".repeat(SIZE).into();
        server.post(CONFIG_MAPS, &object).await.expect(201);
        let event = quick.next().await.unwrap();
        assert_eq!(event["object"]["metadata"]["name"], format!("m{index}"), "others are not held up");
    }
}

/// Everything that is left in a connection, which must end before all that was to be sent.
async fn ends_early(mut stream: UnixStream) {
    // What was sent before can be read for as long as one likes; the server's end is gone by then.
    let mut all = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut all)).await.expect("it was not cut off");
    assert!(read.is_err() || all.len() < OBJECTS * SIZE, "{} bytes were sent", all.len());
}

async fn ask(path: &PathBuf, head: String) -> UnixStream {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The answer has begun.
    stream.readable().await.unwrap();
    stream
}

/// Waits until nothing more can come: the server's end of the socket is closed.
async fn hung_up(stream: &UnixStream) {
    let hung = async {
        while !stream.ready(tokio::io::Interest::READABLE).await.unwrap().is_read_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, hung).await.expect("it was not cut off");
}

#[tokio::test]
async fn over_http_1() {
    let (server, path) = served().await;
    let head = format!("GET {CONFIG_MAPS}?watch=1 HTTP/1.1\r\nhost: here\r\n\r\n");
    let slow = ask(&path, head).await;
    fill(&server).await;
    hung_up(&slow).await;
    ends_early(slow).await;
}

#[tokio::test]
async fn over_a_websocket() {
    let (server, path) = served().await;
    let request = upgrading(&format!("{CONFIG_MAPS}?watch=1")).body(()).unwrap();
    let mut head = format!("GET {} HTTP/1.1\r\n", request.uri());
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let slow = ask(&path, head + "\r\n").await;
    fill(&server).await;
    hung_up(&slow).await;
    ends_early(slow).await;
}

#[tokio::test]
async fn one_stream_of_http_2_and_not_its_connection() {
    let (server, path) = served().await;
    let stream = TokioIo::new(UnixStream::connect(&path).await.unwrap());
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = client.initial_stream_window_size(64 << 10).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let get = |path: String| Request::get(format!("http://here{path}")).body(Full::<Bytes>::default()).unwrap();
    let slow = sender.send_request(get(format!("{CONFIG_MAPS}?watch=1"))).await.unwrap();
    let mut idle = sender.send_request(get(format!("{CONFIG_MAPS}?watch=1&labelSelector=a%3Db"))).await.unwrap();
    fill(&server).await;
    let mut body = slow.into_body();
    let broken = async {
        let mut seen = 0;
        loop {
            // Too slow each time: the server need not be quick to see that.
            tokio::time::sleep(2 * PATIENCE).await;
            let Some(frame) = body.frame().await else { break };
            match frame {
                Ok(frame) => seen += frame.data_ref().map_or(0, Bytes::len),
                Err(error) => return (seen, error.to_string()),
            }
        }
        panic!("it ended well after {seen} bytes");
    };
    let (seen, _) = tokio::time::timeout(LIMIT, broken).await.expect("it was not cut off");
    assert!(seen < OBJECTS * SIZE, "{seen}");
    let mut object = config_map("chosen");
    object["metadata"]["labels"] = serde_json::json!({"a": "b"});
    server.post(CONFIG_MAPS, &object).await.expect(201);
    let event = tokio::time::timeout(LIMIT, idle.body_mut().frame()).await.unwrap().unwrap().unwrap();
    assert!(event.data_ref().unwrap().starts_with(b"{\"type\":\"ADDED\""), "the connection is as good as ever");
}
