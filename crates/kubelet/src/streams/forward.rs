//! `portForward`: connections to a pod's own ports. A client opens a pair of streams for each: one for the bytes, one for
//! the reason why there will be none.

use std::{collections::HashMap, io, time::Duration};

use bytes::{Bytes, BytesMut};
use skiff_runtime::Sandbox;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    peer::{PIECE, Sink},
    spdy::Incoming,
};

/// How long the second stream of a pair may take.
const PARTNER: Duration = Duration::from_secs(30);
/// How long a port that has closed its side is still sent to.
const LISTEN: Duration = Duration::from_secs(1);

/// The pod whose ports are meant.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) sandbox: Sandbox,
    pub(super) pod: String,
}

/// Both streams of a connection.
pub(super) struct Pair {
    pub(super) port: u16,
    pub(super) from: mpsc::Receiver<Bytes>,
    pub(super) to: Sink,
    pub(super) error: Sink,
    pub(super) reset: CancellationToken,
}

/// Serves the streams that a client opens, until it leaves.
pub(super) async fn serve(target: Target, mut opened: mpsc::Receiver<Incoming>) {
    let mut alone: HashMap<String, (Incoming, tokio::time::Instant)> = HashMap::new();
    let mut connections = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            incoming = opened.recv() => incoming,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let Some(incoming) = incoming else { return };
        let now = tokio::time::Instant::now();
        alone.retain(|_, (_, since)| now.duration_since(*since) < PARTNER);
        let key = incoming.header("requestid").to_owned();
        match alone.remove(&key) {
            None => drop(alone.insert(key, (incoming, now))),
            Some((other, _)) => match pair(other, incoming) {
                Ok(pair) => drop(connections.spawn(connect(target.clone(), pair))),
                Err(why) => tracing::debug!(why, "a pair of streams makes no sense"),
            },
        }
    }
}

fn pair(one: Incoming, other: Incoming) -> Result<Pair, &'static str> {
    let (data, error) = match (one.header("streamtype"), other.header("streamtype")) {
        ("data", "error") => (one, other),
        ("error", "data") => (other, one),
        _ => return Err("it is not one stream of data and one of errors"),
    };
    let port = data.header("port").parse().ok().filter(|port| *port != 0).ok_or("the port is none")?;
    Ok(Pair { port, from: data.from, to: data.to, error: error.to, reset: data.reset })
}

/// Carries one connection to its end.
pub(super) async fn connect(target: Target, pair: Pair) {
    let Pair { port, from, to, error, reset } = pair;
    let carried = async {
        let (read, write) = target.sandbox.dial(port).await?.into_split();
        let upload = upload(from, write);
        let download = download(read, &to);
        tokio::pin!(upload, download);
        tokio::select! {
            done = &mut download => {
                // Who has said all it had to say may still listen for a moment.
                let _ = tokio::time::timeout(LISTEN, upload).await;
                done
            }
            () = &mut upload => download.await,
        }
    };
    let result = tokio::select! {
        result = carried => result,
        () = reset.cancelled() => Ok(()),
    };
    if let Err(why) = result {
        let pod = &target.pod;
        let text = format!(
            "an error occurred forwarding {port} -> {port}: error forwarding port {port} to pod {pod}: \
             failed to connect to localhost:{port} inside the pod's network namespace: {}",
            words(&why)
        );
        // The client may have gone.
        let _ = error.send(text).await;
        to.end().await;
    }
    error.end().await;
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        _ => error.to_string(),
    }
}

/// From the client to the port, and its end.
async fn upload(mut from: mpsc::Receiver<Bytes>, mut to: OwnedWriteHalf) {
    while let Some(bytes) = from.recv().await {
        if to.write_all(&bytes).await.is_err() {
            // It reads no more. What it still has to say is another matter.
            return;
        }
    }
    // It may have closed already.
    let _ = to.shutdown().await;
}

/// From the port to the client. Its end is the connection's: a client is told that nothing follows.
async fn download(mut from: OwnedReadHalf, to: &Sink) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        if from.read_buf(&mut buffer).await? == 0 {
            to.end().await;
            return Ok(());
        }
        if to.send(buffer.split().freeze()).await.is_err() {
            return Ok(());
        }
    }
}
