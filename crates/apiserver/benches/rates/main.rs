//! Rates of the API server, in process and from another process over each kind of connection: create, get, update,
//! list, watch, delete. Beside each rate stands the processor time that the server itself took. etcd alone, on the same
//! disk, is measured in the same run.
//!
//! `cargo bench -p skiff-apiserver` prints a table and then the same as JSON. By hand: it takes a while. Words after
//! `--` choose what is measured: `etcd`, `inside`, `crowd`, `unix`, `tls`, `http2`, `shared`, and of those `requests` or `watch`.
#![allow(clippy::unwrap_used)]

mod etcd;
mod load;
mod wire;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use futures::future::join_all;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use skiff_apiserver::{ApiServer, Config, InProcess, User};
use skiff_store::{Options, Store};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    load::{Task, Way, What},
    wire::Place,
};

pub(crate) const PATH: &str = "/api/v1/namespaces/default/configmaps";

/// Sends a request within the process; returns the code and the length of the answer.
async fn send(client: &InProcess, method: Method, path: &str, body: String) -> (u16, usize) {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.body(Full::from(body)).unwrap();
    let response = client.clone().oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    (code, response.into_body().collect().await.unwrap().to_bytes().len())
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

pub(crate) fn body(name: &str) -> String {
    json!({"metadata": {"name": name}, "data": {"key": "x".repeat(256)}}).to_string()
}

/// `workers` share `count` requests; the rate and the median latency in milliseconds.
async fn rate<F, Fut>(client: &InProcess, workers: usize, count: usize, work: F) -> (f64, f64)
where
    F: Fn(InProcess, usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let start = Instant::now();
    let tasks = (0..workers).map(|worker| {
        let (client, work) = (client.clone(), work.clone());
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

async fn inside(report: &mut Report, client: &InProcess) {
    let how = "in process";
    for (workers, count) in [(1, 1000), (32, 10_000)] {
        let create = move |client: InProcess, index: usize| async move {
            let sent = send(&client, Method::POST, PATH, body(&format!("c{workers}-{index}"))).await;
            assert_eq!(sent.0, 201);
        };
        let (per_second, median) = rate(client, workers, count, create).await;
        report.add(format!("{how}: create, 256 bytes, {workers} clients"), per_second, "/s");
        report.add(format!("{how}: create, {workers} clients, median"), median, "ms");
    }
    let get = |client: InProcess, index: usize| async move {
        let path = format!("{PATH}/c32-{}", index % 10_000);
        assert_eq!(send(&client, Method::GET, &path, String::new()).await.0, 200);
    };
    report.add(format!("{how}: get, 32 clients"), rate(client, 32, 50_000, get).await.0, "/s");
    let put = |client: InProcess, index: usize| async move {
        let name = format!("c32-{index}");
        let changed = body(&name).replace("\"key\"", "\"other\"");
        assert_eq!(send(&client, Method::PUT, &format!("{PATH}/{name}"), changed).await.0, 200);
    };
    report.add(format!("{how}: update, 32 clients"), rate(client, 32, 10_000, put).await.0, "/s");
    let (mut best, mut size) = (f64::MAX, 0);
    for _ in 0..5 {
        let start = Instant::now();
        size = send(client, Method::GET, PATH, String::new()).await.1;
        best = best.min(milliseconds(start));
    }
    report.add(format!("{how}: list 11,000 ({:.1} MB)", size as f64 / 1e6), best, "ms");
    let start = Instant::now();
    assert_eq!(send(client, Method::DELETE, PATH, String::new()).await.0, 200);
    report.add(format!("{how}: delete collection of 11,000"), milliseconds(start), "ms");
}

/// What others keep and watch must cost nobody anything: the same requests alone, and beside a crowd.
async fn crowded(report: &mut Report, client: &InProcess) {
    const OTHERS: &str = "/api/v1/namespaces/kube-public/configmaps";
    const WATCHED: &str = "/api/v1/secrets?watch=1";
    let mut watching = Vec::new();
    for (stem, how) in [("a", "alone"), ("b", "beside 100,000 objects, 1,000 watchers")] {
        if stem == "b" {
            let fill = |client: InProcess, index: usize| async move {
                assert_eq!(send(&client, Method::POST, OTHERS, body(&format!("o-{index}"))).await.0, 201);
            };
            rate(client, 64, 100_000, fill).await;
            for _ in 0..1000 {
                let request = Request::get(WATCHED).body(Full::new(Bytes::new())).unwrap();
                watching.push(client.clone().oneshot(request).await.unwrap().into_body());
            }
        }
        let create = move |client: InProcess, index: usize| async move {
            assert_eq!(send(&client, Method::POST, PATH, body(&format!("{stem}-{index}"))).await.0, 201);
        };
        report.add(format!("{how}: create, 32 clients"), rate(client, 32, 10_000, create).await.0, "/s");
        let get = move |client: InProcess, index: usize| async move {
            let path = format!("{PATH}/{stem}-{}", index % 10_000);
            assert_eq!(send(&client, Method::GET, &path, String::new()).await.0, 200);
        };
        report.add(format!("{how}: get, 32 clients"), rate(client, 32, 50_000, get).await.0, "/s");
        assert_eq!(send(client, Method::DELETE, PATH, String::new()).await.0, 200);
    }
    assert_eq!(send(client, Method::DELETE, OTHERS, String::new()).await.0, 200);
}

/// Everybody watches while objects are created; the rate of events delivered.
async fn watch_inside(report: &mut Report, client: &InProcess, watchers: usize, events: usize) {
    let mut tasks = Vec::new();
    for _ in 0..watchers {
        let request = Request::get(format!("{PATH}?watch=1&resourceVersion=0")).body(Full::new(Bytes::new())).unwrap();
        tasks.push(tokio::spawn(count_lines(client.clone().oneshot(request).await.unwrap().into_body(), events)));
    }
    let start = Instant::now();
    join_all((0..events).map(|index| send(client, Method::POST, PATH, body(&format!("w{index}"))))).await;
    join_all(tasks).await;
    let rate = (watchers * events) as f64 / start.elapsed().as_secs_f64();
    report.add(format!("in process: {watchers} watchers x {events} objects"), rate, "events/s");
    assert_eq!(send(client, Method::DELETE, PATH, String::new()).await.0, 200);
}

async fn count_lines(mut body: Body, events: usize) {
    let mut seen = 0;
    while seen < events {
        let frame = body.frame().await.unwrap().unwrap();
        // An event's JSON holds no line break but the one at its end.
        seen += frame.data_ref().unwrap().iter().filter(|byte| **byte == b'\n').count();
    }
}

/// What another process finds.
fn outside(report: &mut Report, place: &Place, way: Way) {
    let tasks = [
        ("create, 1 client", What::Create, 1, 1000),
        ("create, 32 clients", What::Create, 32, 10_000),
        ("get, 32 clients", What::Get, 32, 40_000),
        ("update, 32 clients", What::Put, 32, 10_000),
    ];
    for (name, what, clients, count) in tasks {
        let found = load::run(&Task { place: place.clone(), way, what, clients, count });
        report.add(format!("{way:?}: {name}"), found.rate(), "/s");
        report.add(format!("{way:?}: {name}, median"), found.median, "ms");
        report.add(format!("{way:?}: {name}, server's own time"), found.server, "us each");
    }
}

fn watch_outside(report: &mut Report, place: &Place, way: Way) {
    for (name, pause) in [("at once", 0), ("100 a second", 10)] {
        let task = Task { place: place.clone(), way, what: What::Watch { pause }, clients: 1000, count: 100 };
        let found = load::run(&task);
        report.add(format!("{way:?}: 1000 watchers x 100 objects {name}"), found.rate(), "events/s");
        report.add(format!("{way:?}: 1000 watchers, {name}, p99"), found.p99, "ms");
        report.add(format!("{way:?}: 1000 watchers, {name}, server's own time"), found.server, "us each");
    }
}

/// What was asked for on the command line; all, if nothing.
struct Chosen(Vec<String>);

impl Chosen {
    fn of_command_line() -> Self {
        Self(std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect())
    }

    fn has(&self, word: &str, among: &[&str]) -> bool {
        self.0.iter().any(|own| own == word) || !self.0.iter().any(|own| among.contains(&own.as_str()))
    }

    fn way(&self, way: &str) -> bool {
        self.has(way, &["etcd", "inside", "crowd", "unix", "tls", "http2", "shared"])
    }

    fn part(&self, part: &str) -> bool {
        self.has(part, &["requests", "watch"])
    }
}

async fn measure(report: &mut Report, server: &ApiServer, place: &Place, chosen: &Chosen) {
    let client = server.service_as(User::master("bench"));
    if chosen.way("inside") && chosen.part("requests") {
        inside(report, &client).await;
    }
    if chosen.way("inside") && chosen.part("watch") {
        watch_inside(report, &client, 1000, 100).await;
    }
    if chosen.way("crowd") {
        crowded(report, &client).await;
    }
    for (name, way) in [("unix", Way::Unix), ("tls", Way::Tls), ("http2", Way::Http2), ("shared", Way::Shared)] {
        if chosen.way(name) && chosen.part("requests") {
            tokio::task::block_in_place(|| outside(report, place, way));
            assert_eq!(send(&client, Method::DELETE, PATH, String::new()).await.0, 200);
        }
        if chosen.way(name) && chosen.part("watch") && way != Way::Shared {
            tokio::task::block_in_place(|| watch_outside(report, place, way));
            assert_eq!(send(&client, Method::DELETE, PATH, String::new()).await.0, 200);
        }
    }
}

async fn bench() {
    let directory = std::env::var("SKIFF_BENCH_DIR").unwrap_or_else(|_| "/var/tmp".to_owned());
    let folder = tempfile::tempdir_in(directory).unwrap();
    let store = Store::open(folder.path().join("store"), Options::default()).unwrap();
    let config = Config::with_pki_dir(&folder.path().join("pki"), IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
    let pki = Arc::clone(&config.pki);
    let start = Instant::now();
    let server = ApiServer::new(store, config).await.unwrap();
    let mut report = Report(Vec::new());
    report.add("first start of the API over an open store", milliseconds(start), "ms");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = Place {
        address: listener.local_addr().unwrap(),
        socket: folder.path().join("api.sock"),
        ca: pki.ca().to_owned(),
        certificate: pki.admin().certificate.clone(),
        key: pki.admin().key.clone(),
    };
    let socket = tokio::net::UnixListener::bind(&place.socket).unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let (server, stop) = (server.clone(), stop.clone());
        async move { tokio::join!(server.serve_tls(listener, stop.clone()), server.serve_unix(socket, stop)).0 }
    });
    let chosen = Chosen::of_command_line();
    if chosen.way("etcd") {
        etcd::measure(&mut report, folder.path()).await;
    }
    measure(&mut report, &server, &place, &chosen).await;
    stop.cancel();
    serving.await.unwrap().unwrap();
    let rows = report.0.iter().map(|(what, value, unit)| json!({"what": what, "value": value, "unit": unit}));
    println!("{}", serde_json::Value::from_iter(rows));
}

fn main() {
    if let Ok(task) = std::env::var(load::TASK) {
        return load::main(&task);
    }
    load::many_descriptors();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(bench());
}
