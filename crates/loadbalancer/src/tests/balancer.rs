//! The whole component: objects in, sockets and statuses out.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use skiff_client::Informers;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::api::Api;
use crate::{Config, Error, Mode, Refusal, Report, run};

const PATIENCE: Duration = Duration::from_secs(30);
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";

struct Running {
    api: Api,
    report: watch::Receiver<Report>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

fn start(api: &Api, mode: Mode) -> Running {
    let stop = CancellationToken::new();
    let informers = Informers::new(api.client(), stop.clone());
    let (sender, report) = watch::channel(Report::default());
    let config = Config { mode, ..Config::new("here") };
    let token = stop.clone();
    let task = tokio::spawn(async move { run(&informers, config, sender, token).await });
    Running { api: api.clone(), report, stop, task }
}

impl Running {
    /// Waits until the status of a service shows these addresses.
    async fn shows(&self, name: &str, expected: &[&str]) {
        let mut changes = self.api.revision.subscribe();
        let wait = async {
            while addresses(&self.api, name) != expected {
                changes.changed().await.unwrap();
            }
        };
        let shown = timeout(PATIENCE, wait).await;
        assert!(shown.is_ok(), "{name} shows {:?} instead of {expected:?}", addresses(&self.api, name));
    }

    async fn reports(&mut self, wanted: impl FnMut(&Report) -> bool) -> Report {
        timeout(PATIENCE, self.report.wait_for(wanted)).await.unwrap().unwrap().clone()
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

fn addresses(api: &Api, name: &str) -> Vec<String> {
    let service = api.get("services", name).unwrap_or_default();
    let ingress = service["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
    let address = |entry: &Value| entry["hostname"].as_str().or(entry["ip"].as_str()).map(str::to_owned);
    ingress.iter().filter_map(address).collect()
}

/// A backend that greets with `name`, behind a service of that name.
async fn backend(api: &Api, name: &str) -> AbortOnDropHandle<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let slice = json!({
        "metadata": { "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "ports": [{ "name": "", "protocol": "TCP", "port": port }],
        "endpoints": [{ "addresses": ["127.0.0.1"], "conditions": { "ready": true } }],
    });
    api.put(SLICES, name, slice);
    let greeting = name.to_owned();
    AbortOnDropHandle::new(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.writable().await.unwrap();
            stream.try_write(greeting.as_bytes()).unwrap();
        }
    }))
}

fn balanced(api: &Api, name: &str, port: u16, node_port: Option<u16>) {
    let port = json!({ "port": port, "protocol": "TCP", "nodePort": node_port });
    api.put("services", name, json!({ "spec": { "type": "LoadBalancer", "ports": [port] } }));
}

async fn greeting(address: impl Into<SocketAddr>) -> String {
    let mut stream = TcpStream::connect(address.into()).await.unwrap();
    let mut read = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut read)).await.unwrap().unwrap();
    read
}

/// A port below the ephemeral range that is free on loopback now; each caller gets another one.
async fn free_port() -> u16 {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 10_000).unwrap() + 10_000;
    loop {
        let port = start + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if TcpListener::bind(("0.0.0.0", port)).await.is_ok() {
            return port;
        }
    }
}

#[tokio::test]
async fn services_are_published_and_freed() {
    let api = Api::new();
    let mut running = start(&api, Mode::Localhost);
    let (port, node_port) = (free_port().await, free_port().await);
    let _one = backend(&api, "one").await;
    let _two = backend(&api, "two").await;
    running.reports(|_| true).await;
    balanced(&api, "one", port, Some(node_port));
    running.shows("one", &["localhost"]).await;
    balanced(&api, "two", port, None);
    running.shows("two", &["127.0.0.2"]).await;
    assert_eq!(greeting(([127, 0, 0, 1], port)).await, "one");
    assert_eq!(greeting(([127, 0, 0, 1], node_port)).await, "one");
    assert_eq!(greeting(([127, 0, 0, 2], port)).await, "two");
    api.delete("services", "one");
    let left = running.reports(|report| report.listeners.iter().all(|held| held.service.name == "two")).await;
    assert_eq!(left.listeners.len(), 1);
    assert!(TcpStream::connect(("127.0.0.1", node_port)).await.is_err());
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    // The next one gets what was freed.
    let _three = backend(&api, "three").await;
    balanced(&api, "three", port, None);
    running.shows("three", &["localhost"]).await;
    running.end().await;
    assert!(TcpStream::connect(("127.0.0.2", port)).await.is_err(), "the end closes everything");
}

