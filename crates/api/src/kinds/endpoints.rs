//! Endpoints and EndpointSlice: the addresses behind a Service.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules};
use crate::validate::names;
use crate::value::{Read as _, fill, items_mut};

const MOST_ENDPOINTS: usize = 1000;
const MOST_ADDRESSES: usize = 100;
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const NOT_AN_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

pub(super) static ENDPOINTS: Resource = Resource {
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    type_name: "io.k8s.api.core.v1.Endpoints",
    columns: &[
        Column::NAME,
        Column::new("Endpoints", "The first addresses."),
        Column::AGE,
        Column::new("All Endpoints", "All addresses.").wide(),
    ],
    rules: Rules { default: default_endpoints, validate: validate_endpoints, cells: endpoints_cells, ..Rules::PLAIN },
    ..Resource::NAMESPACED
};

pub(super) static ENDPOINT_SLICES: Resource = Resource {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    plural: "endpointslices",
    singular: "endpointslice",
    type_name: "io.k8s.api.discovery.v1.EndpointSlice",
    columns: &[
        Column::NAME,
        Column::new("AddressType", "The sort of its addresses."),
        Column::new("Ports", "The first ports."),
        Column::new("Endpoints", "The first addresses."),
        Column::AGE,
    ],
    rules: Rules {
        default: |slice| {
            for port in items_mut(slice, "ports") {
                fill(port, "name", "");
                fill(port, "protocol", "TCP");
            }
        },
        validate: validate_slice,
        validate_update: |new, old, errors| {
            if new["addressType"] != old["addressType"] {
                let path = Path::new("addressType");
                errors.push(FieldError::invalid(&path, new["addressType"].clone(), common::IMMUTABLE));
            }
        },
        generation: Some(|new, old| {
            ["addressType", "endpoints", "ports"].iter().any(|field| new[*field] != old[*field])
        }),
        cells: slice_cells,
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

fn default_endpoints(endpoints: &mut Value) {
    for subset in items_mut(endpoints, "subsets") {
        for port in items_mut(subset, "ports") {
            fill(port, "protocol", "TCP");
        }
    }
}

fn validate_endpoints(endpoints: &Value, errors: &mut Vec<FieldError>) {
    let subsets = Path::new("subsets");
    for (i, subset) in endpoints.items("subsets").iter().enumerate() {
        let at = subsets.index(i);
        if !subset.has("addresses") && !subset.has("notReadyAddresses") {
            errors.push(FieldError::required(&at, "must specify `addresses` or `notReadyAddresses`"));
        }
        for field in ["addresses", "notReadyAddresses"] {
            let list = at.child(field);
            for (i, address) in subset.items(field).iter().enumerate() {
                usable_ip(address.text("ip"), &list.index(i).child("ip"), errors);
            }
        }
        let ports = at.child("ports");
        for (i, port) in subset.items("ports").iter().enumerate() {
            let at = ports.index(i);
            let name = port.text("name");
            if name.is_empty() && subset.items("ports").len() > 1 {
                errors.push(FieldError::required(&at.child("name"), ""));
            } else if !name.is_empty() {
                let problems = names::dns_label(name);
                errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("name"), name, p)));
            }
            check_port(port, &at, errors);
        }
    }
}

fn check_port(port: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(number) = port.int("port").filter(|n| !(1..=65535).contains(n)) {
        let detail = "must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid(&at.child("port"), number, detail));
    }
    match port.text("protocol") {
        "" => errors.push(FieldError::required(&at.child("protocol"), "")),
        known if PROTOCOLS.contains(&known) => {}
        other => errors.push(FieldError::not_supported(&at.child("protocol"), other, PROTOCOLS)),
    }
}

