//! Paths that lead beyond the API server: streams into pods, by way of their node's kubelet, and HTTP to pods, Services
//! and nodes. An upgraded connection is handed on with its request; once the answer is 101 nothing here has to do
//! with it any more.

mod place;
mod proxy;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use skiff_api::status::Status;

use crate::{
    authz::{Attributes, Object, refusal},
    http::{
        info::Target,
        respond::{self, Answer},
        websocket::is_upgrade,
    },
    kind::decode,
    resource::{Call, container, kubelet_failed},
};

/// What goes to a kubelet besides what the query says: the upgrade.
const UPGRADE: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::HeaderName::from_static("x-stream-protocol-version"),
];

/// Whether a request is one of these.
pub(crate) fn is_meant(target: &Target) -> bool {
    let part = target.subresource.as_deref().unwrap_or_default();
    match target.resource.as_str() {
        _ if !target.group.is_empty() => false,
        "pods" => matches!(part, "exec" | "attach" | "portforward" | "proxy"),
        "services" | "nodes" => part == "proxy",
        _ => false,
    }
}

/// Answers such a request.
pub(crate) async fn handle(call: &Call, mut request: Request<Body>) -> Answer {
    let part = call.subresource().unwrap_or_default();
    let verbs = call.kind.resource.part(part).ok_or_else(Status::no_such_path)?.verbs;
    if call.name().is_empty() {
        return Err(Status::no_such_path());
    }
    if !verbs.contains(&call.verb()) {
        return Err(Status::method_not_allowed_here());
    }
    if part == "proxy" {
        return proxy::handle(call, request).await;
    }
    let Some(connection) = request.extensions_mut().remove::<OnUpgrade>().filter(|_| is_upgrade(&call.headers)) else {
        return Err(Status::bad_request("Upgrade request required"));
    };
    check_create(call, part)?;
    let entry = call.state.store.snapshot().get(&call.key()).cloned();
    let entry = entry.ok_or_else(|| Status::not_found(call.resource(), call.name()))?;
    let pod = decode(&entry).map_err(Status::internal)?;
    let path = kubelet_path(call, part, &pod)?;
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", call.name())));
    }
    let mut onward = Request::builder().method(request.method()).uri(path);
    for name in UPGRADE {
        for value in call.headers.get_all(&name) {
            onward = onward.header(&name, value);
        }
    }
    let mut onward = onward.body(Body::empty()).map_err(Status::internal)?;
    onward.extensions_mut().insert(connection);
    to_node(call, node, onward).await
}

async fn to_node(call: &Call, node: &str, request: Request<Body>) -> Answer {
    match call.state.config.nodes.call(node, request).await {
        Some(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => Ok(response),
        Some(response) => Err(kubelet_failed(response).await),
        None => Err(Status::service_unavailable(format!("the node {node:?} of the pod is not connected"))),
    }
}

/// WebSockets begin with a GET, though what is done with them is no reading: they need the right to create, too.
fn check_create(call: &Call, part: &str) -> Result<(), Status> {
    if call.verb() != "get" {
        return Ok(());
    }
    let on = Object::Resource {
        namespace: call.namespace(),
        group: "",
        resource: "pods",
        subresource: part,
        name: call.name(),
    };
    let wanted = Attributes { verb: "create", on };
    if call.state.authorizer.allows(&call.user, &wanted, &*call.state) {
        return Ok(());
    }
    Err(Status::forbidden(call.resource(), call.name(), &refusal(&call.user, &wanted)))
}

/// The same question as kubelets are asked it.
fn kubelet_path(call: &Call, part: &str, pod: &Value) -> Result<String, Status> {
    let (namespace, name, query) = (call.namespace(), call.name(), call.query());
    if part == "portforward" {
        let ports: Vec<&str> =
            query.all("ports").flat_map(|ports| ports.split(',')).filter(|port| !port.is_empty()).collect();
        if let Some(bad) = ports.iter().find(|port| port.parse::<u16>().is_err()) {
            return Err(Status::bad_request(format!("{bad:?} is no port")));
        }
        return Ok(format!("/portForward/{namespace}/{name}?port={}", ports.join(",")));
    }
    let container = container(call, pod)?;
    let mut path = format!("/{part}/{namespace}/{name}/{container}?");
    for (flag, kubelet) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
        if query.flag(flag) {
            path.push_str(&format!("{kubelet}=1&"));
        }
    }
    path.push_str(&query.encode(|name| name == "command"));
    Ok(path)
}

/// A failure of what is behind a proxy.
fn unreachable(what: &str, error: &dyn std::fmt::Display) -> Status {
    Status::service_unavailable(format!("error trying to reach service: {what}: {error}"))
}

/// An answer that is nobody's object.
fn moved(location: &str) -> Response<Body> {
    let mut response = respond::text(StatusCode::MOVED_PERMANENTLY, "");
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
