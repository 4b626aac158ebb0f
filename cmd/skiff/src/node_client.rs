//! How the commands about this machine talk to the server that runs on it.

use anyhow::{Context as _, bail};
use http::{Method, Request, header};
use serde_json::Value;
use skiff_client::{Target, connect, kube::Client};

use crate::args::Places;

/// A client of the running server's own socket; `None` where none answers there.
pub(crate) async fn client(places: &Places) -> Option<Client> {
    let socket = places.node_socket();
    tokio::net::UnixStream::connect(&socket).await.ok()?;
    connect(&Target::Socket(socket), None).await.ok()
}

/// Sends a request and returns the answer's JSON.
pub(crate) async fn call(client: &Client, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request =
        Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json").body(bytes)?;
    match client.request_text(request).await {
        Ok(text) => serde_json::from_str(&text).context("the server's answer is no JSON"),
        Err(skiff_client::kube::Error::Api(status)) => bail!("{}", status.message),
        Err(error) => Err(error).context("the server does not answer"),
    }
}
