//! What users do in running containers: `/exec`, `/attach` and `/portForward`, as kubelets serve them.
//!
//! ```text
//! request with an upgrade ──▶ 101 ──▶ websocket: channels, or a tunnel for SPDY   ┐        ┌ session: exec, attach
//!                                     spdy: streams                              ┘──▶ peer ─┤
//!                                                                                          └ forward: ports
//! ```
//!
//! A request brings its connection along (hyper's `OnUpgrade`), whether that is the client's own, in one process, or a
//! tunnel's. Whoever passed the request on has nothing to do with it any more once the answer is 101.

mod forward;
mod peer;
mod session;
mod spdy;
mod start;
mod tunnel;
mod websocket;

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Path, RawQuery, Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use skiff_runtime::{Sandbox, Streams};
use thiserror::Error;

use self::forward::Target;
use crate::{
    logs::pairs,
    pod,
    server::Node,
    sync::{shared::Snapshot, state::Track},
};

/// Why a request gets no streams.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    #[error("pod does not exist")]
    NoPod,
    #[error("container not found ({0:?})")]
    NoContainer(String),
    #[error("pod {0:?} has no sandbox that runs")]
    NotRunning(String),
    #[error("you must specify at least 1 of stdin, stdout, stderr")]
    NoStreams,
    #[error("you must specify a command")]
    NoCommand,
    #[error("{0:?} is no port")]
    Port(String),
    #[error("unable to upgrade: missing upgrade headers in request")]
    NoUpgrade,
    #[error("unable to upgrade: unable to negotiate protocol: client supports {0:?}, server supports {1:?}")]
    Protocol(Vec<String>, &'static [&'static str]),
}

impl IntoResponse for StreamError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoPod | Self::NoContainer(_) => StatusCode::NOT_FOUND,
            Self::Protocol(..) => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}

/// The routes.
pub(crate) fn routes() -> Router<Node> {
    Router::new()
        .route("/exec/{namespace}/{pod}/{container}", get(exec).post(exec))
        .route("/attach/{namespace}/{pod}/{container}", get(attach).post(attach))
        .route("/portForward/{namespace}/{pod}", get(port_forward).post(port_forward))
}

type Place = (String, String, String);

async fn exec(
    State(node): State<Node>,
    Path(place): Path<Place>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, StreamError> {
    let options = Options::parse(query.as_deref().unwrap_or_default())?;
    if options.command.is_empty() {
        return Err(StreamError::NoCommand);
    }
    let (sandbox, container) = running(&node, &place)?;
    let Options { streams, command, .. } = options;
    start::session(request, streams, move |peer| session::exec(sandbox, container, command, streams, peer))
}

async fn attach(
    State(node): State<Node>,
    Path(place): Path<Place>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, StreamError> {
    let Options { streams, .. } = Options::parse(query.as_deref().unwrap_or_default())?;
    let (sandbox, container) = running(&node, &place)?;
    let object = node.pods.get(&place.0, &place.1).ok_or(StreamError::NoPod)?;
    let spec = pod::container(&object, &container);
    let (once, tty) = spec.map_or((false, false), |spec| (spec.stdin_once == Some(true), spec.tty == Some(true)));
    // What the container has is what there is, whatever the client thinks. A terminal carries everything as one.
    let streams = Streams { tty, stderr: streams.stderr && !tty, ..streams };
    start::session(request, streams, move |peer| session::attach(sandbox, container, streams, once, peer))
}

async fn port_forward(
    State(node): State<Node>,
    Path((namespace, pod)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, StreamError> {
    let ports = pairs(query.as_deref().unwrap_or_default()).filter(|(name, _)| name == "port");
    let ports = ports
        .flat_map(|(_, value)| value.split(',').filter(|port| !port.is_empty()).map(str::to_owned).collect::<Vec<_>>());
    let port = |text: String| text.parse().ok().filter(|port| *port != 0).ok_or(StreamError::Port(text));
    let ports = ports.map(port).collect::<Result<Vec<u16>, _>>()?;
    let (_, sandbox) = snapshot(&node, &namespace, &pod)?;
    start::forward(request, ports, Target { sandbox, pod })
}

fn snapshot(node: &Node, namespace: &str, pod: &str) -> Result<(Arc<Snapshot>, Sandbox), StreamError> {
    let board = node.shared.board.find(namespace, pod).ok_or(StreamError::NoPod)?;
    let snapshot = Arc::clone(&board.borrow());
    let sandbox = snapshot.sandbox.clone().filter(|sandbox| !sandbox.is_lost());
    Ok((snapshot, sandbox.ok_or_else(|| StreamError::NotRunning(pod.to_owned()))?))
}

/// The container's sandbox, if the container runs.
fn running(node: &Node, (namespace, pod, container): &Place) -> Result<(Sandbox, String), StreamError> {
    let (snapshot, sandbox) = snapshot(node, namespace, pod)?;
    let track = snapshot.tracks.iter().find(|track| track.name == *container).filter(|track| Track::is_running(track));
    track.map(|_| (sandbox, container.clone())).ok_or_else(|| StreamError::NoContainer(container.clone()))
}

/// What a client wants of `exec` or `attach`.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    streams: Streams,
    command: Vec<String>,
}

impl Options {
    fn parse(query: &str) -> Result<Self, StreamError> {
        let pairs: Vec<(String, String)> = pairs(query).collect();
        let last: HashMap<&str, &str> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let is = |name: &str| matches!(last.get(name), Some(&("1" | "true")));
        let tty = is("tty");
        let streams = Streams { stdin: is("input"), stdout: is("output"), stderr: is("error") && !tty, tty };
        if !(streams.stdin || streams.stdout || streams.stderr) {
            return Err(StreamError::NoStreams);
        }
        let command = pairs.into_iter().filter(|(name, _)| name == "command").map(|(_, value)| value).collect();
        Ok(Self { streams, command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_kubelets() {
        let options = Options::parse("command=sh&command=-c&command=a%20b&input=1&output=1&error=1&tty=0").unwrap();
        assert_eq!(options.command, ["sh", "-c", "a b"]);
        assert_eq!(options.streams, Streams { stdin: true, stdout: true, stderr: true, tty: false });
        let terminal = Options::parse("command=sh&output=1&error=1&tty=1").unwrap();
        assert_eq!(terminal.streams, Streams { stdin: false, stdout: true, stderr: false, tty: true });
        assert!(matches!(Options::parse("command=sh"), Err(StreamError::NoStreams)));
    }
}
