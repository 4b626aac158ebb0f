//! What must hold for a Service.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::{has_cluster_ip, has_node_ports};
use crate::field_error::{FieldError, Path};
use crate::validate::{names, objectmeta};
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";
const NOT_AN_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const ONLY_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";

pub(super) fn service(service: &Value, errors: &mut Vec<FieldError>) {
    let spec = &service["spec"];
    let kind = spec.text("type");
    of_type(spec, kind, errors);
    objectmeta::labels(&spec["selector"], &SPEC.child("selector"), errors);
    affinity(spec, errors);
    let ports = SPEC.child("ports");
    for (i, port) in spec.items("ports").iter().enumerate() {
        check_port(port, spec.items("ports").len() > 1, &ports.index(i), errors);
    }
    unique_ports(spec, errors);
    addresses(spec, errors);
    traffic(spec, kind, errors);
}

fn of_type(spec: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let headless = spec.text("clusterIP") == "None";
    let path = SPEC.child("type");
    match kind {
        "" => errors.push(FieldError::required(&path, "")),
        "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName" => {}
        other => errors.push(FieldError::not_supported(
            &path,
            other,
            &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        )),
    }
    if !spec.has("ports") && !headless && kind != "ExternalName" {
        errors.push(FieldError::required(&SPEC.child("ports"), ""));
    }
    if has_node_ports(kind) && headless {
        let detail = format!("may not be set to 'None' for {kind} services");
        errors.push(FieldError::invalid(&SPEC.child("clusterIPs").index(0), "None", detail));
    }
    if kind == "ExternalName" {
        external_name(spec, errors);
    }
    if kind == "ClusterIP" {
        let ports = SPEC.child("ports");
        for (i, _) in spec.items("ports").iter().enumerate().filter(|(_, p)| p.int("nodePort").unwrap_or(0) != 0) {
            let detail = "may not be used when `type` is 'ClusterIP'";
            errors.push(FieldError::forbidden(&ports.index(i).child("nodePort"), detail));
        }
    }
    if kind != "LoadBalancer" {
        for field in ["loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if spec.has(field) {
                errors.push(FieldError::forbidden(&SPEC.child(field), ONLY_BALANCERS));
            }
        }
    }
}

fn external_name(spec: &Value, errors: &mut Vec<FieldError>) {
    if spec.has("clusterIPs") || spec.has("clusterIP") {
        errors.push(FieldError::forbidden(&SPEC.child("clusterIPs"), "may not be set for ExternalName services"));
    }
    let path = SPEC.child("externalName");
    match spec.text("externalName") {
        "" => errors.push(FieldError::required(&path, "")),
        name => {
            let problems = names::dns_subdomain(name.strip_suffix('.').unwrap_or(name));
            errors.extend(problems.into_iter().map(|p| FieldError::invalid(&path, name, p)));
        }
    }
}

fn affinity(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("sessionAffinity");
    match spec.text("sessionAffinity") {
        "" => errors.push(FieldError::required(&path, "")),
        "None" | "ClientIP" => {}
        other => errors.push(FieldError::not_supported(&path, other, &["ClientIP", "None"])),
    }
    let seconds = spec["sessionAffinityConfig"]["clientIP"].int("timeoutSeconds");
    if let Some(seconds) = seconds.filter(|n| !(1..=86_400).contains(n)) {
        let config = SPEC.child("sessionAffinityConfig");
        let client = config.child("clientIP");
        let detail = "must be greater than 0 and less than 86400";
        errors.push(FieldError::invalid(&client.child("timeoutSeconds"), seconds, detail));
    }
}

fn check_port(port: &Value, needs_name: bool, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = port.text("name");
    if !name.is_empty() {
        let problems = names::dns_label(name);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("name"), name, p)));
    } else if needs_name {
        errors.push(FieldError::required(&at.child("name"), ""));
    }
    let number = port.int("port").unwrap_or_default();
    if !(1..=65535).contains(&number) {
        errors.push(FieldError::invalid(&at.child("port"), number, PORT_RANGE));
    }
    match port.text("protocol") {
        "" => errors.push(FieldError::required(&at.child("protocol"), "")),
        known if PROTOCOLS.contains(&known) => {}
        other => errors.push(FieldError::not_supported(&at.child("protocol"), other, PROTOCOLS)),
    }
    let target = at.child("targetPort");
    match &port["targetPort"] {
        Value::String(name) => {
            errors.extend(names::port_name(name).into_iter().map(|p| FieldError::invalid(&target, name.as_str(), p)));
        }
        other => {
            let number = other.as_i64().unwrap_or_default();
            if !(1..=65535).contains(&number) {
                errors.push(FieldError::invalid(&target, number, PORT_RANGE));
            }
        }
    }
    if let Some(protocol) = port["appProtocol"].as_str() {
        let problems = names::qualified_name(protocol);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("appProtocol"), protocol, p)));
    }
}

