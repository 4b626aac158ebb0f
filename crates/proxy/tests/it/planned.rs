//! Where packets land, by plan: the semantics of services, traced through the model.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddrV4},
};

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};
use skiff_linux::nft::Rejection;
use skiff_proxy::{Event, Programmer};

use crate::{
    fixture::{CLUSTER_IP, applied, deleted, endpoints, service, settings, slice, synced},
    tracer::{Landing, Model, Packet},
};

const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const POD: [u8; 4] = [10, 1, 0, 9];
const OUTSIDE: [u8; 4] = [203, 0, 113, 5];
const RESET: Landing = Landing::Refused(Rejection::Reset);

/// A model that has taken those events in.
pub(crate) fn programmed(events: impl IntoIterator<Item = Event>) -> Programmer<Model> {
    let own = [NODE, Ipv4Addr::new(10, 1, 0, 1)].into();
    let mut programmer = Programmer::new(Model { own, ..Model::default() }, settings());
    feed(&mut programmer, synced());
    feed(&mut programmer, events);
    programmer
}

/// Takes events in; every commit must be accepted as it is.
pub(crate) fn feed(programmer: &mut Programmer<Model>, events: impl IntoIterator<Item = Event>) {
    let first = programmer.is_stale() || programmer.target().maps.is_empty();
    events.into_iter().for_each(|event| programmer.take(event));
    let round = programmer.round().unwrap();
    assert!(first || !round.rebuilt, "a change was refused");
}

fn both(name: &str, more: Value, at: &[&str]) -> [Event; 2] {
    [applied(service(name, more)), endpoints(slice(name, "TCP", 8080, at))]
}

fn at(ip: [u8; 4]) -> SocketAddrV4 {
    SocketAddrV4::new(ip.into(), 8080)
}

/// Where many packets land.
fn landings(programmer: &mut Programmer<Model>, packet: Packet) -> BTreeSet<String> {
    (0..12).map(|pick| format!("{:?}", programmer.target().trace(packet.picking(pick)))).collect()
}

#[test]
fn a_cluster_ip_leads_to_every_endpoint() {
    let mut web = programmed(both("web", json!({}), &["10.1.0.2@here", "10.1.1.2@there"]));
    assert_eq!(landings(&mut web, Packet::tcp(POD, CLUSTER_IP, 80)).len(), 2);
    assert_eq!(web.target().trace(Packet::tcp(POD, CLUSTER_IP, 80)), Landing::Plain(at([10, 1, 0, 2])));
    // From outside the cluster, the endpoint must answer through us.
    assert_eq!(web.target().trace(Packet::tcp(OUTSIDE, CLUSTER_IP, 80)), Landing::Masqueraded(at([10, 1, 0, 2])));
    // Another port, another protocol, another address of the range: refused.
    assert_eq!(web.target().trace(Packet::tcp(POD, CLUSTER_IP, 81)), RESET);
    assert_eq!(web.target().trace(Packet::udp(POD, CLUSTER_IP, 80)), Landing::Refused(Rejection::PortUnreachable));
    assert_eq!(web.target().trace(Packet::tcp(NODE.octets(), Ipv4Addr::new(10, 99, 0, 1), 1)), RESET);
}

#[test]
fn nobody_there_is_refused_and_terminating_endpoints_are_the_last_resort() {
    let mut web = programmed(both("web", json!({}), &[]));
    assert_eq!(web.target().trace(Packet::tcp(POD, CLUSTER_IP, 80)), RESET);
    feed(&mut web, [endpoints(slice("web", "TCP", 8080, &["10.1.0.2@here!", "10.1.0.3@here"]))]);
    assert_eq!(landings(&mut web, Packet::tcp(POD, CLUSTER_IP, 80)).len(), 1);
    feed(&mut web, [endpoints(slice("web", "TCP", 8080, &["10.1.0.2@here!"]))]);
    assert_eq!(web.target().trace(Packet::tcp(POD, CLUSTER_IP, 80)), Landing::Plain(at([10, 1, 0, 2])));
    feed(&mut web, [deleted(service("web", json!({})))]);
    assert_eq!(web.target().trace(Packet::tcp(POD, CLUSTER_IP, 80)), RESET);
}