#[tokio::test]
async fn a_port_that_others_hold_is_waited_for() {
    let api = Api::new();
    let port = free_port().await;
    let holder = TcpListener::bind(("0.0.0.0", port)).await.unwrap();
    let _backend = backend(&api, "late").await;
    balanced(&api, "late", port, None);
    let mut running = start(&api, Mode::Localhost);
    let stuck = running.reports(|report| !report.pending.is_empty()).await;
    let Refusal::Held(Some(found)) = &stuck.pending[0].refusal else { panic!("{stuck:?}") };
    assert_eq!(found.pid, std::process::id());
    assert_eq!(stuck.pending[0].port, port);
    let mut changes = api.revision.subscribe();
    let told = timeout(PATIENCE, changes.wait_for(|_| !api.all("events").is_empty())).await.is_ok();
    assert!(told, "an Event tells the user");
    let event = api.all("events")[0].clone();
    assert_eq!((event["type"].as_str(), event["reason"].as_str()), (Some("Warning"), Some("PortNotAvailable")));
    assert!(event["message"].as_str().unwrap().contains(&format!("(pid {})", std::process::id())), "{event}");
    running.shows("late", &[]).await;
    drop(holder);
    running.shows("late", &["localhost"]).await;
    assert_eq!(greeting(([127, 0, 0, 1], port)).await, "late");
    assert!(running.report.borrow().pending.is_empty());
    running.end().await;
}

#[tokio::test]
async fn a_restart_binds_the_same_places() {
    let api = Api::new();
    let port = free_port().await;
    let running = start(&api, Mode::Localhost);
    balanced(&api, "b", port, None);
    running.shows("b", &["localhost"]).await;
    balanced(&api, "a", port, None);
    running.shows("a", &["127.0.0.2"]).await;
    running.end().await;
    let before = *api.revision.borrow();
    let mut again = start(&api, Mode::Localhost);
    let report = again.reports(|report| report.listeners.len() >= 2).await;
    let of_a = report.listeners.iter().find(|held| held.service.name == "a").unwrap();
    assert_eq!(of_a.address, SocketAddr::from(([127, 0, 0, 2], port)));
    assert_eq!(*api.revision.borrow(), before, "nothing had to be written");
    again.end().await;
}

#[tokio::test]
async fn without_load_balancers_node_ports_still_answer() {
    let api = Api::new();
    let (port, node_port) = (free_port().await, free_port().await);
    let _backend = backend(&api, "plain").await;
    balanced(&api, "plain", port, Some(node_port));
    let mut running = start(&api, Mode::None);
    let report = running.reports(|report| !report.listeners.is_empty()).await;
    assert!(report.listeners.iter().all(|held| held.node_port));
    assert_eq!(greeting(([127, 0, 0, 1], node_port)).await, "plain");
    assert_eq!(addresses(&api, "plain"), [""; 0]);
    running.end().await;
}

#[tokio::test]
async fn a_service_that_is_no_longer_published_says_so() {
    let api = Api::new();
    let port = free_port().await;
    let running = start(&api, Mode::Localhost);
    balanced(&api, "fickle", port, None);
    running.shows("fickle", &["localhost"]).await;
    let mut service = api.get("services", "fickle").unwrap();
    service["spec"]["type"] = json!("ClusterIP");
    api.put("services", "fickle", service);
    running.shows("fickle", &[]).await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    running.end().await;
}

#[tokio::test]
async fn all_addresses_are_no_address() {
    let informers = Informers::new(Api::new().client(), CancellationToken::new());
    let config = Config { addresses: vec!["0.0.0.0".parse().unwrap()], ..Config::new("here") };
    let (sender, _) = watch::channel(Report::default());
    assert!(run(&informers, config, sender, CancellationToken::new()).await.is_err());
}

/// Whether `address` connects to the relay, rather than past it.
async fn is_relayed(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.unwrap().peer_addr().unwrap() == address
}

#[tokio::test]
async fn programs_on_this_machine_are_led_past_the_relay() {
    if let Err(error) = skiff_linux::detour::Detours::new() {
        return eprintln!("skipped: {error}");
    }
    let api = Api::new();
    let port = free_port().await;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let _backend = backend(&api, "plain").await;
    balanced(&api, "plain", port, None);
    let running = start(&api, Mode::Localhost);
    running.shows("plain", &["localhost"]).await;
    assert!(!is_relayed(address).await);
    assert_eq!(greeting(address).await, "plain");
    assert!(TcpListener::bind(address).await.is_err(), "the port is held all the same");
    let mut service = api.get("services", "plain").unwrap();
    service["spec"]["loadBalancerSourceRanges"] = json!(["192.0.2.0/24"]);
    api.put("services", "plain", service);
    let turned = timeout(PATIENCE, async {
        while !is_relayed(address).await {
            tokio::task::yield_now().await;
        }
    });
    assert!(turned.await.is_ok(), "who is turned away must come to the relay");
    running.end().await;
    assert!(TcpStream::connect(address).await.is_err(), "nothing leads past a listener that is gone");
}
