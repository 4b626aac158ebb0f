//! What a Service does not say.

use serde_json::{Value, json};

use crate::value::{Read as _, fill, items_mut, object, put, take};

pub(super) fn service(service: &mut Value) {
    let Some(spec) = object(service, "spec") else { return };
    fill(spec, "type", "ClusterIP");
    affinity(spec);
    for port in items_mut(spec, "ports") {
        fill(port, "protocol", "TCP");
        if let Some(number) = port.int("port").filter(|_| !says_target(port)) {
            put(port, "targetPort", number);
        }
    }
    let kind = spec.text("type").to_owned();
    let external = super::has_node_ports(&kind) || (kind == "ClusterIP" && spec.has("externalIPs"));
    if external {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if super::has_cluster_ip(&kind) {
        fill(spec, "internalTrafficPolicy", "Cluster");
        fill(spec, "ipFamilyPolicy", "SingleStack");
        if !spec.has("ipFamilies") {
            put(spec, "ipFamilies", json!(["IPv4"]));
        }
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
        ingress_modes(service);
    }
}

fn says_target(port: &Value) -> bool {
    match &port["targetPort"] {
        Value::String(name) => !name.is_empty(),
        Value::Number(number) => number.as_i64() != Some(0),
        _ => false,
    }
}

fn affinity(spec: &mut Value) {
    fill(spec, "sessionAffinity", "None");
    match spec.text("sessionAffinity") {
        "ClientIP" => {
            let config = object(spec, "sessionAffinityConfig").and_then(|config| object(config, "clientIP"));
            if let Some(client) = config {
                fill(client, "timeoutSeconds", 10_800);
            }
        }
        "None" => take(spec, "sessionAffinityConfig"),
        _ => {}
    }
}

fn ingress_modes(service: &mut Value) {
    let Some(balancer) = service.get_mut("status").and_then(|status| status.get_mut("loadBalancer")) else { return };
    for ingress in items_mut(balancer, "ingress") {
        if ingress.has("ip") {
            fill(ingress, "ipMode", "VIP");
        }
    }
}