fn unique_ports(spec: &Value, errors: &mut Vec<FieldError>) {
    let ports = SPEC.child("ports");
    let (mut seen_names, mut seen_ports, mut seen_nodes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (i, port) in spec.items("ports").iter().enumerate() {
        let at = ports.index(i);
        let (name, protocol) = (port.text("name"), port.text("protocol"));
        if !name.is_empty() && !seen_names.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        if !seen_ports.insert((protocol, port.int("port"))) {
            let key = json!({"protocol": protocol, "port": port.int("port")});
            errors.push(FieldError::duplicate(&at, key));
        }
        let node = port.int("nodePort").unwrap_or(0);
        if node != 0 && !seen_nodes.insert((protocol, node)) {
            errors.push(FieldError::duplicate(&at.child("nodePort"), node));
        }
    }
}

fn addresses(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("clusterIPs");
    let list: Vec<&str> = spec.items("clusterIPs").iter().filter_map(Value::as_str).collect();
    let one = spec.text("clusterIP");
    if has_cluster_ip(spec.text("type")) {
        match list.first() {
            None if !one.is_empty() => errors.push(FieldError::required(&path, "")),
            Some(_) if one.is_empty() => {
                let detail = "must be empty when `clusterIP` is not specified";
                errors.push(FieldError::invalid(&path, spec["clusterIPs"].clone(), detail));
            }
            Some(first) if *first != one => {
                let detail = "first value must match `clusterIP`";
                errors.push(FieldError::invalid(&path, spec["clusterIPs"].clone(), detail));
            }
            _ => {}
        }
        if list.len() > 2 {
            let detail = "may only hold up to 2 values";
            errors.push(FieldError::invalid(&path, spec["clusterIPs"].clone(), detail));
        }
        for (i, ip) in list.iter().enumerate() {
            if *ip == "None" && list.len() > 1 {
                errors.push(FieldError::invalid(&path.index(i), *ip, "'None' must be the first and only value"));
            } else if *ip != "None" && ip.parse::<IpAddr>().is_err() {
                errors.push(FieldError::invalid(&path.index(i), *ip, NOT_AN_IP));
            }
        }
        families(spec, errors);
    }
    let external = SPEC.child("externalIPs");
    for (i, ip) in spec.items("externalIPs").iter().filter_map(Value::as_str).enumerate() {
        if ip.parse::<IpAddr>().is_err() {
            errors.push(FieldError::invalid(&external.index(i), ip, NOT_AN_IP));
        }
    }
    let ranges = SPEC.child("loadBalancerSourceRanges");
    for (i, range) in spec.items("loadBalancerSourceRanges").iter().filter_map(Value::as_str).enumerate() {
        if range.trim().parse::<ipnet::IpNet>().is_err() {
            let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            errors.push(FieldError::invalid(&ranges.index(i), range, detail));
        }
    }
}

fn families(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("ipFamilies");
    for (i, family) in spec.items("ipFamilies").iter().filter_map(Value::as_str).enumerate() {
        if !matches!(family, "IPv4" | "IPv6") {
            errors.push(FieldError::not_supported(&path.index(i), family, &["IPv4", "IPv6"]));
        }
    }
    let policy = spec.text("ipFamilyPolicy");
    if !matches!(policy, "" | "SingleStack" | "PreferDualStack" | "RequireDualStack") {
        let supported = &["PreferDualStack", "RequireDualStack", "SingleStack"];
        errors.push(FieldError::not_supported(&SPEC.child("ipFamilyPolicy"), policy, supported));
    }
}

fn traffic(spec: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let external = has_node_ports(kind) || (kind == "ClusterIP" && spec.has("externalIPs"));
    let path = SPEC.child("externalTrafficPolicy");
    match (spec.text("externalTrafficPolicy"), external) {
        ("", true) => errors.push(FieldError::required(&path, "")),
        ("", false) | ("Cluster" | "Local", true) => {}
        (policy, true) => errors.push(FieldError::not_supported(&path, policy, &["Cluster", "Local"])),
        (policy, false) => {
            let detail = "may only be set for externally-accessible services";
            errors.push(FieldError::invalid(&path, policy, detail));
        }
    }
    let path = SPEC.child("internalTrafficPolicy");
    match spec.text("internalTrafficPolicy") {
        "" if has_cluster_ip(kind) => errors.push(FieldError::required(&path, "")),
        "" | "Cluster" | "Local" => {}
        other => errors.push(FieldError::not_supported(&path, other, &["Cluster", "Local"])),
    }
    let health = spec.int("healthCheckNodePort").unwrap_or(0);
    let local = kind == "LoadBalancer" && spec.text("externalTrafficPolicy") == "Local";
    if health != 0 && !local {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.push(FieldError::invalid(&SPEC.child("healthCheckNodePort"), health, detail));
    }
    let distribution = spec.text("trafficDistribution");
    if !matches!(distribution, "" | "PreferClose" | "PreferSameZone" | "PreferSameNode") {
        let supported = &["PreferClose", "PreferSameNode", "PreferSameZone"];
        errors.push(FieldError::not_supported(&SPEC.child("trafficDistribution"), distribution, supported));
    }
}

/// An address, once given, stays.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (spec, before) = (&new["spec"], &old["spec"]);
    if !has_cluster_ip(spec.text("type")) || !has_cluster_ip(before.text("type")) {
        return;
    }
    let list = SPEC.child("clusterIPs");
    let first = list.index(0);
    match (before.items("clusterIPs").first(), spec.items("clusterIPs").first()) {
        (Some(_), None) => {
            let detail = "primary clusterIP can not be unset";
            errors.push(FieldError::invalid(&first, spec["clusterIPs"].clone(), detail));
        }
        (Some(before), Some(now)) if before != now => {
            errors.push(FieldError::invalid(&first, spec["clusterIPs"].clone(), "may not change once set"));
        }
        _ => {}
    }
    if before.text("type") == "LoadBalancer"
        && spec.text("type") == "LoadBalancer"
        && before["loadBalancerClass"] != spec["loadBalancerClass"]
    {
        let detail = "may not change once set";
        errors.push(FieldError::invalid(&SPEC.child("loadBalancerClass"), spec["loadBalancerClass"].clone(), detail));
    }
}
