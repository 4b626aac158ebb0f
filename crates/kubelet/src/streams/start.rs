//! From a request to a session: the protocol is agreed on, the connection taken over, and the session begun.

use std::{future::Future, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use skiff_runtime::Streams;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    StreamError,
    forward::{self, Pair, Target},
    peer::{Peer, QUEUE, Sink},
    spdy::{self, Incoming},
    tunnel::Tunnel,
    websocket::{self, Version},
};

/// How long a client may take to open its streams.
const OPEN: Duration = Duration::from_secs(30);
const SPDY: &str = "SPDY/3.1";
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const FORWARD: &str = "portforward.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

const CHANNELS: &[&str] = &[
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "base64.channel.k8s.io",
];
/// Version 5 is about closing, which SPDY's streams can do anyway.
const STREAMS: &[&str] =
    &["v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];

/// A tunnel for SPDY, or two channels for each port.
const FORWARDS: &[&str] = &[
    TUNNEL,
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "base64.channel.k8s.io",
];

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;
const ERROR: u32 = 3;
const RESIZE: u32 = 4;

/// Begins `exec` or `attach` once the connection is ours.
pub(super) fn session<F: Future<Output = ()> + Send + 'static>(
    mut request: Request,
    wanted: Streams,
    work: impl FnOnce(Peer) -> F + Send + 'static,
) -> Result<Response, StreamError> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(StreamError::NoUpgrade)?;
    let headers = request.headers();
    if websocket::is_wanted(headers) {
        let protocol = agree(headers, &header::SEC_WEBSOCKET_PROTOCOL, CHANNELS)?;
        let version = Version::parse(&protocol).ok_or(StreamError::NoUpgrade)?;
        let response = websocket::switch(headers, &protocol).ok_or(StreamError::NoUpgrade)?;
        take(upgrade, move |connection| over_channels(connection, version, wanted, work));
        return Ok(response);
    }
    let protocol = agree_on_spdy(headers, STREAMS)?;
    let response = switch_to_spdy(&protocol)?;
    take(upgrade, move |connection| over_streams(connection, protocol, wanted, work));
    Ok(response)
}

/// Begins `portForward` once the connection is ours.
pub(super) fn forward(mut request: Request, ports: Vec<u16>, target: Target) -> Result<Response, StreamError> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(StreamError::NoUpgrade)?;
    let headers = request.headers();
    if !websocket::is_wanted(headers) {
        let response = switch_to_spdy(&agree_on_spdy(headers, &[FORWARD])?)?;
        take(upgrade, move |connection| forward_streams(TokioIo::new(connection), target));
        return Ok(response);
    }
    let protocol = agree(headers, &header::SEC_WEBSOCKET_PROTOCOL, FORWARDS)?;
    let response = websocket::switch(headers, &protocol).ok_or(StreamError::NoUpgrade)?;
    match Version::parse(&protocol) {
        Some(version) if ports.is_empty() => {
            tracing::debug!(?version, "port forwarding by channels names its ports in the query");
            return Err(StreamError::Port(String::new()));
        }
        Some(version) => take(upgrade, move |connection| forward_channels(connection, version, ports, target)),
        None => take(upgrade, |connection| async {
            forward_streams(Tunnel::new(websocket::socket(connection).await), target).await;
        }),
    }
    Ok(response)
}

/// The first of the client's protocols that is known. One that offers none gets the oldest.
fn agree(headers: &HeaderMap, name: &HeaderName, known: &'static [&'static str]) -> Result<String, StreamError> {
    let offered = websocket::offered(headers, name);
    match offered.iter().find(|one| known.contains(&one.as_str())) {
        Some(one) => Ok(one.clone()),
        None if offered.is_empty() => Ok(String::new()),
        None => Err(StreamError::Protocol(offered, known)),
    }
}

fn agree_on_spdy(headers: &HeaderMap, known: &'static [&'static str]) -> Result<String, StreamError> {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !upgrade.eq_ignore_ascii_case(SPDY) {
        return Err(StreamError::NoUpgrade);
    }
    agree(headers, &STREAM_PROTOCOL, known)
}

fn switch_to_spdy(protocol: &str) -> Result<Response, StreamError> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(SPDY));
    if !protocol.is_empty() {
        headers.insert(STREAM_PROTOCOL, HeaderValue::from_str(protocol).map_err(|_| StreamError::NoUpgrade)?);
    }
    Ok(response)
}

/// Has `work` done with the connection when the answer has been sent.
fn take<F: Future<Output = ()> + Send>(upgrade: OnUpgrade, work: impl FnOnce(Upgraded) -> F + Send + 'static) {
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => work(connection).await,
            Err(error) => tracing::debug!(%error, "a connection was not handed over"),
        }
    });
}

