//! `proxy`: a request passed on to a pod, a Service or a node, and its answer passed back, both as they come.

use axum::body::Body;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, header};
use hyper::{client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use skiff_api::status::Status;
use tokio::{net::TcpStream, time::Duration};

use super::{
    moved,
    place::{self, Named, Place},
    unreachable,
};
use crate::{
    http::{respond::Answer, websocket::is_upgrade},
    resource::Call,
};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// The kubelet's own port, by which the node itself is meant.
const KUBELET: &str = "10250";

/// Headers that are about one connection, or that nobody behind us has any business with.
const OURS: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

pub(super) async fn handle(call: &Call, request: Request<Body>) -> Answer {
    let named = Named::parse(call.name());
    let named = named.ok_or_else(|| Status::bad_request(format!("invalid proxy request {:?}", call.name())))?;
    let Some(beyond) = beyond(request.uri()) else { return Ok(moved(&format!("{}/", request.uri().path()))) };
    if named.scheme == "https" {
        return Err(Status::not_implemented("a proxy to https is not implemented"));
    }
    let place = match call.kind.resource.plural() {
        "pods" => {
            let pod = call.state.object("", "pods", call.namespace(), named.name);
            place::of_pod(&pod.ok_or_else(|| Status::not_found(call.resource(), named.name))?, &named)?
        }
        "services" => place::of_service(call, &named)?,
        _ => return to_node(call, &named, &beyond, request).await,
    };
    pass_on(place, &beyond, request).await
}

/// What follows `/proxy` in the path, with the query, as it was sent. `None`: not even a slash.
fn beyond(uri: &Uri) -> Option<String> {
    let path = uri.path();
    let namespaced = path.split('/').nth(3) == Some("namespaces");
    // "", "api", "v1", ("namespaces", its name,) the resource, the name, "proxy"
    let before = if namespaced { 8 } else { 6 };
    let rest = path.splitn(before + 1, '/').nth(before)?;
    Some(uri.query().map_or_else(|| format!("/{rest}"), |query| format!("/{rest}?{query}")))
}

fn onward(beyond: &str, host: &str, request: Request<Body>) -> Result<Request<Body>, Status> {
    let (parts, body) = request.into_parts();
    let mut onward = Request::builder().method(parts.method).uri(beyond).header(header::HOST, host);
    for (name, value) in &parts.headers {
        if !OURS.contains(name) && !name.as_str().starts_with("impersonate-") {
            onward = onward.header(name, value);
        }
    }
    if is_upgrade(&parts.headers)
        && let Some(protocol) = parts.headers.get(header::UPGRADE)
    {
        onward = onward.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, protocol);
    }
    if let Some(original) = parts.headers.get(header::HOST) {
        onward = onward.header("x-forwarded-host", original);
    }
    let onward = onward.header("x-forwarded-uri", parts.uri.path());
    onward.body(body).map_err(|error| Status::bad_request(error.to_string()))
}

/// A node answers for itself.
async fn to_node(call: &Call, named: &Named<'_>, beyond: &str, mut request: Request<Body>) -> Answer {
    let node = call.state.object("", "nodes", "", named.name);
    node.ok_or_else(|| Status::not_found(call.resource(), named.name))?;
    if !matches!(named.port, "" | KUBELET) {
        return Err(Status::bad_request(format!(
            "only the kubelet's own port of a node is proxied, not {}",
            named.port
        )));
    }
    let connection = request.extensions_mut().remove::<OnUpgrade>();
    let mut request = onward(beyond, named.name, request)?;
    if let Some(connection) = connection {
        request.extensions_mut().insert(connection);
    }
    let answer = call.state.config.nodes.call(named.name, request).await;
    answer.ok_or_else(|| Status::service_unavailable(format!("the node {:?} is not connected", named.name)))
}

async fn pass_on(place: Place, beyond: &str, mut request: Request<Body>) -> Answer {
    let connection = request.extensions_mut().remove::<OnUpgrade>();
    let what = std::net::SocketAddr::from(place).to_string();
    let request = onward(beyond, &what, request)?;
    let dialled = tokio::time::timeout(CONNECT, TcpStream::connect(place)).await;
    let stream =
        dialled.map_err(|_| unreachable(&what, &"dial timed out"))?.map_err(|error| unreachable(&what, &error))?;
    let shaken = http1::handshake::<_, Body>(TokioIo::new(stream)).await;
    let (mut sender, carrier) = shaken.map_err(|error| unreachable(&what, &error))?;
    tokio::spawn(async move {
        if let Err(error) = carrier.with_upgrades().await {
            tracing::debug!(%error, "a proxied connection broke");
        }
    });
    let mut response = sender.send_request(request).await.map_err(|error| unreachable(&what, &error))?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let theirs = hyper::upgrade::on(&mut response);
        let Some(ours) = connection else { return Err(unreachable(&what, &"it switches protocols unasked")) };
        tokio::spawn(splice(ours, theirs));
        return Ok(response.map(Body::new));
    }
    Ok(back(response.map(Body::new)))
}

/// The answer without what is about the connection behind us.
fn back(mut response: Response<Body>) -> Response<Body> {
    let drop = |headers: &mut HeaderMap| {
        for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::TRAILER, header::UPGRADE] {
            headers.remove(name);
        }
        headers.remove("keep-alive");
    };
    drop(response.headers_mut());
    response
}

async fn splice(ours: OnUpgrade, theirs: OnUpgrade) {
    if let (Ok(ours), Ok(theirs)) = tokio::join!(ours, theirs) {
        let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
        if let Err(error) = tokio::io::copy_bidirectional(&mut ours, &mut theirs).await {
            tracing::debug!(%error, "a proxied connection broke");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_stays_as_it_is() {
        let of = |uri: &'static str| beyond(&Uri::from_static(uri));
        assert_eq!(of("/api/v1/namespaces/a/pods/p:80/proxy"), None);
        assert_eq!(of("/api/v1/namespaces/a/pods/p:80/proxy/").unwrap(), "/");
        assert_eq!(of("/api/v1/namespaces/a/services/s/proxy/x%2Fy//z?q=1").unwrap(), "/x%2Fy//z?q=1");
        assert_eq!(of("/api/v1/nodes/n/proxy/pods").unwrap(), "/pods");
    }
}
