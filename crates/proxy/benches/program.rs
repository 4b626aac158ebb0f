//! How long it takes to program ten thousand services with three endpoints each from nothing, and then to
//! change one of them. Needs root: runs in a network namespace of its own. `--json` for machines.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use serde_json::{Value, json};
use skiff_client::Delta;
use skiff_linux::{netns, nft::Kernel};
use skiff_proxy::{Event, Programmer, Settings};

const SERVICES: u32 = 10_000;
const CHANGES: u32 = 200;

fn main() {
    let namespace = netns::create().expect("a network namespace, as root");
    let figures = netns::within_open(&namespace, measure).expect("the namespace that was just made");
    if std::env::args().any(|argument| argument == "--json") {
        let pairs: serde_json::Map<String, Value> =
            figures.iter().map(|(name, took)| ((*name).to_owned(), json!(took.as_secs_f64() * 1e3))).collect();
        println!("{}", Value::Object(pairs));
        return;
    }
    for (name, took) in figures {
        println!("{name:<46} {:>9.3} ms", took.as_secs_f64() * 1e3);
    }
}

fn measure() -> Vec<(&'static str, Duration)> {
    let settings = Settings {
        node: "here".to_owned(),
        zone: None,
        node_ip: None,
        cluster_cidr: "10.1.0.0/16".parse().expect("a network"),
        service_cidr: "10.96.0.0/12".parse().expect("a network"),
        dns_address: None,
    };
    let mut programmer = Programmer::new(Kernel::open("skiff").expect("nf_tables"), settings);
    for event in [Event::Service(Delta::Synced), Event::Slice(Delta::Synced)] {
        programmer.take(event);
    }
    let alone = programmer_alone(&mut programmer);
    for number in 0..SERVICES {
        programmer.take(service(number));
        programmer.take(slice(number, &[2, 3, 4]));
    }
    let load = round(&mut programmer);
    let (mut endpoint, mut created) = (Vec::new(), Vec::new());
    for number in 0..CHANGES {
        programmer.take(slice(number, &[2, 4]));
        endpoint.push(round(&mut programmer));
        programmer.take(service(SERVICES + 1 + number));
        programmer.take(slice(SERVICES + 1 + number, &[2, 3]));
        created.push(round(&mut programmer));
    }
    vec![
        ("endpoint gone, alone, median", alone),
        ("10,000 services x 3 endpoints from nothing", load),
        ("endpoint gone, among 10,000, median", median(&mut endpoint)),
        ("endpoint gone, among 10,000, worst", endpoint.last().copied().unwrap_or_default()),
        ("service created, among 10,000, median", median(&mut created)),
        ("service created, among 10,000, worst", created.last().copied().unwrap_or_default()),
    ]
}

/// One service and nothing else: what a change must cost.
fn programmer_alone(programmer: &mut Programmer<Kernel>) -> Duration {
    programmer.take(service(SERVICES));
    programmer.take(slice(SERVICES, &[2, 3, 4]));
    round(programmer);
    let mut times = Vec::new();
    for _ in 0..CHANGES {
        programmer.take(slice(SERVICES, &[2, 4]));
        times.push(round(programmer));
        programmer.take(slice(SERVICES, &[2, 3, 4]));
        round(programmer);
    }
    median(&mut times)
}

fn round(programmer: &mut Programmer<Kernel>) -> Duration {
    programmer.round().expect("the kernel to take it").took.expect("something to do")
}

/// Also sorts.
fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn service(number: u32) -> Event {
    let ip = format!("10.97.{}.{}", number / 250, 1 + number % 250);
    let object: Service = typed(json!({
        "metadata": {"name": format!("s{number}"), "namespace": "default"},
        "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ports": [{"port": 80}]},
    }));
    Event::Service(Delta::Applied { object: Arc::new(object), previous: None })
}

fn slice(number: u32, hosts: &[u8]) -> Event {
    let endpoints: Vec<Value> =
        hosts.iter().map(|host| json!({"addresses": [format!("10.1.0.{host}")], "nodeName": "here"})).collect();
    let object: EndpointSlice = typed(json!({
        "metadata": {
            "name": format!("s{number}-1"), "namespace": "default",
            "labels": {"kubernetes.io/service-name": format!("s{number}")},
        },
        "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints,
    }));
    Event::Slice(Delta::Applied { object: Arc::new(object), previous: None })
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a well-formed object")
}