async fn over_channels<F: Future<Output = ()> + Send + 'static>(
    connection: Upgraded,
    version: Version,
    wanted: Streams,
    work: impl FnOnce(Peer) -> F,
) {
    let (out, writes) = mpsc::channel(QUEUE);
    let mut inputs = Vec::new();
    let mut input = |id, wanted: bool| {
        let (sender, receiver) = mpsc::channel(QUEUE);
        inputs.push((id, sender));
        wanted.then_some(receiver)
    };
    let sink = |id| Sink { id, out: out.clone() };
    let gone = CancellationToken::new();
    let peer = Peer {
        stdin: input(STDIN, wanted.stdin),
        resize: input(RESIZE, wanted.tty),
        stdout: wanted.stdout.then(|| sink(STDOUT)),
        stderr: wanted.stderr.then(|| sink(STDERR)),
        error: sink(ERROR),
        plain: version.number < 4,
        gone: gone.clone(),
    };
    // Clients of some languages wait for a first message.
    let first = peer.stdout.as_ref().or(peer.stderr.as_ref()).unwrap_or(&peer.error);
    let _ = first.send(bytes::Bytes::new()).await;
    drop(out);
    let work = tokio::spawn(work(peer));
    websocket::run(websocket::socket(connection).await, version, writes, inputs).await;
    gone.cancel();
    // A panic in there has been reported.
    let _ = work.await;
}

async fn over_streams<F: Future<Output = ()> + Send + 'static>(
    connection: Upgraded,
    protocol: String,
    wanted: Streams,
    work: impl FnOnce(Peer) -> F,
) {
    let (out, writes) = mpsc::channel(QUEUE);
    let (opened, mut incoming) = mpsc::channel(QUEUE);
    let spdy = spdy::run(TokioIo::new(connection), opened, (out.downgrade(), writes));
    let spdy = AbortOnDropHandle::new(tokio::spawn(spdy));
    let resizes = wanted.tty && !matches!(protocol.as_str(), "" | "channel.k8s.io" | "v2.channel.k8s.io");
    let gone = CancellationToken::new();
    let plain = !matches!(protocol.as_str(), "v4.channel.k8s.io" | "v5.channel.k8s.io");
    let gathered = gather(&mut incoming, wanted, resizes, plain, gone.clone());
    let Ok(Some(peer)) = tokio::time::timeout(OPEN, gathered).await else {
        return tracing::debug!("a client did not open its streams");
    };
    drop((incoming, out));
    let work = tokio::spawn(work(peer));
    // A panic in there has been reported.
    let _ = spdy.await;
    gone.cancel();
    let _ = work.await;
}

/// Waits for all streams that there must be.
async fn gather(
    incoming: &mut mpsc::Receiver<Incoming>,
    wanted: Streams,
    resizes: bool,
    plain: bool,
    gone: CancellationToken,
) -> Option<Peer> {
    let (mut stdin, mut resize, mut stdout, mut stderr, mut error) = (None, None, None, None, None);
    while error.is_none()
        || (wanted.stdin && stdin.is_none())
        || (wanted.stdout && stdout.is_none())
        || (wanted.stderr && stderr.is_none())
        || (resizes && resize.is_none())
    {
        let stream = incoming.recv().await?;
        match stream.header("streamtype") {
            "stdin" => stdin = Some(stream.from),
            "resize" => resize = Some(stream.from),
            "stdout" => stdout = Some(stream.to),
            "stderr" => stderr = Some(stream.to),
            "error" => error = Some(stream.to),
            other => tracing::debug!(other, "a stream of an unknown type"),
        }
    }
    Some(Peer { stdin, resize, stdout, stderr, error: error?, plain, gone })
}

async fn forward_streams<S: AsyncRead + AsyncWrite + Send>(connection: S, target: Target) {
    let (out, writes) = mpsc::channel(QUEUE);
    let (opened, incoming) = mpsc::channel(QUEUE);
    let spdy = spdy::run(connection, opened, (out.downgrade(), writes));
    // The connection lasts as long as the client wants it to.
    tokio::join!(spdy, forward::serve(target, incoming));
    drop(out);
}

/// Two channels for each port: for data and, after it, for errors. Each begins with the port's number.
async fn forward_channels(connection: Upgraded, version: Version, ports: Vec<u16>, target: Target) {
    let (out, writes) = mpsc::channel(QUEUE);
    let mut inputs = Vec::new();
    let mut pairs = Vec::new();
    for (at, port) in (0_u32..).zip(ports) {
        let sink = |id| Sink { id, out: out.clone() };
        let (sender, from) = mpsc::channel(QUEUE);
        inputs.push((at * 2, sender));
        let reset = CancellationToken::new();
        pairs.push(Pair { port, from, to: sink(at * 2), error: sink(at * 2 + 1), reset });
    }
    drop(out);
    let work = async move {
        let mut connections = tokio::task::JoinSet::new();
        for pair in pairs {
            let number = bytes::Bytes::copy_from_slice(&pair.port.to_le_bytes());
            let _ = pair.to.send(number.clone()).await;
            let _ = pair.error.send(number).await;
            connections.spawn(forward::connect(target.clone(), pair));
        }
        while connections.join_next().await.is_some() {}
    };
    let work = AbortOnDropHandle::new(tokio::spawn(work));
    websocket::run(websocket::socket(connection).await, version, writes, inputs).await;
    drop(work);
}
