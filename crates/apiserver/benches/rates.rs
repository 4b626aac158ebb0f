//! Rates of the API server, in process and over TLS: create, get, update, list, watch, delete.
//!
//! `cargo bench -p skiff-apiserver` prints a table and then the same as JSON. By hand: it takes a while.
#![allow(clippy::unwrap_used)]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde_json::json;
use skiff_apiserver::{ApiServer, Config, InProcess, User, pki::Pki};
use skiff_store::{Options, Store};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

const PATH: &str = "/api/v1/namespaces/default/configmaps";

/// How the requests reach the server.
#[derive(Clone)]
enum Client {
    InProcess(InProcess),
    Tls(SendRequest<Full<Bytes>>),
}

impl Client {
    /// Sends a request; returns the code and the length of the answer.
    async fn send(&self, method: Method, path: &str, body: String) -> (u16, usize) {
        let uri = format!("https://127.0.0.1{path}");
        let request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
        let request = request.body(Full::from(body)).unwrap();
        let (code, body) = match self {
            Self::InProcess(service) => {
                let response = service.clone().oneshot(request).await.unwrap();
                (response.status(), response.into_body().collect().await.unwrap().to_bytes())
            }
            Self::Tls(sender) => {
                let response = sender.clone().send_request(request).await.unwrap();
                (response.status(), response.into_body().collect().await.unwrap().to_bytes())
            }
        };
        (code.as_u16(), body.len())
    }
}

struct Report(Vec<(String, f64, &'static str)>);

impl Report {
    fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        let what = what.into();
        println!("{what:<58} {value:>12.1} {unit}");
        self.0.push((what, value, unit));
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn body(name: &str) -> String {
    json!({"metadata": {"name": name}, "data": {"key": "x".repeat(256)}}).to_string()
}

/// `workers` share `count` requests; the rate and the median latency in milliseconds.
async fn rate<F, Fut>(clients: &[Client], workers: usize, count: usize, work: F) -> (f64, f64)
where
    F: Fn(Client, usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let start = Instant::now();
    let tasks = (0..workers).map(|worker| {
        let (client, work) = (clients[worker % clients.len()].clone(), work.clone());
        tokio::spawn(async move {
            let mut times = Vec::new();
            for index in (worker..count).step_by(workers) {
                let start = Instant::now();
                work(client.clone(), index).await;
                times.push(start.elapsed());
            }
            times
        })
    });
    let mut times: Vec<Duration> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    let took = start.elapsed();
    times.sort_unstable();
    (count as f64 / took.as_secs_f64(), times[times.len() / 2].as_secs_f64() * 1000.0)
}

async fn measure(report: &mut Report, how: &str, clients: &[Client]) {
    for (workers, count) in [(1, 1000), (32, 10_000)] {
        let create = move |client: Client, index: usize| async move {
            let sent = client.send(Method::POST, PATH, body(&format!("c{workers}-{index}"))).await;
            assert_eq!(sent.0, 201);
        };
        let (per_second, median) = rate(clients, workers, count, create).await;
        report.add(format!("{how}: create, 256 bytes, {workers} clients"), per_second, "/s");
        report.add(format!("{how}: create, {workers} clients, median"), median, "ms");
    }
    let get = |client: Client, index: usize| async move {
        let sent = client.send(Method::GET, &format!("{PATH}/c32-{}", index % 10_000), String::new()).await;
        assert_eq!(sent.0, 200);
    };
    report.add(format!("{how}: get, 32 clients"), rate(clients, 32, 50_000, get).await.0, "/s");
    let put = |client: Client, index: usize| async move {
        let name = format!("c32-{index}");
        let changed = body(&name).replace("\"key\"", "\"other\"");
        assert_eq!(client.send(Method::PUT, &format!("{PATH}/{name}"), changed).await.0, 200);
    };
    report.add(format!("{how}: update, 32 clients"), rate(clients, 32, 10_000, put).await.0, "/s");
    let (mut best, mut size) = (f64::MAX, 0);
    for _ in 0..5 {
        let start = Instant::now();
        size = clients[0].send(Method::GET, PATH, String::new()).await.1;
        best = best.min(milliseconds(start));
    }
    report.add(format!("{how}: list 11,000 ({:.1} MB)", size as f64 / 1e6), best, "ms");
    let start = Instant::now();
    assert_eq!(clients[0].send(Method::DELETE, PATH, String::new()).await.0, 200);
    report.add(format!("{how}: delete collection of 11,000"), milliseconds(start), "ms");
}

/// Everybody watches while objects are created; the rate of events delivered.
async fn watch(report: &mut Report, how: &str, clients: &[Client], watchers: usize, events: usize) {
    let mut tasks = Vec::new();
    for index in 0..watchers {
        let request = Request::get(format!("https://127.0.0.1{PATH}?watch=1&resourceVersion=0"));
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let body = match clients[index % clients.len()].clone() {
            Client::InProcess(service) => service.oneshot(request).await.unwrap().into_body(),
            Client::Tls(mut sender) => Body::new(sender.send_request(request).await.unwrap().into_body()),
        };
        tasks.push(tokio::spawn(count_lines(body, events)));
    }
    let start = Instant::now();
    let creates =
        (0..events).map(|index| clients[index % clients.len()].send(Method::POST, PATH, body(&format!("w{index}"))));
    join_all(creates).await;
    join_all(tasks).await;
    let rate = (watchers * events) as f64 / start.elapsed().as_secs_f64();
    report.add(format!("{how}: {watchers} watchers x {events} objects"), rate, "events/s");
    assert_eq!(clients[0].send(Method::DELETE, PATH, String::new()).await.0, 200);
}

async fn count_lines(mut body: Body, events: usize) {
    let mut seen = 0;
    while seen < events {
        let frame = body.frame().await.unwrap().unwrap();
        // An event's JSON holds no line break but the one at its end.
        seen += frame.data_ref().unwrap().iter().filter(|byte| **byte == b'\n').count();
    }
}

async fn connect(address: SocketAddr, pki: &Pki) -> Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.ca().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(pki.admin().certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(pki.admin().key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(8 << 20).initial_connection_window_size(64 << 20);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Client::Tls(sender)
}

#[tokio::main]
async fn main() {
    let place = std::env::var("SKIFF_BENCH_DIR").unwrap_or_else(|_| "/var/tmp".to_owned());
    let folder = tempfile::tempdir_in(place).unwrap();
    let store = Store::open(folder.path().join("store"), Options::default()).unwrap();
    let config = Config::with_pki_dir(&folder.path().join("pki"), IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
    let pki = Arc::clone(&config.pki);
    let start = Instant::now();
    let server = ApiServer::new(store, config).await.unwrap();
    let mut report = Report(Vec::new());
    report.add("first start of the API over an open store", milliseconds(start), "ms");
    let inside = [Client::InProcess(server.service_as(User::master("bench")))];
    measure(&mut report, "in process", &inside).await;
    watch(&mut report, "in process", &inside, 1000, 100).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let (server, stop) = (server.clone(), stop.clone());
        async move { server.serve_tls(listener, stop).await }
    });
    let outside: Vec<Client> = join_all((0..32).map(|_| connect(address, &pki))).await;
    measure(&mut report, "TLS", &outside).await;
    watch(&mut report, "TLS", &outside, 1000, 100).await;
    stop.cancel();
    serving.await.unwrap().unwrap();
    let rows = report.0.iter().map(|(what, value, unit)| json!({"what": what, "value": value, "unit": unit}));
    println!("{}", serde_json::Value::from_iter(rows));
}
