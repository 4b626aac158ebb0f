//! What a Service keeps from its former version when the client leaves it out, and what it loses with
//! its type: so that a manifest without addresses can be applied again and again.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::list_mut;
use super::service::{has_addresses, has_node_ports, needs_health_check_port, type_of};

/// Brings the new version in line with the old one.
pub(crate) fn carry(new: &mut Value, old: &Value) {
    keep(new, old);
    lose(new, old);
}

/// Allocated values that the client did not repeat.
fn keep(new: &mut Value, old: &Value) {
    if has_addresses(new) && has_addresses(old) {
        let same = new["spec"]["clusterIP"].as_str().is_none_or(str::is_empty);
        if same {
            copy(new, old, "clusterIP");
        }
        if new["spec"]["clusterIPs"].as_array().is_none_or(Vec::is_empty)
            && new["spec"]["clusterIP"] == old["spec"]["clusterIP"]
        {
            copy(new, old, "clusterIPs");
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if new["spec"][field].is_null() {
                copy(new, old, field);
            }
        }
    }
    if has_node_ports(new) && has_node_ports(old) {
        keep_node_ports(new, old);
    }
    if needs_health_check_port(new)
        && needs_health_check_port(old)
        && new["spec"]["healthCheckNodePort"].as_i64().unwrap_or(0) == 0
    {
        copy(new, old, "healthCheckNodePort");
    }
}

fn copy(new: &mut Value, old: &Value, field: &str) {
    if let Some(value) = old["spec"].get(field) {
        new["spec"][field] = value.clone();
    }
}

fn key(port: &Value) -> (String, i64) {
    (port["protocol"].as_str().unwrap_or("TCP").to_owned(), port["port"].as_i64().unwrap_or(0))
}

fn node_port(port: &Value) -> i64 {
    port["nodePort"].as_i64().unwrap_or(0)
}

fn keep_node_ports(new: &mut Value, old: &Value) {
    let before: Vec<&Value> = old["spec"]["ports"].as_array().into_iter().flatten().collect();
    let ports = list_mut(new, "/spec/ports");
    let mut used: BTreeSet<(String, i64)> =
        ports.iter().filter(|port| node_port(port) != 0).map(|port| (key(port).0, node_port(port))).collect();
    for port in ports.iter_mut().filter(|port| node_port(port) == 0) {
        let Some(former) = before.iter().find(|former| key(former) == key(port)) else { continue };
        let given = node_port(former);
        if given != 0 && used.insert((key(port).0, given)) {
            port["nodePort"] = json!(given);
        }
    }
}

/// Values that belong to the former type, unless the client changed them: then validation judges.
fn lose(new: &mut Value, old: &Value) {
    if has_addresses(old) && !has_addresses(new) && same(new, old, "clusterIP") {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            if same(new, old, field) {
                remove(new, field);
            }
        }
    }
    if has_node_ports(old) && !has_node_ports(new) {
        lose_node_ports(new, old);
        if same(new, old, "externalTrafficPolicy") && !external(new) {
            remove(new, "externalTrafficPolicy");
        }
    }
    if needs_health_check_port(old) && !needs_health_check_port(new) && same(new, old, "healthCheckNodePort") {
        remove(new, "healthCheckNodePort");
    }
    if type_of(old) == "LoadBalancer" && type_of(new) != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(new, old, field) {
                remove(new, field);
            }
        }
        remove_status(new);
    }
}

fn same(new: &Value, old: &Value, field: &str) -> bool {
    new["spec"][field] == old["spec"][field]
}

fn external(service: &Value) -> bool {
    has_addresses(service) && service["spec"]["externalIPs"].as_array().is_some_and(|list| !list.is_empty())
}

fn remove(service: &mut Value, field: &str) {
    if let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove(field);
    }
}

fn remove_status(service: &mut Value) {
    if let Some(status) = service.get_mut("status").and_then(Value::as_object_mut) {
        status.insert("loadBalancer".to_owned(), Value::Object(Map::new()));
    }
}

fn lose_node_ports(new: &mut Value, old: &Value) {
    let numbers = |service: &Value| -> BTreeSet<i64> {
        service["spec"]["ports"].as_array().into_iter().flatten().map(node_port).filter(|port| *port != 0).collect()
    };
    if !numbers(new).is_subset(&numbers(old)) {
        return;
    }
    for port in list_mut(new, "/spec/ports") {
        if let Some(port) = port.as_object_mut() {
            port.remove("nodePort");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node_port_service() -> Value {
        json!({"spec": {"type": "NodePort", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
            "ipFamilies": ["IPv4"], "externalTrafficPolicy": "Cluster",
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}})
    }

    #[test]
    fn what_is_left_out_is_kept() {
        let old = node_port_service();
        let mut new = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81}]}});
        carry(&mut new, &old);
        assert_eq!(new["spec"]["clusterIPs"], json!(["10.96.0.9"]));
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30080);
        assert!(new["spec"]["ports"][1]["nodePort"].is_null());
    }

    #[test]
    fn what_belongs_to_the_old_type_goes() {
        let old = node_port_service();
        let mut new = old.clone();
        new["spec"]["type"] = json!("ClusterIP");
        carry(&mut new, &old);
        assert!(new["spec"]["ports"][0].get("nodePort").is_none());
        assert!(new["spec"].get("externalTrafficPolicy").is_none());
        let mut external = old.clone();
        external["spec"]["type"] = json!("ExternalName");
        carry(&mut external, &old);
        assert!(external["spec"].get("clusterIP").is_none());
    }
}
