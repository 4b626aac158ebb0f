//! The server's own socket: what `skiff image` and `skiff status` ask of it. Only root may connect.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use skiff_client::{Informer, k8s_openapi};
use skiff_image::{Digest, Images};
use skiff_loadbalancer::{Refusal, Report};
use tokio::sync::watch;

use super::Cluster;

/// What the socket's answers are made of.
pub(crate) struct Local {
    pub(crate) cluster: Cluster,
    pub(crate) images: Images,
    pub(crate) pods: Informer<Pod>,
    pub(crate) published: watch::Receiver<Report>,
}

/// The routes of the socket.
pub(crate) fn router(local: Local) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/images", any(images))
        .route("/images/{action}", any(images))
        .with_state(Arc::new(local))
}

async fn images(State(local): State<Arc<Local>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match crate::image::carry_out(&local.images, &method, uri.path(), &body, &in_use(&local.pods)).await {
        Ok(answer) => json_of(StatusCode::OK, &answer),
        Err(error) => refusal(&error),
    }
}

/// A `Status`, as the API server answers, so that one client reads both.
fn refusal(error: &anyhow::Error) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "BadRequest", "code": 400,
        "metadata": {}, "message": format!("{error:#}"),
    });
    json_of(StatusCode::BAD_REQUEST, &body)
}

fn json_of(code: StatusCode, body: &Value) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn in_use(pods: &Informer<Pod>) -> HashSet<Digest> {
    let pods = pods.list();
    let statuses = pods.iter().filter_map(|pod| pod.status.as_ref());
    let containers = statuses.flat_map(|status| {
        let usual = status.container_statuses.iter().flatten();
        usual.chain(status.init_container_statuses.iter().flatten()).map(|container| container.image_id.clone())
    });
    containers.filter_map(|id| id.rsplit_once('@').map_or(id.as_str(), |(_, digest)| digest).parse().ok()).collect()
}

async fn status(State(local): State<Arc<Local>>) -> Response {
    let cluster = &local.cluster;
    let pid = std::process::id();
    let report = local.published.borrow().clone();
    let health =
        cluster.store.health().map_or_else(|error| format!("refuses writes: {error}"), |()| "healthy".to_owned());
    let told = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": pid,
        "memoryMiB": i32::try_from(pid).ok().and_then(crate::status::memory),
        "api": format!("https://127.0.0.1:{}", cluster.args.api_port),
        "node": cluster.node_name,
        "nodeIP": cluster.network.node_ip(),
        "store": { "revision": cluster.store.snapshot().revision(), "health": health },
        "images": local.images.list().map(|images| images.len()).unwrap_or_default(),
        "listeners": report.listeners.iter().map(listener).collect::<Vec<_>>(),
        "pending": report.pending.iter().map(pending).collect::<Vec<_>>(),
    });
    json_of(StatusCode::OK, &told)
}

fn listener(listener: &skiff_loadbalancer::Listener) -> String {
    let kind = if listener.node_port { "NodePort" } else { "LoadBalancer" };
    format!("{} {} -> {} port {} ({kind})", listener.protocol, listener.address, listener.service, listener.port)
}

fn pending(pending: &skiff_loadbalancer::Pending) -> String {
    let why = match &pending.refusal {
        Refusal::Held(Some(holder)) => format!("{holder} has it"),
        Refusal::Held(None) => "another process has it".to_owned(),
        Refusal::Service(other) => format!("service {other} has it"),
        Refusal::Refused(why) => why.clone(),
        Refusal::Protocol => "only TCP and UDP are published".to_owned(),
    };
    format!("{} port {} of {}: {why}", pending.protocol, pending.port, pending.service)
}
