//! A connection to one cluster: requests with JSON bodies, errors as `Status`.

use std::{path::PathBuf, sync::OnceLock};

use bytes::Bytes;
use futures::AsyncBufRead;
use http::{Method, Request, header};
use serde_json::Value;
use skiff_client::{Target, connect, kube::Client};

use crate::{discovery::Discovery, error::Error, global::Global};

/// What the server is asked to answer with.
pub(crate) const JSON: &str = "application/json";
/// A table, or plain JSON from servers without tables.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const AGENT: &str = concat!("skiff/", env!("CARGO_PKG_VERSION"));

/// A connected client.
pub(crate) struct Session {
    client: Client,
    global: Global,
    namespace: String,
    discovery: tokio::sync::OnceCell<Discovery>,
    target: OnceLock<Target>,
}

impl Session {
    /// Connects to the cluster that the flags name; nothing is sent yet.
    pub(crate) async fn new(global: Global) -> Result<Self, Error> {
        let target = match (global.local_socket(), &global.kubeconfig) {
            (Some(socket), _) => Target::Socket(socket),
            (None, Some(path)) => Target::Kubeconfig { path: path.clone(), context: global.context.clone() },
            (None, None) => match home_kubeconfig() {
                Some(path) => Target::Kubeconfig { path, context: global.context.clone() },
                None => Target::Inferred,
            },
        };
        let client = connect(&target, global.namespace.as_deref()).await.map_err(|error| no_cluster(error, &target))?;
        let namespace = client.default_namespace().to_owned();
        let held = OnceLock::new();
        // A fresh lock takes its first value.
        let _ = held.set(target);
        Ok(Self { client, namespace, global, discovery: tokio::sync::OnceCell::new(), target: held })
    }

    /// The namespace of namespaced requests.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether the user named the namespace.
    pub(crate) fn names_namespace(&self) -> bool {
        self.global.namespace.is_some()
    }

    /// The flags.
    pub(crate) fn global(&self) -> &Global {
        &self.global
    }

    /// Where the cluster is.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.target.get()
    }

    /// What the server serves; asked once.
    pub(crate) async fn discovery(&self) -> Result<&Discovery, Error> {
        self.discovery.get_or_try_init(|| Discovery::fetch(self)).await
    }

    /// GETs JSON.
    pub(crate) async fn get(&self, path: &str, accept: &str) -> Result<Value, Error> {
        self.send(Method::GET, path, accept, JSON, None).await
    }

    /// Sends a JSON body with any content type and returns the answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let text = self.client.request_text(request(method, path, accept, content, bytes)?).await?;
        serde_json::from_str(&text).map_err(|error| Error::Parse { path: path.to_owned(), why: error.to_string() })
    }

    /// GETs text.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Error> {
        Ok(self.client.request_text(request(Method::GET, path, "*/*", JSON, Vec::new())?).await?)
    }

    /// GETs what comes line by line: a watch, or logs.
    pub(crate) async fn lines(&self, path: &str, accept: &str) -> Result<impl AsyncBufRead + use<>, Error> {
        Ok(self.client.request_stream(request(Method::GET, path, accept, JSON, Vec::new())?).await?)
    }
}

fn request(method: Method, path: &str, accept: &str, content: &str, body: Vec<u8>) -> Result<Request<Vec<u8>>, Error> {
    let built =
        Request::builder().method(method).uri(path).header(header::ACCEPT, accept).header(header::USER_AGENT, AGENT);
    let built = if body.is_empty() { built } else { built.header(header::CONTENT_TYPE, content) };
    built.body(Bytes::from(body).into()).map_err(|error| Error::usage(format!("{path}: {error}")))
}

fn home_kubeconfig() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    Some(home.join(".kube/config")).filter(|path| path.exists())
}

fn no_cluster(error: skiff_client::ConnectError, target: &Target) -> Error {
    match target {
        Target::Inferred => Error::Unreachable(
            "The connection to the server localhost:6443 was refused - did you specify the right host or port?\n\
             No server runs on this machine and no kubeconfig was found: start one with `skiff server`."
                .to_owned(),
        ),
        _ => Error::Connect(error),
    }
}
