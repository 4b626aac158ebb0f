//! Published ports against the pod itself, as programs on this machine see them: keep-alive HTTP, new connections, and
//! bytes both ways; past the relay, and through it. The pod is in a namespace of its own, behind a veth pair.
//!
//! Run as root: `cargo bench -p skiff-loadbalancer`; `--json` for machines. All ways are measured in turns, and the
//! medians are of ratios within a turn: other work on the machine then weighs on all of them.

#[path = "relay/net.rs"]
mod net;
#[path = "relay/traffic.rs"]
mod traffic;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use serde_json::json;
use skiff_linux::{detour::Detours, netns};
use skiff_loadbalancer::fixed;

use crate::traffic::{HTTP, SINK, SOURCE};

const TURNS: usize = 7;
const POD: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
/// Where the relay listens, and where a detour leads past a relay.
const RELAYED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const DETOURED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A way of measuring: what it is called, its unit, and how it is done at an address.
type Measure = (&'static str, &'static str, fn(Ipv4Addr) -> f64);

const MEASURES: [Measure; 4] = [
    ("keep-alive HTTP, 16 connections", "requests/s", traffic::keep_alive),
    ("a connection for each request, 4 at a time", "requests/s", traffic::connections),
    ("bytes to the pod, one connection", "MB/s", traffic::upload),
    ("bytes from the pod, one connection", "MB/s", traffic::download),
];

fn main() {
    let node = netns::create().expect("a network namespace, as root");
    netns::within_open(&node, measure).expect("the namespace that was just made");
}

fn measure() {
    net::pod(POD, traffic::serve);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for port in [HTTP, SINK, SOURCE] {
        for listener in [RELAYED, DETOURED] {
            let endpoints = vec![SocketAddr::from((POD, port))];
            runtime.block_on(fixed::relay((listener, port).into(), endpoints)).expect("a free port");
        }
    }
    let mut detours = Detours::new().inspect_err(|error| eprintln!("without detours: {error}")).ok();
    for port in [HTTP, SINK, SOURCE] {
        let Some(detours) = &mut detours else { break };
        detours.set(SocketAddrV4::new(DETOURED, port), &[SocketAddrV4::new(POD, port)]).expect("room for a detour");
    }
    let all: Vec<_> = MEASURES.iter().map(|measure| row(*measure)).collect();
    if std::env::args().any(|argument| argument == "--json") {
        let rows = all
            .iter()
            .map(|row| json!({"what": row.0, "unit": row.1, "direct": row.2, "past": row.3, "through": row.4}));
        println!("{}", serde_json::Value::from_iter(rows));
        return;
    }
    println!("{:<44}{:>12}{:>18}{:>18}", "", "the pod", "past the relay", "through it");
    for (what, unit, direct, past, through) in all {
        println!("{what:<44}{direct:>12.0}{past:>17.2}x{through:>17.2}x  {unit}");
    }
}

/// What the pod does by itself, and the shares of it that are left past the relay and through it.
fn row((what, unit, measure): Measure) -> (&'static str, &'static str, f64, f64, f64) {
    let (mut direct, mut past, mut through) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let alone = measure(POD);
        direct.push(alone);
        past.push(measure(DETOURED) / alone);
        through.push(measure(RELAYED) / alone);
    }
    (what, unit, median(direct), median(past), median(through))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
