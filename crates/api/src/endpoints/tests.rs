//! Endpoint selection against the cases that the Kubernetes documentation describes.

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use serde_json::{Value, json};

use super::*;

const HERE: Place<'static> = Place { node: "here", zone: Some("z1") };

fn service(spec: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n"}, "spec": spec})).unwrap()
}

fn web() -> Service {
    service(json!({"ports": [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080}]}))
}

fn slice(endpoints: Value) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {"name": "s-1", "namespace": "n", "labels": {SERVICE_NAME_LABEL: "s"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    }))
    .unwrap()
}

fn endpoint(ip: &str, node: &str, ready: bool, serving: bool, terminating: bool) -> Value {
    json!({"addresses": [ip], "nodeName": node,
           "conditions": {"ready": ready, "serving": serving, "terminating": terminating}})
}

fn addresses(endpoints: &[Endpoint]) -> Vec<String> {
    endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
}

#[test]
fn ready_endpoints_are_used_and_known_as_local_or_not() {
    let slices = [slice(json!([
        endpoint("10.1.0.3", "there", true, true, false),
        endpoint("10.1.0.2", "here", true, true, false),
        endpoint("10.1.0.4", "here", false, false, false),
    ]))];
    let ports = usable(&web(), &slices, HERE);
    assert_eq!(ports.len(), 1);
    let port = &ports[0];
    assert_eq!(
        (port.name.as_str(), port.port, port.node_port, port.protocol),
        ("http", 80, Some(30080), Protocol::Tcp)
    );
    assert_eq!(addresses(&port.cluster), ["10.1.0.2:8080", "10.1.0.3:8080"]);
    assert_eq!(addresses(&port.local), ["10.1.0.2:8080"]);
    assert_eq!(port.serving.len(), 2);
    assert_eq!(addresses(port.under(true)), ["10.1.0.2:8080"]);
}

#[test]
fn terminating_endpoints_serve_when_nothing_is_ready_per_list() {
    let slices = [slice(json!([
        endpoint("10.1.0.2", "here", false, true, true),
        endpoint("10.1.0.3", "there", true, true, false),
        endpoint("10.1.0.5", "here", false, false, true),
    ]))];
    let port = &usable(&web(), &slices, HERE)[0];
    assert_eq!(addresses(&port.cluster), ["10.1.0.3:8080"]);
    assert_eq!(addresses(&port.local), ["10.1.0.2:8080"]);
}

#[test]
fn missing_conditions_mean_ready() {
    let slices = [slice(json!([{"addresses": ["10.1.0.2"]}]))];
    let port = &usable(&web(), &slices, HERE)[0];
    assert_eq!(addresses(&port.cluster), ["10.1.0.2:8080"]);
    assert!(port.cluster[0].serving && !port.cluster[0].terminating && !port.cluster[0].local);
    assert!(port.local.is_empty());
}

#[test]
fn a_pod_in_two_slices_counts_once_in_its_best_condition() {
    let slices = [
        slice(json!([endpoint("10.1.0.2", "here", false, false, false)])),
        slice(json!([endpoint("10.1.0.2", "here", true, true, false)])),
        slice(json!([endpoint("10.1.0.2", "here", false, true, true)])),
    ];
    let port = &usable(&web(), &slices, HERE)[0];
    assert_eq!(addresses(&port.cluster), ["10.1.0.2:8080"]);
    assert!(port.cluster[0].ready);
}

#[test]
fn ports_are_matched_by_name_and_protocol() {
    let service =
        service(json!({"ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]}));
    let mut udp = slice(json!([endpoint("10.1.0.9", "here", true, true, false)]));
    udp.ports = serde_json::from_value(
        json!([{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "http", "port": 1, "protocol": "UDP"}]),
    )
    .unwrap();
    let ports = usable(&service, &[udp], HERE);
    assert!(ports[0].cluster.is_empty());
    assert_eq!(addresses(&ports[1].cluster), ["10.1.0.9:5353"]);
    assert_eq!(ports[1].protocol.number(), 17);
}

#[test]
fn unusable_ports_and_addresses_are_left_out() {
    let service =
        service(json!({"ports": [{"port": 70000}, {"port": 80, "protocol": "ICMP"}, {"name": "http", "port": 1}]}));
    let slices = [slice(json!([{"addresses": ["not an address"]}, {"addresses": []}, {"addresses": ["10.1.0.2"]}]))];
    let ports = usable(&service, &slices, HERE);
    assert_eq!(ports.len(), 1);
    assert_eq!(addresses(&ports[0].cluster), ["10.1.0.2:8080"]);
    let mut names = slice(json!([{"addresses": ["10.1.0.2"]}]));
    names.address_type = "FQDN".to_owned();
    assert!(usable(&service, &[names], HERE)[0].cluster.is_empty());
}

fn hinted(ip: &str, nodes: &[&str], zones: &[&str]) -> Value {
    let named = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    json!({"addresses": [ip], "hints": {"forNodes": named(nodes), "forZones": named(zones)}})
}

#[test]
fn hints_narrow_by_node_then_by_zone() {
    let both = [slice(json!([hinted("10.1.0.2", &["here"], &["z1"]), hinted("10.1.0.3", &["there"], &["z1"])]))];
    assert_eq!(addresses(&usable(&web(), &both, HERE)[0].cluster), ["10.1.0.2:8080"]);
    let zones = [slice(json!([hinted("10.1.0.2", &[], &["z1"]), hinted("10.1.0.3", &["there"], &["z2"])]))];
    assert_eq!(addresses(&usable(&web(), &zones, HERE)[0].cluster), ["10.1.0.2:8080"]);
    let elsewhere = Place { node: "other", zone: None };
    assert_eq!(usable(&web(), &zones, elsewhere)[0].cluster.len(), 2);
    let other_zone = Place { node: "other", zone: Some("z3") };
    assert_eq!(usable(&web(), &zones, other_zone)[0].cluster.len(), 2);
}

#[test]
fn an_endpoint_without_hints_switches_them_off() {
    let slices = [slice(json!([hinted("10.1.0.2", &[], &["z1"]), {"addresses": ["10.1.0.3"]}]))];
    assert_eq!(usable(&web(), &slices, HERE)[0].cluster.len(), 2);
}

#[test]
fn policies_and_affinity_are_read_as_kubernetes_defaults_them() {
    let local =
        service(json!({"type": "NodePort", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}));
    assert!(external_is_local(&local) && internal_is_local(&local));
    assert!(!external_is_local(&service(json!({"type": "ClusterIP", "externalTrafficPolicy": "Local"}))));
    let reachable = json!({"type": "ClusterIP", "externalTrafficPolicy": "Local", "externalIPs": ["192.0.2.9"]});
    assert!(external_is_local(&service(reachable)));
    assert!(!internal_is_local(&web()));
    assert_eq!(affinity_seconds(&web()), None);
    assert_eq!(affinity_seconds(&service(json!({"sessionAffinity": "ClientIP"}))), Some(10_800));
    let own = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}});
    assert_eq!(affinity_seconds(&service(own)), Some(5));
    assert_eq!(service_of(&slice(json!([]))), Some(("n", "s")));
}
