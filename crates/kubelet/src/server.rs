//! What the API server asks of a node: logs, its pods, and whether it is well.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::TryStreamExt as _;
use http::{StatusCode, header};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use skiff_client::Informer;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    logs::{self, Options, OptionsError},
    stats, streams,
    sync::{
        log_path,
        shared::{Shared, Snapshot},
        state::Track,
    },
};

/// What the routes know.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pods: Informer<Pod>,
}

/// Why there are no logs. The texts are those that Kubernetes' users know.
#[derive(Debug, Error)]
enum LogError {
    #[error("pod {0:?} not found")]
    NoPod(String),
    #[error("container {container:?} not found in pod {pod:?}")]
    NoContainer { container: String, pod: String },
    #[error("container {container:?} in pod {pod:?} is waiting to start: {reason}")]
    Waiting { container: String, pod: String, reason: String },
    #[error("previous terminated container {container:?} in pod {pod:?} not found")]
    NoPrevious { container: String, pod: String },
    #[error(transparent)]
    Options(#[from] OptionsError),
}

impl IntoResponse for LogError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoPod(_) | Self::NoContainer { .. } => StatusCode::NOT_FOUND,
            Self::Waiting { .. } | Self::NoPrevious { .. } | Self::Options(_) => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}

/// The node's routes.
pub(crate) fn router(shared: Arc<Shared>, pods: Informer<Pod>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/pods", get(list))
        .route("/stats/summary", get(stats::summary))
        .route("/containerLogs/{namespace}/{pod}/{container}", get(container_logs))
        .merge(streams::routes())
        .with_state(Node { shared, pods })
}

async fn list(State(node): State<Node>) -> Response {
    let pods = node.pods.list();
    let items: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
    ([(header::CONTENT_TYPE, "application/json")], list.to_string()).into_response()
}

async fn container_logs(
    State(node): State<Node>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, LogError> {
    let options = Options::parse(query.as_deref().unwrap_or_default(), Timestamp::now())?;
    let board = node.shared.board.find(&namespace, &pod).ok_or_else(|| LogError::NoPod(pod.clone()))?;
    let snapshot = Arc::clone(&board.borrow());
    let track = snapshot
        .tracks
        .iter()
        .find(|track| track.name == container)
        .ok_or_else(|| LogError::NoContainer { container: container.clone(), pod: pod.clone() })?;
    let attempt = attempt(track, options.previous, &pod)?;
    let path = log_path(&node.shared.config, &snapshot.uid, &container, attempt);
    let (ended, guard) = follow_end(board, container, attempt);
    let text = logs::stream(path, &options, ended).inspect_ok(move |_| {
        // Kept for as long as the log is read.
        let _ = &guard;
    });
    Ok(([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(text)).into_response())
}

/// The attempt whose log is asked for.
fn attempt(track: &Track, previous: bool, pod: &str) -> Result<u32, LogError> {
    let (container, pod) = (track.name.clone(), pod.to_owned());
    if previous {
        // While a container waits to be started again, its last end is the previous one.
        let waits = track.waiting.is_some();
        let ended = if waits { track.ended() } else { track.previous.as_ref() };
        return ended.map(|ended| ended.attempt).ok_or(LogError::NoPrevious { container, pod });
    }
    match (&track.run, &track.waiting) {
        (Some(run), _) => Ok(run.attempt()),
        (None, waiting) => {
            let reason = match waiting.as_ref().map(|waiting| waiting.reason) {
                Some("ErrImagePull") => "image can't be pulled",
                Some("ImagePullBackOff") => "trying and failing to pull image",
                Some(reason) => reason,
                None => "ContainerCreating",
            };
            Err(LogError::Waiting { container, pod, reason: reason.to_owned() })
        }
    }
}

/// Says when an attempt of a container does not run any more.
fn follow_end(
    mut board: watch::Receiver<Arc<Snapshot>>,
    container: String,
    attempt: u32,
) -> (watch::Receiver<bool>, AbortOnDropHandle<()>) {
    let runs = move |snapshot: &Snapshot| {
        let track = snapshot.tracks.iter().find(|track| track.name == container);
        track.is_some_and(|track| track.is_running() && track.run.as_ref().is_some_and(|run| run.attempt() == attempt))
    };
    let (sender, ended) = watch::channel(!runs(&board.borrow()));
    let task = tokio::spawn(async move {
        // An error means that the pod is gone.
        let _ = board.wait_for(|snapshot| !runs(snapshot)).await;
        sender.send_replace(true);
        // The channel stays open until the reader leaves.
        sender.closed().await;
    });
    (ended, AbortOnDropHandle::new(task))
}
