//! What the server keeps, and what it drops, when a Service is made or changes.

use serde_json::{Value, json};

use super::{has_cluster_ip, has_node_ports};
use crate::value::{Read as _, existing, items_mut, put, take};

pub(super) fn create(service: &mut Value) {
    let Some(spec) = existing(service, "spec") else { return };
    let one = spec.text("clusterIP").to_owned();
    if !one.is_empty() && !spec.has("clusterIPs") {
        put(spec, "clusterIPs", json!([one]));
    }
}

pub(super) fn update(new: &mut Value, old: &Value) {
    let before = &old["spec"];
    let Some(spec) = existing(new, "spec") else { return };
    normalize_addresses(spec, before);
    keep_allocated(spec, before);
    drop_foreign(spec, before);
}

/// `clusterIP` and the first of `clusterIPs` say the same; who changes one means both.
fn normalize_addresses(spec: &mut Value, old: &Value) {
    let (one, before) = (spec.text("clusterIP").to_owned(), old.text("clusterIP"));
    let same_list = spec["clusterIPs"] == old["clusterIPs"];
    if one.is_empty() && !before.is_empty() && same_list {
        take(spec, "clusterIPs");
    } else if !one.is_empty() && (!spec.has("clusterIPs") || (one != before && same_list)) {
        put(spec, "clusterIPs", json!([one]));
    }
}

/// What the server once chose stays where the client does not say anything.
fn keep_allocated(spec: &mut Value, old: &Value) {
    let (kind, before) = (spec.text("type").to_owned(), old.text("type"));
    if has_cluster_ip(&kind) && has_cluster_ip(before) {
        if !spec.has("clusterIP") {
            put(spec, "clusterIP", old["clusterIP"].clone());
        }
        if !spec.has("clusterIPs") && spec["clusterIP"] == old["clusterIP"] {
            put(spec, "clusterIPs", old["clusterIPs"].clone());
        }
    }
    if has_node_ports(&kind) && has_node_ports(before) {
        keep_node_ports(spec, old);
    }
    if is_local_balancer(spec) && is_local_balancer(old) && spec.int("healthCheckNodePort").unwrap_or(0) == 0 {
        match old.int("healthCheckNodePort") {
            Some(port) => put(spec, "healthCheckNodePort", port),
            None => take(spec, "healthCheckNodePort"),
        }
    }
}

fn keep_node_ports(spec: &mut Value, old: &Value) {
    let key = |port: &Value| (port.text("protocol").to_owned(), port.int("port"));
    let used: Vec<i64> = spec.items("ports").iter().filter_map(|p| p.int("nodePort")).filter(|n| *n != 0).collect();
    for port in items_mut(spec, "ports").filter(|p| p.int("nodePort").unwrap_or(0) == 0) {
        let before = old.items("ports").iter().find(|p| key(p) == key(port));
        if let Some(number) = before.and_then(|p| p.int("nodePort")).filter(|n| !used.contains(n)) {
            put(port, "nodePort", number);
        }
    }
}

fn is_local_balancer(spec: &Value) -> bool {
    spec.text("type") == "LoadBalancer" && spec.text("externalTrafficPolicy") == "Local"
}

/// What the new type has no use for goes, unless the client has just set it.
fn drop_foreign(spec: &mut Value, old: &Value) {
    let (kind, before) = (spec.text("type").to_owned(), old.text("type"));
    let unchanged = |spec: &Value, field: &str| spec[field] == old[field];
    if has_cluster_ip(before) && !has_cluster_ip(&kind) {
        let fields = [
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
            "sessionAffinityConfig",
        ];
        for field in fields {
            if unchanged(spec, field) {
                take(spec, field);
            }
        }
    }
    if has_node_ports(before) && !has_node_ports(&kind) && same_node_ports(spec, old) {
        for port in items_mut(spec, "ports") {
            take(port, "nodePort");
        }
    }
    if is_local_balancer(old) && !is_local_balancer(spec) && unchanged(spec, "healthCheckNodePort") {
        take(spec, "healthCheckNodePort");
    }
    if before == "LoadBalancer" && kind != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if unchanged(spec, field) {
                take(spec, field);
            }
        }
    }
    let external = has_node_ports(&kind) || (kind == "ClusterIP" && spec.has("externalIPs"));
    if !external && unchanged(spec, "externalTrafficPolicy") {
        take(spec, "externalTrafficPolicy");
    }
}

fn same_node_ports(spec: &Value, old: &Value) -> bool {
    let ports = |spec: &Value| -> Vec<Option<i64>> {
        spec.items("ports").iter().map(|p| p.int("nodePort").filter(|n| *n != 0)).collect()
    };
    let (now, before) = (ports(spec), ports(old));
    now.iter().zip(&before).all(|(now, before)| now.is_none() || now == before)
}
