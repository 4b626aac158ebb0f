//! Who gets which place: pure.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};
use skiff_api::endpoints::Protocol;

use crate::{
    LOOPBACK,
    index::{Index, Place, Port, ServiceKey, Wanted},
    plan::{Plan, Refusal, Request, Socket, Taken, plan},
    status,
};

fn key(name: &str) -> ServiceKey {
    ServiceKey { namespace: "default".to_owned(), name: name.to_owned() }
}

fn port(number: u16) -> Port {
    Port { protocol: Protocol::Tcp, number }
}

fn own(last: u8) -> Place {
    Place::Own(Ipv4Addr::new(127, 0, 0, last))
}

#[derive(Default)]
struct World {
    wanted: BTreeMap<ServiceKey, Wanted>,
    places: BTreeMap<ServiceKey, Place>,
    taken: Taken,
}

impl World {
    fn add(&mut self, name: &str, ports: &[Port], node_ports: &[(Port, u16)], published: Option<Place>) {
        let wanted = Wanted { created: None, balanced: ports.to_vec(), node_ports: node_ports.to_vec(), published };
        self.wanted.insert(key(name), wanted);
    }

    fn take(&mut self, address: IpAddr, number: u16, everywhere: bool) {
        self.taken.note(Socket { protocol: Protocol::Tcp, address, port: number }, everywhere, Refusal::Held(None));
    }

    fn plan(&mut self) -> Plan {
        let (wanted, places, taken) = (&self.wanted, &self.places, &self.taken);
        let made = plan(Request { wanted, places, shared: &LOOPBACK, node: &LOOPBACK, own: true, taken });
        self.places.clone_from(&made.places);
        made
    }

    fn place(&mut self, name: &str) -> Option<Place> {
        self.plan().places.get(&key(name)).copied()
    }
}

#[test]
fn services_share_localhost_while_their_ports_differ() {
    let mut world = World::default();
    world.add("a", &[port(80), port(443)], &[], None);
    world.add("b", &[Port { protocol: Protocol::Udp, number: 80 }], &[], None);
    let made = world.plan();
    assert_eq!((made.places[&key("a")], made.places[&key("b")]), (Place::Shared, Place::Shared));
    assert_eq!(made.listeners.len(), 6, "both loopback addresses");
    assert!(made.problems.is_empty());
}

#[test]
fn a_second_service_on_a_port_gets_its_own_address_and_keeps_it() {
    let mut world = World::default();
    for name in ["a", "b", "c"] {
        world.add(name, &[port(80)], &[], None);
    }
    assert_eq!(world.place("a"), Some(Place::Shared));
    assert_eq!((world.place("b"), world.place("c")), (Some(own(2)), Some(own(3))));
    world.wanted.remove(&key("a"));
    world.wanted.remove(&key("b"));
    assert_eq!(world.place("c"), Some(own(3)), "a place is kept");
    world.add("d", &[port(80)], &[], None);
    world.add("e", &[port(80)], &[], None);
    assert_eq!((world.place("d"), world.place("e")), (Some(Place::Shared), Some(own(2))));
}

#[test]
fn all_ports_are_had_or_none() {
    let mut world = World::default();
    world.add("a", &[port(80)], &[], None);
    world.add("b", &[port(80), port(81)], &[], None);
    let made = world.plan();
    assert_eq!(made.places[&key("b")], own(2));
    assert!(!made.listeners.contains_key(&Socket { protocol: Protocol::Tcp, address: LOOPBACK[0], port: 81 }));
}

#[test]
fn foreign_holders_are_avoided_or_named() {
    let mut world = World::default();
    world.add("a", &[port(80)], &[], None);
    world.take(LOOPBACK[0], 80, false);
    world.take(IpAddr::from([127, 0, 0, 2]), 80, false);
    assert_eq!(world.place("a"), Some(own(3)));
    world.take(LOOPBACK[0], 80, true);
    let made = world.plan();
    assert!(made.places.is_empty() && made.listeners.is_empty());
    assert_eq!(made.problems[&key("a")][0].refusal, Refusal::Held(None));
}

