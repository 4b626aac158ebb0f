//! Clients that cost as little as can be, so that what is measured is the server: blocking HTTP/1.1 over a Unix
//! socket or TLS, and hyper's HTTP/2 for what only that can do.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, ClientConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use serde::{Deserialize, Serialize};

/// Where the server is, and who its administrator is.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) socket: PathBuf,
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Place {
    fn tls(&self, protocol: &str) -> Arc<ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config)
    }

    fn name() -> ServerName<'static> {
        ServerName::try_from("127.0.0.1").unwrap()
    }

    /// A connection for one request at a time.
    pub(crate) fn line(&self, tls: bool) -> Line {
        if !tls {
            return Line::over(UnixStream::connect(&self.socket).unwrap());
        }
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let session = ClientConnection::new(self.tls("http/1.1"), Self::name()).unwrap();
        Line::over(StreamOwned::new(session, stream))
    }

    /// An HTTP/2 connection.
    pub(crate) async fn http2(&self) -> SendRequest<Full<Bytes>> {
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connector = tokio_rustls::TlsConnector::from(self.tls("h2"));
        let stream = connector.connect(Self::name(), stream).await.unwrap();
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(8 << 20).initial_connection_window_size(64 << 20);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// A kept-alive HTTP/1.1 connection.
pub(crate) struct Line {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

impl Line {
    fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), read: Vec::new() }
    }

    /// Sends a request and reads its answer; the code.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &str) -> u16 {
        self.send(method, path, body);
        let (code, mut left) = self.head();
        let have = self.read.len().min(left);
        self.read.drain(..have);
        left -= have;
        let mut buffer = [0; 64 << 10];
        while left > 0 {
            let got = self.stream.read(&mut buffer).unwrap();
            assert!(got > 0 && got <= left, "the answer broke off");
            left -= got;
        }
        code
    }

    /// Starts a watch.
    pub(crate) fn watch(mut self, path: &str) -> Self {
        self.send("GET", path, "");
        assert_eq!(self.head().0, 200);
        self
    }

    /// How many events came with the next read.
    pub(crate) fn events(&mut self) -> usize {
        let mut buffer = [0; 64 << 10];
        if self.read.is_empty() {
            let got = self.stream.read(&mut buffer).unwrap();
            assert!(got > 0, "the watch ended");
            self.read.extend_from_slice(&buffer[..got]);
        }
        // Chunks are framed by CRLF; only an event ends in LF alone.
        let count = self.read.windows(2).filter(|pair| *pair == b"}\n").count();
        let rest = self.read.last().copied().filter(|last| *last == b'}');
        self.read.clear();
        if rest.is_some() {
            let got = self.stream.read(&mut buffer).unwrap();
            self.read.push(b'}');
            self.read.extend_from_slice(&buffer[..got]);
        }
        count
    }

    fn send(&mut self, method: &str, path: &str, body: &str) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Reads up to the body: the code, and the length if there is one.
    fn head(&mut self) -> (u16, usize) {
        let mut buffer = [0; 16 << 10];
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let got = self.stream.read(&mut buffer).unwrap();
            assert!(got > 0, "the connection ended");
            self.read.extend_from_slice(&buffer[..got]);
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap().to_lowercase();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        (code, length.map_or(0, |length| length.trim().parse().unwrap()))
    }
}
