//! How a [`kube::Client`] reaches the API server.

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, Uri};
use hyper_util::{client::legacy, rt::TokioExecutor};
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use thiserror::Error;
use tower::{BoxError, Service};

/// Where the API server is.
#[derive(Clone, Debug)]
pub enum Target {
    /// A Unix socket; the server knows us by our peer credentials.
    Socket(PathBuf),
    /// A kubeconfig file, with the context to use (`None`: its current one).
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The name of the context.
        context: Option<String>,
    },
    /// What `KUBECONFIG`, `~/.kube/config` or a pod's service account say.
    Inferred,
}

/// Why no client could be made. It does not say whether the server answers.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be read, or lacks the context, cluster or user it names.
    #[error("cannot use the kubeconfig {path}: {source}")]
    Kubeconfig {
        /// The file that was read.
        path: PathBuf,
        /// What is wrong with it.
        source: kube::config::KubeconfigError,
    },
    /// Neither a kubeconfig nor a service account was found.
    #[error("no cluster is configured: {0}")]
    Inferred(#[from] kube::config::InferConfigError),
    /// The configuration was read, but its certificates or address make no client.
    #[error("cannot make a client: {0}")]
    Client(#[from] kube::Error),
}

/// A client for `target`; `namespace` is the default of namespaced calls (`None`: what the
/// configuration says, or `default`).
///
/// # Errors
/// See [`ConnectError`]; nothing is sent to the server yet.
pub async fn connect(target: &Target, namespace: Option<&str>) -> Result<Client, ConnectError> {
    let mut config = match target {
        Target::Socket(path) => return Ok(over_socket(path.clone(), namespace)),
        Target::Kubeconfig { path, context } => from_file(path, context.clone()).await?,
        Target::Inferred => Config::infer().await?,
    };
    // A watch is quiet for minutes; its end is the server's business.
    config.read_timeout = None;
    if let Some(namespace) = namespace {
        config.default_namespace = namespace.to_owned();
    }
    Ok(Client::try_from(config)?)
}

async fn from_file(path: &PathBuf, context: Option<String>) -> Result<Config, ConnectError> {
    let wrap = |source| ConnectError::Kubeconfig { path: path.clone(), source };
    let file = Kubeconfig::read_from(path).map_err(wrap)?;
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &options).await.map_err(wrap)
}

/// A client whose calls are plain function calls of `service` (the API server's tower stack).
pub fn in_process<S, B>(service: S, namespace: &str) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Client::new(service, namespace)
}

/// The same client, saying who it is: the server remembers who owns which field.
pub(crate) fn named(client: Client, program: &'static str) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        request.headers_mut().insert(http::header::USER_AGENT, http::HeaderValue::from_static(program));
        let client = client.clone();
        async move { client.send(request).await }
    });
    Client::new(service, namespace)
}

fn over_socket(path: PathBuf, namespace: Option<&str>) -> Client {
    let path: Arc<std::path::Path> = path.into();
    let connector = tower::service_fn(move |_: Uri| {
        let path = Arc::clone(&path);
        Box::pin(async move { Ok::<_, io::Error>(SocketStream::new(tokio::net::UnixStream::connect(&*path).await?)) })
    });
    let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = tower::util::MapRequest::new(http, |mut request: Request<Body>| {
        *request.uri_mut() = absolute(request.uri());
        request
    });
    Client::new(service, namespace.unwrap_or("default"))
}

/// Hyper wants a scheme and an authority even where the socket has neither.
fn absolute(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.authority = Some(http::uri::Authority::from_static("localhost"));
    parts.path_and_query.get_or_insert_with(|| http::uri::PathAndQuery::from_static("/"));
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// A Unix stream that hyper's client accepts as a connection.
struct SocketStream(hyper_util::rt::TokioIo<tokio::net::UnixStream>);

impl SocketStream {
    fn new(stream: tokio::net::UnixStream) -> Self {
        Self(hyper_util::rt::TokioIo::new(stream))
    }
}

impl legacy::connect::Connection for SocketStream {
    fn connected(&self) -> legacy::connect::Connected {
        legacy::connect::Connected::new()
    }
}

impl hyper::rt::Read for SocketStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for SocketStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
