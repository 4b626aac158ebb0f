//! One HTTP request to a container, for probes and hooks.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction},
    apimachinery::pkg::util::intstr::IntOrString,
};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::dial;

/// How much of an answer is read at most.
const MOST_BODY: usize = 10 << 10;

/// Why there is no answer. The texts are those of Kubernetes' events.
#[derive(Debug, Error)]
pub(crate) enum GetError {
    /// The port is a name that the container does not declare.
    #[error("couldn't find port: {0} in the container's ports")]
    Port(String),
    /// No connection.
    #[error("Get {url:?}: {reason}")]
    Connect {
        /// What was asked for.
        url: String,
        /// What happened.
        reason: String,
    },
    /// No answer in time.
    #[error("Get {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)")]
    Timeout {
        /// What was asked for.
        url: String,
    },
    /// A header that HTTP does not allow.
    #[error("the header {0:?} is not valid")]
    Header(String),
}

/// The number of a port that may be given by name.
pub(crate) fn port(container: &Container, port: &IntOrString) -> Option<u16> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_ref() == Some(name));
            named
                .map(|port| port.container_port)
                .or_else(|| name.parse().ok())
                .and_then(|port| u16::try_from(port).ok())
        }
    }
}

/// An action with its addresses filled in.
#[derive(Clone, Debug)]
pub(crate) struct Get {
    https: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

impl Get {
    /// The request that `action` asks for; `address` is the pod's.
    pub(crate) fn new(action: &HTTPGetAction, container: &Container, address: &str) -> Result<Self, GetError> {
        let number = port(container, &action.port).ok_or_else(|| {
            GetError::Port(match &action.port {
                IntOrString::Int(number) => number.to_string(),
                IntOrString::String(name) => name.clone(),
            })
        })?;
        let path = action.path.as_deref().unwrap_or("/");
        let headers = action.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect();
        Ok(Self {
            https: action.scheme.as_deref() == Some("HTTPS"),
            host: action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(address).to_owned(),
            port: number,
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
            headers,
        })
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn url(&self) -> String {
        format!("{}://{}{}", if self.https { "https" } else { "http" }, self.authority(), self.path)
    }

    /// Sends it; returns the status and the beginning of the body.
    pub(crate) async fn send(&self, timeout: Duration) -> Result<(StatusCode, String), GetError> {
        let sent = tokio::time::timeout(timeout, self.exchange()).await;
        sent.unwrap_or_else(|_| Err(GetError::Timeout { url: self.url() }))
    }

    fn failed(&self, reason: impl ToString) -> GetError {
        GetError::Connect { url: self.url(), reason: reason.to_string() }
    }

    async fn exchange(&self) -> Result<(StatusCode, String), GetError> {
        let authority = self.authority();
        let stream = TcpStream::connect(&authority).await.map_err(|error| self.failed(dial(&authority, &error)))?;
        if !self.https {
            return self.over(stream).await;
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| self.failed(error))?;
        let tls = tokio_rustls::TlsConnector::from(trusting()?);
        let stream = tls.connect(name, stream).await.map_err(|error| self.failed(error))?;
        self.over(stream).await
    }

    async fn over<S>(&self, stream: S) -> Result<(StatusCode, String), GetError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.failed(error))?;
        let connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        let response = sender.send_request(self.request()?).await.map_err(|error| self.failed(error))?;
        let status = response.status();
        let body = match Limited::new(response.into_body(), MOST_BODY).collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            // The status is what counts.
            Err(_) => String::new(),
        };
        drop(connection);
        Ok((status, body))
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, GetError> {
        let request = Request::get(&self.path).body(Empty::new());
        let mut request = request.map_err(|_| GetError::Header(self.path.clone()))?;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("kube-probe/1.36"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let host = HeaderValue::try_from(self.authority()).map_err(|_| GetError::Header("Host".to_owned()))?;
        headers.insert(header::HOST, host);
        for (name, value) in &self.headers {
            let bad = || GetError::Header(name.clone());
            let key = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
            headers.insert(key, HeaderValue::try_from(value.as_str()).map_err(|_| bad())?);
        }
        Ok(request)
    }
}

/// A TLS client that takes any certificate: a probe asks whether the container answers, not who it is.
fn trusting() -> Result<Arc<rustls::ClientConfig>, GetError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| GetError::Connect { url: String::new(), reason: error.to_string() })?;
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)));
    Ok(Arc::new(config.with_no_client_auth()))
}

#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
