//! Claims, refusals and what comes back.

use serde_json::{Value, json};

use super::{AllocationError, Allocator, PoolError};

fn allocator() -> Allocator {
    Allocator::new("10.96.0.0/12".parse().unwrap(), (30000, 32767))
}

fn service(spec: Value) -> Value {
    json!({"metadata": {"name": "s"}, "spec": spec})
}

#[test]
fn a_cluster_ip_is_given_once() {
    let allocator = allocator();
    let mut first = service(json!({"type": "ClusterIP", "clusterIP": "10.96.0.1", "selector": {"a": "b"}}));
    allocator.create(&mut first).unwrap().commit();
    assert_eq!(first["spec"]["clusterIPs"], json!(["10.96.0.1"]));
    assert_eq!(first["spec"]["ipFamilies"], json!(["IPv4"]));
    let mut second = first.clone();
    let error = allocator.create(&mut second).err().unwrap();
    assert_eq!(error.to_string(), "failed to allocate IP 10.96.0.1: provided IP is already allocated");
    allocator.release(&first);
    allocator.create(&mut second).unwrap().commit();
}

#[test]
fn a_failed_write_gives_back() {
    let allocator = allocator();
    let mut wanted = service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}));
    drop(allocator.create(&mut wanted.clone()).unwrap());
    allocator.create(&mut wanted).unwrap().commit();
    let error = allocator.create(&mut service(wanted["spec"].clone())).err().unwrap();
    assert!(matches!(error, AllocationError::Address { .. }), "{error}");
}

#[test]
fn node_ports_out_of_range_or_taken_are_refused() {
    let allocator = allocator();
    let ask = |port: i64| service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}));
    let error = allocator.create(&mut ask(70000)).err().unwrap();
    assert_eq!(error.to_string(), "provided port is not in the valid range. The range of valid ports is 30000-32767");
    allocator.create(&mut ask(30080)).unwrap().commit();
    let error = allocator.create(&mut ask(30080)).err().unwrap();
    assert_eq!(error, AllocationError::Port { index: 0, port: 30080, source: PoolError::PortTaken });
}

#[test]
fn chance_prefers_the_dynamic_band_and_ends_when_full() {
    let allocator = Allocator::new("10.96.0.0/12".parse().unwrap(), (30000, 30099));
    let one = || service(json!({"type": "NodePort", "ports": [{"port": 80}]}));
    for _ in 0..84 {
        let mut next = one();
        allocator.create(&mut next).unwrap().commit();
        assert!(next["spec"]["ports"][0]["nodePort"].as_u64().unwrap() >= 30016, "{next}");
    }
    for _ in 0..16 {
        allocator.create(&mut one()).unwrap().commit();
    }
    assert_eq!(allocator.create(&mut one()).err().unwrap(), AllocationError::NoPort(PoolError::Full));
}

#[test]
fn one_port_of_two_protocols_shares_a_node_port() {
    let mut dns = service(json!({"type": "NodePort", "ports": [
        {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53, "protocol": "TCP"}]}));
    allocator().create(&mut dns).unwrap().commit();
    assert_eq!(dns["spec"]["ports"][0]["nodePort"], dns["spec"]["ports"][1]["nodePort"]);
}

#[test]
fn a_change_of_type_takes_and_frees() {
    let allocator = allocator();
    let mut old = service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}));
    allocator.create(&mut old).unwrap().commit();
    let mut new = old.clone();
    new["spec"]["type"] = json!("ClusterIP");
    new["spec"]["ports"] = json!([{"port": 80}]);
    allocator.update(&mut new, &old).unwrap().commit();
    assert_eq!(new["spec"]["clusterIP"], old["spec"]["clusterIP"]);
    let mut other = service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}));
    allocator.create(&mut other).unwrap().commit();
    let mut external = service(json!({"type": "ExternalName", "externalName": "example.com"}));
    allocator.update(&mut external, &new).unwrap().commit();
    let mut again = service(json!({"clusterIP": new["spec"]["clusterIP"]}));
    allocator.create(&mut again).unwrap().commit();
}

#[test]
fn headless_services_take_nothing() {
    let allocator = allocator();
    for _ in 0..2 {
        let mut headless = service(json!({"clusterIP": "None", "selector": {"a": "b"}}));
        allocator.create(&mut headless).unwrap().commit();
        assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
        assert_eq!(headless["spec"]["ipFamilyPolicy"], "SingleStack");
    }
}

#[test]
fn what_the_store_holds_is_restored() {
    let allocator = allocator();
    let stored = service(json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "clusterIP": "10.96.9.9",
        "clusterIPs": ["10.96.9.9"], "healthCheckNodePort": 31000, "ports": [{"port": 80, "nodePort": 30080}]}));
    assert!(allocator.restore(&stored).is_empty());
    assert_eq!(allocator.restore(&stored).len(), 3);
    let mut more = service(json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 31000}]}));
    assert!(allocator.create(&mut more).is_err());
}
