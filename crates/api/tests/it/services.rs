//! Services: what they become, what is refused, what may change.

use serde_json::{Value, json};

use crate::{made, problems, updated};

fn service(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
}

#[test]
fn a_service_says_what_it_was_not_told() {
    let new = made("Service", &service(json!({"selector": {"app": "web"}, "ports": [{"port": 8888}]})));
    assert_eq!(
        new["spec"],
        json!({
            "type": "ClusterIP",
            "selector": {"app": "web"},
            "ports": [{"port": 8888, "targetPort": 8888, "protocol": "TCP"}],
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
        })
    );
    assert_eq!(new["status"], json!({"loadBalancer": {}}));
    let new = made(
        "Service",
        &service(
            json!({"type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": [{"port": 80, "targetPort": "web"}]}),
        ),
    );
    assert_eq!(new["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(new["spec"]["allocateLoadBalancerNodePorts"], true);
    assert_eq!(new["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"], 10800);
    assert_eq!(new["spec"]["ports"][0]["targetPort"], "web");
    let new = made("Service", &service(json!({"type": "ExternalName", "externalName": "a.b"})));
    assert_eq!(new["spec"], json!({"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None"}));
    let new = made("Service", &service(json!({"clusterIP": "None", "ports": [{"port": 1}]})));
    assert_eq!(new["spec"]["clusterIPs"], json!(["None"]));
}

#[test]
fn bad_services_are_refused() {
    let port = json!([{"port": 80}]);
    let table = [
        (json!({}), "spec.ports: Required value"),
        (
            json!({"ports": [{"port": 0}]}),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            json!({"ports": [{"port": 70000}]}),
            "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (json!({"ports": [{"port": 1}, {"port": 2}]}), "spec.ports[0].name: Required value"),
        (
            json!({"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}),
            "spec.ports[1].name: Duplicate value: \"a\"",
        ),
        (
            json!({"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}),
            "spec.ports[1]: Duplicate value: {\"port\":1,\"protocol\":\"TCP\"}",
        ),
        (
            json!({"ports": [{"port": 80, "nodePort": 30000}]}),
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            json!({"ports": port, "type": "Magic"}),
            "spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \"ExternalName\", \
             \"LoadBalancer\", \"NodePort\"",
        ),
        (
            json!({"ports": port, "type": "NodePort", "clusterIP": "None"}),
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
        ),
        (json!({"type": "ExternalName"}), "spec.externalName: Required value"),
        (
            json!({"ports": port, "clusterIP": "1.2.3"}),
            "spec.clusterIPs[0]: Invalid value: \"1.2.3\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (
            json!({"ports": port, "sessionAffinity": "Sticky"}),
            "spec.sessionAffinity: Unsupported value: \"Sticky\": supported values: \"ClientIP\", \"None\"",
        ),
        (
            json!({"ports": port, "loadBalancerSourceRanges": ["10.0.0.0/8"]}),
            "spec.loadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            json!({"ports": port, "externalTrafficPolicy": "Local"}),
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ),
        (
            json!({"ports": [{"port": 80, "targetPort": "UPPER"}]}),
            "spec.ports[0].targetPort: Invalid value: \"UPPER\": must contain only alpha-numeric characters",
        ),
        (json!({"ports": port, "selector": {"a b": "c"}}), "spec.selector: Invalid value: \"a b\": name part must"),
    ];
    table.iter().for_each(|(spec, message)| refused(spec, message));
}

fn refused(spec: &serde_json::Value, message: &str) {
    let found = problems("Service", &service(spec.clone()));
    assert!(found.iter().any(|p| p.starts_with(message)), "{spec}: {found:#?}");
}

#[test]
fn a_service_is_called_as_a_dns_label() {
    let mut named = service(json!({"ports": [{"port": 80}]}));
    named["metadata"]["name"] = json!("1web");
    let found = problems("Service", &named);
    assert!(found[0].starts_with("metadata.name: Invalid value: \"1web\": a DNS-1035 label must"), "{found:?}");
}

fn allocated() -> Value {
    let mut old = made("Service", &service(json!({"type": "NodePort", "ports": [{"port": 80}]})));
    old["spec"]["clusterIP"] = json!("10.96.0.7");
    old["spec"]["clusterIPs"] = json!(["10.96.0.7"]);
    old["spec"]["ports"][0]["nodePort"] = json!(30001);
    old
}

#[test]
fn an_address_once_given_stays() {
    let (_, found) = updated("Service", &allocated(), |s| s["spec"]["clusterIP"] = json!("10.96.0.8"));
    assert_eq!(found, ["spec.clusterIPs[0]: Invalid value: [\"10.96.0.8\"]: may not change once set"]);
    // Who says nothing keeps what is there.
    let (new, found) = updated("Service", &allocated(), |s| {
        let spec = s["spec"].as_object_mut().unwrap();
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
        spec["ports"] = json!([{"port": 80, "targetPort": 81}]);
    });
    assert_eq!(found, [""; 0]);
    assert_eq!(new["spec"]["clusterIP"], "10.96.0.7");
    assert_eq!(new["spec"]["ports"][0]["nodePort"], 30001);
}

#[test]
fn a_new_type_drops_what_it_has_no_use_for() {
    let (new, found) = updated("Service", &allocated(), |s| s["spec"]["type"] = json!("ClusterIP"));
    assert_eq!(found, [""; 0]);
    assert!(new["spec"]["ports"][0].get("nodePort").is_none());
    assert!(new["spec"].get("externalTrafficPolicy").is_none());
    let (new, found) = updated("Service", &allocated(), |s| {
        s["spec"]["type"] = json!("ExternalName");
        s["spec"]["externalName"] = json!("example.com");
    });
    assert_eq!(found, [""; 0]);
    assert!(new["spec"].get("clusterIP").is_none() && new["spec"].get("ipFamilies").is_none());
}