#[test]
fn a_pod_that_reaches_itself_is_masqueraded() {
    let mut web = programmed(both("web", json!({}), &["10.1.0.9@here"]));
    assert_eq!(web.target().trace(Packet::tcp(POD, CLUSTER_IP, 80)), Landing::Masqueraded(at(POD)));
    // Two services share the endpoint: the first one's end must not end it for the other.
    let other = json!({"clusterIP": "10.96.0.51", "clusterIPs": ["10.96.0.51"]});
    feed(&mut web, both("other", other, &["10.1.0.9@here"]));
    feed(&mut web, [deleted(service("web", json!({})))]);
    let to = Ipv4Addr::new(10, 96, 0, 51);
    assert_eq!(web.target().trace(Packet::tcp(POD, to, 80)), Landing::Masqueraded(at(POD)));
    feed(&mut web, [endpoints(slice("other", "TCP", 8080, &[]))]);
    assert!(web.target().maps["hairpin"].is_empty());
}

fn node_port(policy: &str) -> Value {
    json!({"type": "NodePort", "externalTrafficPolicy": policy,
           "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}]})
}

#[test]
fn a_node_port_answers_on_every_address_but_loopback() {
    let mut web = programmed(both("web", node_port("Cluster"), &["10.1.0.2@here", "10.1.1.2@there"]));
    let packet = Packet::tcp(OUTSIDE, NODE, 30080);
    assert_eq!(landings(&mut web, packet).len(), 2);
    assert_eq!(web.target().trace(packet), Landing::Masqueraded(at([10, 1, 0, 2])));
    assert_eq!(web.target().trace(Packet::tcp(NODE.octets(), NODE, 30080)), Landing::Masqueraded(at([10, 1, 0, 2])));
    assert_eq!(web.target().trace(Packet::tcp(POD, NODE, 30080)), Landing::Masqueraded(at([10, 1, 0, 2])));
    let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 30080);
    assert_eq!(web.target().trace(Packet::tcp(NODE.octets(), *loopback.ip(), 30080)), Landing::Plain(loopback));
    // That port of anybody else is none of ours; the pod leaves the cluster under the node's address.
    let stranger = Ipv4Addr::new(198, 51, 100, 7);
    assert_eq!(
        web.target().trace(Packet::tcp(POD, stranger, 30080)),
        Landing::Masqueraded(SocketAddrV4::new(stranger, 30080))
    );
    // Nobody there.
    feed(&mut web, [endpoints(slice("web", "TCP", 8080, &[]))]);
    assert_eq!(web.target().trace(packet), RESET);
}

#[test]
fn external_policy_local_keeps_the_client_and_drops_without_local_endpoints() {
    let mut web = programmed(both("web", node_port("Local"), &["10.1.0.2@here", "10.1.1.2@there"]));
    let packet = Packet::tcp(OUTSIDE, NODE, 30080);
    assert_eq!(landings(&mut web, packet), ["Plain(10.1.0.2:8080)".to_owned()].into());
    // Those within the cluster get all endpoints.
    assert_eq!(landings(&mut web, Packet::tcp(POD, NODE, 30080)).len(), 2);
    assert_eq!(landings(&mut web, Packet::tcp(NODE.octets(), NODE, 30080)).len(), 2);
    feed(&mut web, [endpoints(slice("web", "TCP", 8080, &["10.1.1.2@there"]))]);
    assert_eq!(web.target().trace(packet), Landing::Dropped);
    assert_eq!(web.target().trace(Packet::tcp(POD, NODE, 30080)), Landing::Plain(at([10, 1, 1, 2])));
    feed(&mut web, [endpoints(slice("web", "TCP", 8080, &[]))]);
    assert_eq!(web.target().trace(packet), RESET);
}

#[test]
fn internal_policy_local_stays_on_the_node() {
    let local = json!({"internalTrafficPolicy": "Local"});
    let mut web = programmed(both("web", local, &["10.1.0.2@here", "10.1.1.2@there"]));
    let packet = Packet::tcp(POD, CLUSTER_IP, 80);
    assert_eq!(landings(&mut web, packet), ["Plain(10.1.0.2:8080)".to_owned()].into());
    feed(&mut web, [endpoints(slice("web", "TCP", 8080, &["10.1.1.2@there"]))]);
    assert_eq!(web.target().trace(packet), Landing::Dropped);
    feed(&mut web, [endpoints(slice("web", "TCP", 8080, &[]))]);
    assert_eq!(web.target().trace(packet), RESET);
}

fn balancer(mode: &str, more: Value) -> Service {
    let mut service = service("web", json!({"type": "LoadBalancer"}));
    let spec = service.spec.as_mut().unwrap();
    spec.load_balancer_source_ranges =
        more.as_array().map(|ranges| ranges.iter().map(|range| range.as_str().unwrap().to_owned()).collect());
    service.status =
        serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.10", "ipMode": mode}]}}))
            .unwrap();
    service
}

#[test]
fn balancer_addresses_are_served_unless_a_proxy_does() {
    let ip = Ipv4Addr::new(198, 51, 100, 10);
    let slice = || endpoints(slice("web", "TCP", 8080, &["10.1.0.2@here"]));
    let mut web = programmed([applied(balancer("VIP", Value::Null)), slice()]);
    assert_eq!(web.target().trace(Packet::tcp(OUTSIDE, ip, 80)), Landing::Masqueraded(at([10, 1, 0, 2])));
    feed(&mut web, [applied(balancer("Proxy", Value::Null))]);
    assert_eq!(web.target().trace(Packet::tcp(OUTSIDE, ip, 80)), Landing::Plain(SocketAddrV4::new(ip, 80)));
}

#[test]
fn source_ranges_hold_for_the_balancer_only() {
    let ip = Ipv4Addr::new(198, 51, 100, 10);
    let ranges = json!(["203.0.113.0/25", "203.0.113.64/26", " 192.0.2.0/24"]);
    let slice = endpoints(slice("web", "TCP", 8080, &["10.1.0.2@here"]));
    let mut web = programmed([applied(balancer("VIP", ranges)), slice]);
    let answered = Landing::Masqueraded(at([10, 1, 0, 2]));
    assert_eq!(web.target().trace(Packet::tcp(OUTSIDE, ip, 80)), answered);
    assert_eq!(web.target().trace(Packet::tcp([203, 0, 113, 128], ip, 80)), Landing::Dropped);
    assert_eq!(web.target().trace(Packet::tcp(POD, ip, 80)), Landing::Dropped);
    assert_eq!(web.target().trace(Packet::tcp([203, 0, 113, 128], CLUSTER_IP, 80)), answered);
    // Ranges that overlap are one element.
    assert_eq!(web.target().maps["allowed"].len(), 2);
    feed(&mut web, [applied(balancer("VIP", Value::Null))]);
    assert!(web.target().maps["allowed"].is_empty() && web.target().maps["guarded"].is_empty());
}

#[test]
fn external_addresses_are_masqueraded() {
    let spec = json!({"externalIPs": ["198.51.100.20", "127.0.0.9", "not an address"]});
    let mut web = programmed(both("web", spec, &["10.1.0.2@here"]));
    let ip = Ipv4Addr::new(198, 51, 100, 20);
    assert_eq!(web.target().trace(Packet::tcp(POD, ip, 80)), Landing::Masqueraded(at([10, 1, 0, 2])));
    feed(&mut web, [endpoints(slice("web", "TCP", 8080, &[]))]);
    assert_eq!(web.target().trace(Packet::tcp(OUTSIDE, ip, 80)), RESET);
}

#[test]
fn pods_leave_the_cluster_as_the_node_and_meet_each_other_as_themselves() {
    let mut bare = programmed([]);
    let to = |ip| SocketAddrV4::new(ip, 80);
    let (away, pod, group) = (Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(10, 1, 3, 4), Ipv4Addr::new(224, 0, 0, 1));
    assert_eq!(bare.target().trace(Packet::tcp(POD, away, 80)), Landing::Masqueraded(to(away)));
    assert_eq!(bare.target().trace(Packet::tcp(POD, pod, 80)), Landing::Plain(to(pod)));
    assert_eq!(bare.target().trace(Packet::udp(POD, group, 80)), Landing::Plain(to(group)));
    assert_eq!(bare.target().trace(Packet::tcp(OUTSIDE, pod, 80)), Landing::Plain(to(pod)));
    assert_eq!(bare.target().trace(Packet::tcp(NODE.octets(), away, 80)), Landing::Plain(to(away)));
}

#[test]
fn headless_named_and_foreign_services_have_no_rules() {
    let headless = json!({"clusterIP": "None", "clusterIPs": ["None"]});
    let mut web = programmed(both("web", headless, &["10.1.0.2@here"]));
    feed(&mut web, both("name", json!({"type": "ExternalName", "externalName": "example.org"}), &[]));
    let mut foreign = service("foreign", json!({}));
    let label = ("service.kubernetes.io/service-proxy-name".to_owned(), "other".to_owned());
    foreign.metadata.labels = Some([label].into());
    feed(&mut web, [applied(foreign), endpoints(slice("foreign", "TCP", 8080, &["10.1.0.2@here"]))]);
    assert_eq!(web.planner().elements(), 0);
}

#[test]
fn the_oldest_service_has_a_contested_address() {
    let claim = |name, created: &str| {
        let mut claimant =
            service(name, json!({"externalIPs": ["198.51.100.20"], "clusterIP": "", "clusterIPs": ["10.96.1.1"]}));
        if name == "young" {
            claimant.spec.as_mut().unwrap().cluster_ips = Some(vec!["10.96.1.2".to_owned()]);
        }
        claimant.metadata.creation_timestamp = serde_json::from_value(json!(created)).unwrap();
        claimant
    };
    let (old, young) = (claim("old", "2024-01-01T00:00:00Z"), claim("young", "2025-01-01T00:00:00Z"));
    let mut web = programmed([applied(young.clone()), endpoints(slice("young", "TCP", 8080, &["10.1.0.3@here"]))]);
    let packet = Packet::tcp(POD, Ipv4Addr::new(198, 51, 100, 20), 80);
    assert_eq!(web.target().trace(packet), Landing::Masqueraded(at([10, 1, 0, 3])));
    feed(&mut web, [applied(old.clone()), endpoints(slice("old", "TCP", 8080, &["10.1.0.2@here"]))]);
    assert_eq!(web.target().trace(packet), Landing::Masqueraded(at([10, 1, 0, 2])));
    feed(&mut web, [deleted(old)]);
    assert_eq!(web.target().trace(packet), Landing::Masqueraded(at([10, 1, 0, 3])));
    feed(&mut web, [deleted(young)]);
    assert_eq!(web.planner().elements(), 0);
}

#[test]
fn a_refused_change_rebuilds_the_table() {
    let mut web = programmed(both("web", json!({}), &["10.1.0.2@here"]));
    web.target().refusals = 1;
    web.take(endpoints(slice("web", "TCP", 8080, &["10.1.0.3@here"])));
    assert!(web.round().unwrap().rebuilt);
    assert_eq!(web.target().trace(Packet::tcp(POD, CLUSTER_IP, 80)), Landing::Plain(at([10, 1, 0, 3])));
    // Even the rebuild may fail; the next round makes up for it.
    web.target().refusals = 2;
    web.take(endpoints(slice("web", "TCP", 8080, &[])));
    web.round().unwrap_err();
    assert!(web.is_stale());
    assert!(web.round().unwrap().rebuilt && !web.is_stale());
    assert_eq!(web.target().trace(Packet::tcp(POD, CLUSTER_IP, 80)), RESET);
}

#[test]
fn the_work_of_a_change_does_not_grow_with_what_is_there() {
    let mut web = programmed([]);
    for number in 0..200_u8 {
        let ip = format!("10.97.0.{number}");
        let spec = json!({"clusterIP": ip, "clusterIPs": [ip]});
        feed(&mut web, both(&format!("s{number}"), spec, &["10.1.0.2@here", "10.1.0.3@here", "10.1.0.4@here"]));
    }
    web.take(endpoints(slice("s7", "TCP", 8080, &["10.1.0.2@here", "10.1.0.4@here"])));
    let before = web.target().operations;
    web.round().unwrap();
    // One map loses an index and one its size; a chain for two and its rules are new.
    assert!(web.target().operations - before <= 9, "{}", web.target().operations - before);
}