/// An address that something can be behind: neither the host's own nor one that is shared.
fn usable_ip(text: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Ok(ip) = text.parse::<IpAddr>() else {
        errors.push(FieldError::invalid(path, text, NOT_AN_IP));
        return;
    };
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let link_local_multicast = match ip {
        IpAddr::V4(ip) => ip.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    let table = [
        (ip.is_unspecified(), format!("may not be unspecified ({text})")),
        (ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()),
        (link_local_multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()),
    ];
    errors.extend(table.into_iter().filter(|(bad, _)| *bad).map(|(_, why)| FieldError::invalid(path, text, why)));
}

fn validate_slice(slice: &Value, errors: &mut Vec<FieldError>) {
    let kind = slice.text("addressType");
    let path = Path::new("addressType");
    match kind {
        "IPv4" | "IPv6" | "FQDN" => {}
        "" => errors.push(FieldError::required(&path, "")),
        other => errors.push(FieldError::not_supported(&path, other, &["FQDN", "IPv4", "IPv6"])),
    }
    let endpoints = Path::new("endpoints");
    if slice.items("endpoints").len() > MOST_ENDPOINTS {
        errors.push(FieldError::too_many(&endpoints, slice.items("endpoints").len(), MOST_ENDPOINTS));
        return;
    }
    for (i, endpoint) in slice.items("endpoints").iter().enumerate() {
        let at = endpoints.index(i);
        let addresses = at.child("addresses");
        let list = endpoint.items("addresses");
        match list.len() {
            0 => errors.push(FieldError::required(&addresses, "must contain at least 1 address")),
            1..=MOST_ADDRESSES => {}
            n => errors.push(FieldError::too_many(&addresses, n, MOST_ADDRESSES)),
        }
        for (i, address) in list.iter().filter_map(Value::as_str).enumerate() {
            check_address(kind, address, &addresses.index(i), errors);
        }
        if let Some(host) = endpoint["hostname"].as_str() {
            let problems = names::dns_label(host);
            errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("hostname"), host, p)));
        }
    }
    slice_ports(slice, errors);
}

fn check_address(kind: &str, address: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let version = match kind {
        "IPv4" => address.parse::<std::net::Ipv4Addr>().is_ok(),
        "IPv6" => address.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => {
            let problems = names::dns_subdomain(address);
            errors.extend(problems.into_iter().map(|p| FieldError::invalid(at, address, p)));
            return;
        }
    };
    if version {
        usable_ip(address, at, errors);
    } else if address.parse::<IpAddr>().is_ok() {
        errors.push(FieldError::invalid(at, address, format!("must be an {kind} address")));
    } else {
        errors.push(FieldError::invalid(at, address, NOT_AN_IP));
    }
}

fn slice_ports(slice: &Value, errors: &mut Vec<FieldError>) {
    let ports = Path::new("ports");
    let mut seen = BTreeSet::new();
    for (i, port) in slice.items("ports").iter().enumerate() {
        let at = ports.index(i);
        let name = port.text("name");
        if !name.is_empty() {
            let problems = names::dns_label(name);
            errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("name"), name, p)));
        }
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        check_port(port, &at, errors);
    }
}

/// `10.1.0.1:8888` for each port and address of an Endpoints object.
fn addresses(endpoints: &Value) -> Vec<String> {
    let mut list = Vec::new();
    for subset in endpoints.items("subsets") {
        let ips = || subset.items("addresses").iter().map(|a| a.text("ip"));
        if subset.has("ports") {
            for port in subset.items("ports") {
                list.extend(ips().map(|ip| print::host_port(ip, port.int("port").unwrap_or_default())));
            }
        } else {
            list.extend(ips().map(str::to_owned));
        }
    }
    list
}

fn endpoints_cells(endpoints: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let list = addresses(endpoints);
    let none = if endpoints.has("subsets") { "" } else { print::NONE };
    vec![
        meta::name(endpoints).into(),
        print::some_of(&list, none).into(),
        print::age(endpoints, now),
        print::or_none(&list.join(",")),
    ]
}

fn slice_cells(slice: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let port = |port: &Value| match port.int("port") {
        Some(number) => number.to_string(),
        None if port.has("name") => port.text("name").to_owned(),
        None => "*".to_owned(),
    };
    let ports: Vec<String> = slice.items("ports").iter().map(port).collect();
    let addresses: Vec<String> = slice
        .items("endpoints")
        .iter()
        .flat_map(|e| e.items("addresses"))
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    vec![
        meta::name(slice).into(),
        slice.text("addressType").into(),
        print::some_of(&ports, "<unset>").into(),
        print::some_of(&addresses, "<unset>").into(),
        print::age(slice, now),
    ]
}
