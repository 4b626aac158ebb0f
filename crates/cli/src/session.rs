//! A connection to one cluster: requests with JSON bodies, errors as `Status`.

use std::{
    io::Write,
    path::PathBuf,
    sync::{Mutex, OnceLock},
};

use bytes::Bytes;
use futures::AsyncBufRead;
use http::{Method, Request, header};
use serde_json::Value;
use skiff_client::{Target, connect, kube::Client};

use crate::{
    discovery::Discovery,
    error::Error,
    global::Global,
    stream::{self, Socket},
    warnings::Warnings,
};

/// What the server is asked to answer with.
pub(crate) const JSON: &str = "application/json";
/// A table, or plain JSON from servers without tables.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const AGENT: &str = concat!("skiff/", env!("CARGO_PKG_VERSION"));

/// A strategic merge patch.
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// A configuration to be merged by field owners.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";
/// A merge patch.
pub(crate) const MERGE: &str = "application/merge-patch+json";

/// A connected client.
pub(crate) struct Session {
    client: Client,
    global: Global,
    namespace: String,
    discovery: tokio::sync::OnceCell<Discovery>,
    target: OnceLock<Target>,
    warnings: Warnings,
    out: Mutex<Box<dyn Write + Send>>,
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
        let session = Self::over(client, global, Box::new(std::io::stdout()));
        // A fresh lock takes its first value.
        let _ = session.target.set(target);
        Ok(session)
    }

    /// A session over a client that exists already; what is printed goes to `out`.
    pub(crate) fn over(client: Client, global: Global, out: Box<dyn Write + Send>) -> Self {
        let namespace = global.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let (discovery, target) = (tokio::sync::OnceCell::new(), OnceLock::new());
        Self { client, global, namespace, discovery, target, warnings: Warnings::default(), out: Mutex::new(out) }
    }

    /// Prints text as it is.
    pub(crate) fn write(&self, text: &str) -> Result<(), Error> {
        self.write_bytes(text.as_bytes())
    }

    /// Prints bytes as they are.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Prints a line.
    pub(crate) fn say(&self, line: &str) -> Result<(), Error> {
        self.write(&format!("{line}\n"))
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
        let text = self.ask(request(method, path, accept, content, bytes)?).await?;
        serde_json::from_str(&text).map_err(|error| Error::Parse { path: path.to_owned(), why: error.to_string() })
    }

    /// POSTs an object.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send(Method::POST, path, JSON, JSON, Some(body)).await
    }

    /// PATCHes an object with a patch of the given content type.
    pub(crate) async fn patch(&self, path: &str, content: &str, body: &Value) -> Result<Value, Error> {
        self.send(Method::PATCH, path, JSON, content, Some(body)).await
    }

    /// GETs text.
    pub(crate) async fn text(&self, path: &str) -> Result<String, Error> {
        self.ask(request(Method::GET, path, "*/*", JSON, Vec::new())?).await
    }

    /// Sends a request, tells what the server warns of, and returns the text of a good answer.
    async fn ask(&self, request: Request<Vec<u8>>) -> Result<String, Error> {
        let response = self.client.send(request.map(Into::into)).await?;
        self.warnings.tell(response.headers());
        let code = response.status();
        let bytes = response.into_body().collect_bytes().await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if code.is_success() { Ok(text) } else { Err(Error::refusal(code.as_u16(), text)) }
    }

    /// GETs a WebSocket that speaks the channel protocol.
    pub(crate) async fn socket(&self, path: &str) -> Result<Socket, Error> {
        stream::connect(&self.client, path).await
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

/// A query's value, percent-encoded.
pub(crate) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
