//! Clients stay with their endpoint: while it is there, over restarts, and not a moment longer.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use skiff_linux::nft::Kernel;
use skiff_proxy::{AFFINITY, Programmer};

use crate::{
    fixture::{CLUSTER_IP, applied, endpoints, service, settings, slice, synced},
    lab::{NODE_IP, Node, Pod, ask, on_node},
    planned::{feed, programmed},
    tracer::{Landing, Packet},
};

fn sticky(seconds: u32) -> Value {
    json!({"type": "NodePort", "sessionAffinity": "ClientIP",
           "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}},
           "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]})
}

fn at(pods: &[Pod]) -> Vec<String> {
    pods.iter().map(|pod| format!("{}@here", pod.ip)).collect()
}

fn texts(at: &[String]) -> Vec<&str> {
    at.iter().map(String::as_str).collect()
}

fn serving(node: &mut Node, count: usize) -> Vec<Pod> {
    let pods: Vec<Pod> = (0..count).map(|_| node.pod()).collect();
    pods.iter().for_each(Pod::serve);
    pods
}

fn reached(client: &Pod, to: (Ipv4Addr, u16)) -> BTreeSet<Ipv4Addr> {
    client.run(|| (0..12).map(|_| ask(to).pod()).collect())
}

#[test]
fn a_client_keeps_its_endpoint_until_that_goes() {
    on_node(|node| {
        let pods = serving(node, 4);
        let client = node.pod();
        let mut at = at(&pods);
        node.take([applied(service("web", sticky(3600))), endpoints(slice("web", "TCP", 8080, &texts(&at)))]);
        let first = reached(&client, (CLUSTER_IP, 80));
        assert_eq!(first.len(), 1, "{first:?}");
        // By whichever address of the service.
        assert_eq!(reached(&client, (NODE_IP, 30080)), first);
        // Another server takes over: nobody notices.
        node.programmer = Programmer::new(Kernel::open("skiff").unwrap(), settings());
        let events = [applied(service("web", sticky(3600))), endpoints(slice("web", "TCP", 8080, &texts(&at)))];
        assert!(node.take(events.into_iter().chain(synced())).rebuilt);
        assert_eq!(reached(&client, (CLUSTER_IP, 80)), first);
        // The endpoint goes: another one, and again always the same.
        let gone = first.first().unwrap().to_string();
        at.retain(|at| !at.starts_with(&format!("{gone}@")));
        node.take([endpoints(slice("web", "TCP", 8080, &texts(&at)))]);
        let second = reached(&client, (CLUSTER_IP, 80));
        assert!(second.len() == 1 && second != first, "{second:?}");
    });
}

#[test]
fn clients_are_forgotten_after_the_time() {
    on_node(|node| {
        let pods = serving(node, 2);
        let client = node.pod();
        node.take([applied(service("web", sticky(3))), endpoints(slice("web", "TCP", 8080, &texts(&at(&pods))))]);
        client.run(|| ask((CLUSTER_IP, 80)));
        let start = Instant::now();
        let remembered = |node: &mut Node| node.programmer.target().elements(AFFINITY).unwrap();
        assert_eq!(remembered(node).len(), 1);
        while !remembered(node).is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
}

#[test]
fn each_client_has_its_own_and_a_policy_is_stronger() {
    let endpoints_at = |at: &[&str]| endpoints(slice("web", "TCP", 8080, at));
    let mut web = programmed([applied(service("web", sticky(60))), endpoints_at(&["10.1.0.2@here", "10.1.1.2@there"])]);
    let from = |client: u8, pick| Packet::tcp([203, 0, 113, client], Ipv4Addr::new(192, 0, 2, 1), 30080).picking(pick);
    let landed = |ip: [u8; 4]| Landing::Masqueraded(std::net::SocketAddrV4::new(ip.into(), 8080));
    assert_eq!(web.target().trace(from(1, 1)), landed([10, 1, 1, 2]));
    assert_eq!(web.target().trace(from(2, 0)), landed([10, 1, 0, 2]));
    assert_eq!(web.target().trace(from(1, 0)), landed([10, 1, 1, 2]));
    // Only the node's own endpoints from now on: what was remembered does not count.
    let mut local = sticky(60);
    local["externalTrafficPolicy"] = json!("Local");
    feed(&mut web, [applied(service("web", local))]);
    let plain = Landing::Plain("10.1.0.2:8080".parse().unwrap());
    assert_eq!(web.target().trace(from(1, 1)), plain);
    assert_eq!(web.target().maps[AFFINITY].len(), 2);
}
