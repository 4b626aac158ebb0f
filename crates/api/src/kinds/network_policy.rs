//! NetworkPolicy: which pods may talk to which.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{label_selector, one_of_or_none, port_number, problems, spec_changed};
use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Unheeded};
use crate::validate::names;
use crate::value::{Read as _, existing, fill, items_mut, object};

const SPEC: Path<'static> = Path::new("spec");

pub(super) static NETWORK_POLICIES: Resource = Resource {
    group: "networking.k8s.io",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    singular: "networkpolicy",
    short_names: &["netpol"],
    type_name: "io.k8s.api.networking.v1.NetworkPolicy",
    unheeded: Some(Unheeded::but("nothing enforces it: skiff has no network policies yet")),
    columns: &[Column::NAME, Column::new("Pod-Selector", "The labels of the pods it is about."), Column::AGE],
    rules: Rules {
        default,
        validate,
        generation: Some(spec_changed),
        cells: |policy: &Value, now: Timestamp| {
            let selector = print::selector(&policy["spec"]["podSelector"]);
            vec![meta::name(policy).into(), selector, print::age(policy, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

fn default(policy: &mut Value) {
    let Some(spec) = object(policy, "spec") else { return };
    object(spec, "podSelector");
    for direction in ["ingress", "egress"] {
        for rule in items_mut(spec, direction) {
            items_mut(rule, "ports").for_each(|port| fill(port, "protocol", "TCP"));
        }
    }
    if !spec.has("policyTypes") {
        let types = if spec.has("egress") { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        if let Some(spec) = existing(policy, "spec") {
            spec["policyTypes"] = types;
        }
    }
}

fn validate(policy: &Value, errors: &mut Vec<FieldError>) {
    let spec = &policy["spec"];
    label_selector(&spec["podSelector"], &SPEC.child("podSelector"), errors);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        let list = SPEC.child(direction);
        for (i, rule) in spec.items(direction).iter().enumerate() {
            let at = list.index(i);
            let ports = at.child("ports");
            for (j, port) in rule.items("ports").iter().enumerate() {
                check_port(port, &ports.index(j), errors);
            }
            let list = at.child(peers);
            for (j, peer) in rule.items(peers).iter().enumerate() {
                check_peer(peer, &list.index(j), errors);
            }
        }
    }
    let types = SPEC.child("policyTypes");
    if spec.items("policyTypes").len() > 2 {
        let detail = "may not specify more than two policyTypes";
        errors.push(FieldError::invalid(&types, spec["policyTypes"].clone(), detail));
        return;
    }
    for (i, kind) in spec.items("policyTypes").iter().filter_map(Value::as_str).enumerate() {
        one_of_or_none(kind, &["Ingress", "Egress"], &types.index(i), errors);
    }
}

fn check_port(port: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    one_of_or_none(port.text("protocol"), &["TCP", "UDP", "SCTP"], &at.child("protocol"), errors);
    let (number, end) = (port.int("port"), port.int("endPort"));
    let end_path = at.child("endPort");
    match (&port["port"], number) {
        (Value::String(name), _) => {
            if end.is_some() {
                let detail = "may not be specified when `port` is non-numeric";
                errors.push(FieldError::invalid(&end_path, end, detail));
            }
            problems(names::port_name(name), &at.child("port"), name, errors);
        }
        (_, Some(number)) => {
            port_number(number, &at.child("port"), errors);
            if let Some(end) = end {
                if end < number {
                    errors.push(FieldError::invalid(&end_path, number, "must be greater than or equal to `port`"));
                }
                port_number(end, &end_path, errors);
            }
        }
        _ if end.is_some() => {
            errors.push(FieldError::invalid(&end_path, end, "may not be specified when `port` is not specified"));
        }
        _ => {}
    }
}

fn check_peer(peer: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut count = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if peer[field].is_object() {
            count += 1;
            label_selector(&peer[field], &at.child(field), errors);
        }
    }
    if peer["ipBlock"].is_object() {
        count += 1;
        check_block(&peer["ipBlock"], &at.child("ipBlock"), errors);
    }
    if count > 1 && peer["ipBlock"].is_object() {
        errors.push(FieldError::forbidden(at, "may not specify both ipBlock and another peer"));
    }
    if count == 0 {
        errors.push(FieldError::required(at, "must specify a peer"));
    }
}

fn check_block(block: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (cidr, path) = (block.text("cidr"), at.child("cidr"));
    if cidr.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    let Some(outer) = super::service_cidr::cidr(cidr, &path, errors) else { return };
    let list = at.child("except");
    for (i, except) in block.items("except").iter().filter_map(Value::as_str).enumerate() {
        let path = list.index(i);
        let Some(inner) = super::service_cidr::cidr(except, &path, errors) else { continue };
        if !outer.contains(&inner) || outer == inner {
            let detail = "must be a strict subset of `cidr`";
            errors.push(FieldError::invalid(&path, except, detail));
        }
    }
}
