//! Sockets: TLS with certificates and tokens, the Unix socket, and the documents that clients ask for first.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde_json::Value;
use skiff_apiserver::pki::{Certified, Pki, ServingNames};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::support::{CONFIG_MAPS, PODS, Server, config_map};

pub(crate) fn pki(server: &Server) -> Pki {
    let names = ServingNames::of_cluster("cluster.local", [[127, 0, 0, 1].into(), [10, 96, 0, 1].into()]);
    Pki::open(&server.folder.path().join("pki"), &names, jiff::Timestamp::now()).unwrap()
}

pub(crate) async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> (StatusCode, http::HeaderMap, Bytes)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

pub(crate) fn request(path: &str) -> http::request::Builder {
    Request::get(path).header("host", "localhost")
}

pub(crate) async fn connect(
    address: std::net::SocketAddr,
    ca: &str,
    client: Option<&Certified>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        Some(client) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// Serves TLS for as long as `work` takes, and expects a clean end.
pub(crate) async fn serving<F: Future<Output = ()>>(server: &Server, work: impl FnOnce(std::net::SocketAddr) -> F) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (server, stop) = (server.server.clone(), stop.clone());
        async move { server.serve_tls(listener, stop).await }
    });
    work(address).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap().unwrap();
}

/// A token opens what its account may do, until its pod is gone.
pub(crate) async fn token_over_tls(server: &Server, token: &str) {
    let ca = pki(server).ca().to_owned();
    serving(server, |address| async move {
        let ask = |path: &str, token: &str| {
            request(path).header("authorization", format!("Bearer {token}")).body(Full::default()).unwrap()
        };
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let who = Request::post(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::from("{}"))
            .unwrap();
        let (_, _, bytes) = send(connect(address, &ca, None).await, who).await;
        let me: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(me["status"]["userInfo"]["username"], "system:serviceaccount:default:default", "{me}");
        let (code, _, _) = send(connect(address, &ca, None).await, ask(PODS, token)).await;
        assert_eq!(code, 403);
        let (code, _, bytes) = send(connect(address, &ca, None).await, ask("/version", "nonsense")).await;
        assert_eq!(code, 401);
        assert!(String::from_utf8_lossy(&bytes).contains("\"message\":\"Unauthorized\""));
        server.delete(&format!("{PODS}/p")).await.expect(200);
        let (code, _, _) = send(connect(address, &ca, None).await, ask("/apis", token)).await;
        assert_eq!(code, 401, "the pod is gone");
    })
    .await;
}

#[tokio::test]
async fn certificates_say_who_it_is() {
    let server = Server::start().await;
    let pki = pki(&server);
    let jane = pki.client("jane", &[]).unwrap();
    let (ca, admin) = (pki.ca().to_owned(), pki.admin().clone());
    serving(&server, |address| async move {
        let get = |path: &str| request(path).body(Full::default()).unwrap();
        let (code, _, _) = send(connect(address, &ca, Some(&admin)).await, get(PODS)).await;
        assert_eq!(code, 200);
        let (code, _, bytes) = send(connect(address, &ca, Some(&jane)).await, get(PODS)).await;
        assert_eq!(code, 403);
        assert!(String::from_utf8_lossy(&bytes).contains("User \\\"jane\\\""));
        let (code, _, _) = send(connect(address, &ca, None).await, get("/version")).await;
        assert_eq!(code, 200);
    })
    .await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_asks() {
    let server = Server::start().await;
    let mut object = config_map("big");
    object["data"]["key"] = "x".repeat(200 << 10).into();
    server.post(CONFIG_MAPS, &object).await.expect(201);
    let (ca, admin) = (pki(&server).ca().to_owned(), pki(&server).admin().clone());
    serving(&server, |address| async move {
        let zipped = request(CONFIG_MAPS).header("accept-encoding", "gzip").body(Full::default()).unwrap();
        let (_, headers, bytes) = send(connect(address, &ca, Some(&admin)).await, zipped).await;
        assert_eq!(headers["content-encoding"], "gzip");
        assert!(bytes.len() < 20 << 10, "{}", bytes.len());
        let plain = request(CONFIG_MAPS).body(Full::default()).unwrap();
        let (_, headers, bytes) = send(connect(address, &ca, Some(&admin)).await, plain).await;
        assert!(!headers.contains_key("content-encoding"));
        assert!(bytes.len() > 200 << 10);
    })
    .await;
}

#[tokio::test]
async fn a_hundred_megabytes_over_tls_get_their_answer() {
    let server = Server::start().await;
    let (ca, admin) = (pki(&server).ca().to_owned(), pki(&server).admin().clone());
    serving(&server, |address| async move {
        let body = Bytes::from(vec![b' '; 100 << 20]);
        let request = Request::post(CONFIG_MAPS).header("host", "localhost").body(Full::from(body)).unwrap();
        let work = send(connect(address, &ca, Some(&admin)).await, request);
        let (code, _, _) = tokio::time::timeout(Duration::from_secs(20), work).await.unwrap();
        assert_eq!(code, 413);
    })
    .await;
}

#[tokio::test]
async fn the_unix_socket_knows_its_peer_and_watches_end_with_the_server() {
    let server = Server::start().await;
    let path = server.folder.path().join("api.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (server, stop) = (server.server.clone(), stop.clone());
        async move { server.serve_unix(listener, stop).await }
    });
    let get = request(PODS).body(Full::default()).unwrap();
    let (code, _, _) = send(UnixStream::connect(&path).await.unwrap(), get).await;
    assert_eq!(code, 200);
    let watch = request(&format!("{PODS}?watch=1")).body(Full::default()).unwrap();
    let watching = tokio::spawn(send(UnixStream::connect(&path).await.unwrap(), watch));
    let ready = request("/readyz").body(Full::default()).unwrap();
    assert_eq!(send(UnixStream::connect(&path).await.unwrap(), ready).await.0, 200);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(10), watching).await.unwrap().unwrap();
    assert_eq!(server.get("/readyz").await.code, 500);
}
