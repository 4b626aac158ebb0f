//! ServiceCIDR and IPAddress: where the addresses of Services come from, and who has which.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::{IMMUTABLE, problems};
use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Subresource, Unheeded};
use crate::validate::names;
use crate::value::Read as _;

const GROUP: &str = "networking.k8s.io";
const TYPE: &str = "io.k8s.api.networking.v1.ServiceCIDR";
const SPEC: Path<'static> = Path::new("spec");

pub(super) static SERVICE_CIDRS: Resource = Resource {
    group: GROUP,
    kind: "ServiceCIDR",
    plural: "servicecidrs",
    singular: "servicecidr",
    subresources: &[Subresource::of_kind("status", GROUP, "ServiceCIDR", TYPE)],
    type_name: TYPE,
    unheeded: Some(Unheeded::but(
        "nothing acts on it: skiff takes the addresses of Services only from the range that it was started with",
    )),
    columns: &[Column::NAME, Column::new("CIDRs", "The ranges."), Column::AGE],
    rules: Rules {
        validate: validate_range,
        validate_update: update_range,
        initial_status: Some(initial_status),
        cells: |range: &Value, now: Timestamp| {
            let cidrs: Vec<&str> = range["spec"].items("cidrs").iter().filter_map(Value::as_str).collect();
            vec![meta::name(range).into(), cidrs.join(",").into(), print::age(range, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

pub(super) static IP_ADDRESSES: Resource = Resource {
    group: GROUP,
    kind: "IPAddress",
    plural: "ipaddresses",
    singular: "ipaddress",
    short_names: &["ip"],
    type_name: "io.k8s.api.networking.v1.IPAddress",
    unheeded: Some(Unheeded::but("nothing acts on it: skiff keeps no IPAddresses for the addresses of Services")),
    columns: &[Column::NAME, Column::new("ParentRef", "Who has it."), Column::AGE],
    rules: Rules {
        name: |name, _| match name.parse::<IpAddr>() {
            Ok(address) if address.to_string() == name => Vec::new(),
            Ok(_) => vec!["must be a valid IP address in canonical form".to_owned()],
            Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        },
        validate: validate_address,
        validate_update: |new, old, errors| {
            if new["spec"]["parentRef"] != old["spec"]["parentRef"] {
                let value = new["spec"]["parentRef"].clone();
                errors.push(FieldError::invalid(&SPEC.child("parentRef"), value, IMMUTABLE));
            }
        },
        cells: |address: &Value, now: Timestamp| {
            let parent = &address["spec"]["parentRef"];
            let parts = ["resource", "group"].map(|field| parent.text(field));
            let resource: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let place = [&resource.join("."), parent.text("namespace"), parent.text("name")];
            let shown: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
            let shown = print::or_none(&shown.join("/"));
            vec![meta::name(address).into(), shown, print::age(address, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

/// The range that the server was started with is in use; no other one ever is.
fn initial_status(range: &Value) -> Value {
    if meta::name(range) != "kubernetes" {
        return json!({});
    }
    json!({"conditions": [{
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes Service CIDR is ready",
        "lastTransitionTime": meta::creation_timestamp(range),
    }]})
}

/// A range of addresses in its canonical form.
pub(super) fn cidr(text: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) -> Option<IpNet> {
    match text.parse::<IpNet>() {
        Ok(net) => Some(net),
        Err(_) => {
            let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            errors.push(FieldError::invalid(path, text, detail));
            None
        }
    }
}

fn validate_range(range: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("cidrs");
    let cidrs = range["spec"].items("cidrs");
    if cidrs.is_empty() {
        errors.push(FieldError::required(&path, "at least one CIDR required"));
        return;
    }
    if cidrs.len() > 2 {
        let detail = "may only hold up to 2 values";
        errors.push(FieldError::invalid(&path, range["spec"]["cidrs"].clone(), detail));
        return;
    }
    let mut nets = Vec::new();
    for (i, text) in cidrs.iter().filter_map(Value::as_str).enumerate() {
        let at = path.index(i);
        let Some(net) = cidr(text, &at, errors) else { continue };
        if net.addr() != net.network() || net.to_string() != text {
            let detail = format!("must be in canonical form ({:?})", net.trunc().to_string());
            errors.push(FieldError::invalid(&at, text, detail));
        }
        nets.push(net);
    }
    if let [IpNet::V4(_), IpNet::V4(_)] | [IpNet::V6(_), IpNet::V6(_)] = nets.as_slice() {
        let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(FieldError::invalid(&path, range["spec"]["cidrs"].clone(), detail));
    }
}

/// A range may become dual-stack, and is otherwise as it was made.
fn update_range(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (now, before) = (new["spec"].items("cidrs"), old["spec"].items("cidrs"));
    let grew = before.len() == 1 && now.len() == 2 && now.first() == before.first();
    if now != before && !grew {
        errors.push(FieldError::invalid(&SPEC.child("cidrs"), new["spec"]["cidrs"].clone(), IMMUTABLE));
    }
}

fn validate_address(address: &Value, errors: &mut Vec<FieldError>) {
    let (parent, at) = (&address["spec"]["parentRef"], SPEC.child("parentRef"));
    if !parent.is_object() {
        errors.push(FieldError::required(&at, ""));
        return;
    }
    let group = parent.text("group");
    if !group.is_empty() {
        problems(names::dns_subdomain(group), &at.child("group"), group, errors);
    }
    for (field, required) in [("resource", true), ("name", true), ("namespace", false)] {
        let value = parent.text(field);
        if !value.is_empty() {
            problems(names::path_segment(value), &at.child(field), value, errors);
        } else if required {
            errors.push(FieldError::required(&at.child(field), ""));
        }
    }
}
