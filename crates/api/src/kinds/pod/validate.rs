//! What must hold for a Pod, or for the spec of a pod template.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::containers::{self, Role};
use super::{affinity, ephemeral, security, volumes};
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::validate::{names, objectmeta};
use crate::value::Read as _;

const NOT_AN_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

pub(super) fn pod(pod: &Value, errors: &mut Vec<FieldError>) {
    spec(&pod["spec"], &Path::new("spec"), errors);
}

/// Checks the spec at `at` (`spec`, `spec.template.spec`).
pub(in crate::kinds) fn spec(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let known = volumes::check(spec, &at.child("volumes"), errors);
    let mut names = BTreeSet::new();
    if !spec.has("containers") {
        errors.push(FieldError::required(&at.child("containers"), ""));
    }
    for (list, role) in [("containers", Role::Main), ("initContainers", Role::Init)] {
        let path = at.child(list);
        for (i, container) in spec.items(list).iter().enumerate() {
            let at = path.index(i);
            containers::check(container, role, &known, &at, errors);
            let name = container.text("name");
            if !name.is_empty() && !names.insert(name) {
                errors.push(FieldError::duplicate(&at.child("name"), name));
            }
        }
    }
    ephemeral::check(spec, &known, at, errors);
    containers::host_ports(spec, at, errors);
    policies(spec, at, errors);
    identity(spec, at, errors);
    placement(spec, at, errors);
    dns(spec, at, errors);
    security::pod(&spec["securityContext"], &at.child("securityContext"), errors);
    security::sharing(spec, at, errors);
}

fn policies(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    common::one_of(spec.text("restartPolicy"), &["Always", "OnFailure", "Never"], &at.child("restartPolicy"), errors);
    let policies = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    common::one_of(spec.text("dnsPolicy"), policies, &at.child("dnsPolicy"), errors);
    common::not_negative(spec, "terminationGracePeriodSeconds", at, errors);
    if let Some(seconds) = spec.int("activeDeadlineSeconds").filter(|n| !(1..=i64::from(i32::MAX)).contains(n)) {
        let detail = format!("must be between 1 and {}, inclusive", i32::MAX);
        errors.push(FieldError::invalid(&at.child("activeDeadlineSeconds"), seconds, detail));
    }
    if let Some(policy) = spec["preemptionPolicy"].as_str() {
        common::one_of(policy, &["Never", "PreemptLowerPriority"], &at.child("preemptionPolicy"), errors);
    }
}

fn identity(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        let name = spec.text(field);
        if !name.is_empty() {
            common::problems(names::dns_subdomain(name), &at.child(field), name, errors);
        }
    }
    for field in ["hostname", "subdomain"] {
        let name = spec.text(field);
        if !name.is_empty() {
            common::problems(names::dns_label(name), &at.child(field), name, errors);
        }
    }
    let name = spec.text("schedulerName");
    if !name.is_empty() {
        common::problems(names::qualified_name(name), &at.child("schedulerName"), name, errors);
    }
    let aliases = at.child("hostAliases");
    for (i, alias) in spec.items("hostAliases").iter().enumerate() {
        let at = aliases.index(i);
        let ip = alias.text("ip");
        if ip.parse::<IpAddr>().is_err() {
            errors.push(FieldError::invalid(&at.child("ip"), ip, NOT_AN_IP));
        }
        let list = at.child("hostnames");
        for name in alias.items("hostnames").iter().filter_map(Value::as_str) {
            common::problems(names::dns_subdomain(name), &list, name, errors);
        }
    }
}

fn placement(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    objectmeta::labels(&spec["nodeSelector"], &at.child("nodeSelector"), errors);
    affinity::check(&spec["affinity"], &at.child("affinity"), errors);
    affinity::spread(spec, at, errors);
    let path = at.child("tolerations");
    for (i, toleration) in spec.items("tolerations").iter().enumerate() {
        tolerate(toleration, &path.index(i), errors);
    }
    let gates = at.child("readinessGates");
    for (i, gate) in spec.items("readinessGates").iter().enumerate() {
        let kind = gate.text("conditionType");
        common::problems(names::qualified_name(kind), &gates.index(i).child("conditionType"), kind, errors);
    }
    let gates = at.child("schedulingGates");
    let mut seen = BTreeSet::new();
    for (i, gate) in spec.items("schedulingGates").iter().enumerate() {
        let name = gate.text("name");
        common::problems(names::qualified_name(name), &gates.index(i), name, errors);
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&gates.index(i), name));
        }
    }
}

pub(in crate::kinds) fn tolerate(toleration: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (key, value) = (toleration.text("key"), toleration.text("value"));
    let (operator, effect) = (toleration.text("operator"), toleration.text("effect"));
    if !key.is_empty() {
        common::problems(names::qualified_name(key), &at.child("key"), key, errors);
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.push(FieldError::invalid(&at.child("operator"), operator, detail));
    }
    if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.push(FieldError::invalid(&at.child("effect"), effect, detail));
    }
    match operator {
        "" | "Equal" => common::problems(names::label_value(value), &at.child("operator"), value, errors),
        "Exists" if !value.is_empty() => {
            let detail = "value must be empty when `operator` is 'Exists'";
            errors.push(FieldError::invalid(&at.child("operator"), value, detail));
        }
        "Exists" => {}
        other => errors.push(FieldError::not_supported(&at.child("operator"), other, &["Equal", "Exists"])),
    }
    if !effect.is_empty() {
        common::one_of(effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"], &at.child("effect"), errors);
    }
}

fn dns(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const MOST_SERVERS: usize = 3;
    const MOST_SEARCHES: usize = 32;
    let config = &spec["dnsConfig"];
    let at = at.child("dnsConfig");
    let servers = at.child("nameservers");
    if spec.text("dnsPolicy") == "None" {
        if config.is_null() {
            let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
            errors.push(FieldError::required(&at, detail));
        } else if !config.has("nameservers") {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errors.push(FieldError::required(&servers, detail));
        }
    }
    if config.items("nameservers").len() > MOST_SERVERS {
        let detail = format!("must not have more than {MOST_SERVERS} nameservers");
        errors.push(FieldError::invalid(&servers, config["nameservers"].clone(), detail));
    }
    for (i, ip) in config.items("nameservers").iter().filter_map(Value::as_str).enumerate() {
        if ip.parse::<IpAddr>().is_err() {
            errors.push(FieldError::invalid(&servers.index(i), ip, NOT_AN_IP));
        }
    }
    let searches = at.child("searches");
    if config.items("searches").len() > MOST_SEARCHES {
        let detail = format!("must not have more than {MOST_SEARCHES} search paths");
        errors.push(FieldError::invalid(&searches, config["searches"].clone(), detail));
    }
    for (i, search) in config.items("searches").iter().filter_map(Value::as_str).enumerate() {
        let name = search.strip_suffix('.').unwrap_or(search);
        common::problems(
            if search == "." { Vec::new() } else { names::dns_subdomain(name) },
            &searches.index(i),
            search,
            errors,
        );
    }
    let options = at.child("options");
    for (i, _) in config.items("options").iter().enumerate().filter(|(_, o)| !o.has("name")) {
        errors.push(FieldError::required(&options.index(i), "must not be empty"));
    }
}