#[test]
fn node_ports_come_first() {
    let mut world = World::default();
    world.add("a", &[port(30_080)], &[], None);
    assert_eq!(world.place("a"), Some(Place::Shared));
    world.add("b", &[port(80)], &[(port(30_080), 80)], None);
    let made = world.plan();
    assert_eq!((made.places[&key("a")], made.places[&key("b")]), (own(2), Place::Shared));
    world.take(LOOPBACK[0], 30_080, false);
    let made = world.plan();
    assert_eq!(made.places[&key("b")], Place::Shared, "a node port that is taken does not unpublish");
    assert!(made.problems[&key("b")][0].node_port);
}

#[test]
fn a_restart_changes_nothing() {
    let mut world = World::default();
    world.add("a", &[port(80)], &[], None);
    world.add("b", &[port(80)], &[], Some(Place::Shared));
    world.add("c", &[port(80)], &[], Some(own(9)));
    assert_eq!(world.place("b"), Some(Place::Shared));
    assert_eq!((world.place("c"), world.place("a")), (Some(own(9)), Some(own(2))));
}

#[test]
fn sctp_stays_pending() {
    let mut world = World::default();
    world.add("a", &[Port { protocol: Protocol::Sctp, number: 80 }], &[], None);
    assert_eq!(world.plan().problems[&key("a")][0].refusal, Refusal::Protocol);
}

fn service(spec: Value, status: Value) -> Arc<Service> {
    let object = json!({ "metadata": { "namespace": "default", "name": "a" }, "spec": spec, "status": status });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn wanted(spec: Value, status: Value) -> Option<Wanted> {
    let mut index = Index::default();
    index.apply_service(service(spec, status));
    index.wanted(&key("a"), true)
}

#[test]
fn only_our_services_are_wanted() {
    let ports = json!([{ "port": 80, "nodePort": 30_080 }, { "port": 53, "protocol": "UDP" }]);
    let ours = wanted(json!({ "type": "LoadBalancer", "ports": ports }), json!({})).unwrap();
    assert_eq!(ours.balanced, [port(80), Port { protocol: Protocol::Udp, number: 53 }]);
    assert_eq!(ours.node_ports, [(port(30_080), 80)]);
    let foreign = json!({ "type": "LoadBalancer", "loadBalancerClass": "example.com/other", "ports": ports });
    assert_eq!(wanted(foreign, json!({})).unwrap().balanced, []);
    let inner = json!({ "type": "ClusterIP", "ports": [{ "port": 80 }] });
    assert_eq!(wanted(inner, json!({})), None);
}

#[test]
fn statuses_are_read_as_they_are_written() {
    let ports = [port(80)];
    for place in [Place::Shared, own(7)] {
        let ingress = status::published(place, &LOOPBACK, &ports);
        assert!(status::is_of_our_making(&ingress));
        let spec = json!({ "type": "LoadBalancer", "ports": [{ "port": 80 }] });
        let read = wanted(spec, json!({ "loadBalancer": { "ingress": ingress } })).unwrap();
        assert_eq!(read.published, Some(place));
    }
    let shown = serde_json::to_value(status::published(own(7), &LOOPBACK, &ports)).unwrap();
    assert_eq!(shown, json!([{ "ip": "127.0.0.7", "ipMode": "Proxy", "ports": [{ "port": 80, "protocol": "TCP" }] }]));
    let shown = serde_json::to_value(status::published(Place::Shared, &LOOPBACK, &ports)).unwrap();
    assert_eq!(shown, json!([{ "hostname": "localhost", "ports": [{ "port": 80, "protocol": "TCP" }] }]));
    let other = json!([{ "ip": "192.0.2.1", "ipMode": "VIP" }]);
    assert!(!status::is_of_our_making(&serde_json::from_value::<Vec<_>>(other).unwrap()));
}
