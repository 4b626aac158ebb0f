//! What must hold for an Ingress and an IngressClass.

use std::net::IpAddr;

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common::{domain_path, immutable, one_of, port_number, problems};
use crate::meta;
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
/// What a path may not hold, plainly and at its end.
const BAD_SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_SUFFIXES: [&str; 2] = ["/..", "/."];
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

pub(super) fn ingress(ingress: &Value, errors: &mut Vec<FieldError>) {
    let spec = &ingress["spec"];
    if spec["defaultBackend"].is_object() {
        backend(&spec["defaultBackend"], &SPEC.child("defaultBackend"), errors);
    } else if !spec.has("rules") {
        errors.push(FieldError::invalid(
            &SPEC,
            spec["rules"].clone(),
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    rules(spec, errors);
    tls(spec, errors);
    if let Some(class) = spec["ingressClassName"].as_str() {
        problems(names::dns_subdomain(class), &SPEC.child("ingressClassName"), class, errors);
    }
}

/// A new Ingress that names its class in both ways names the same one.
pub(super) fn one_class(ingress: &Value, errors: &mut Vec<FieldError>) {
    let (Some(old), Some(class)) =
        (meta::annotation(ingress, CLASS_ANNOTATION), ingress["spec"]["ingressClassName"].as_str())
    else {
        return;
    };
    if old != class {
        let detail = "must match `ingressClassName` when both are specified";
        let annotations = Path::new("annotations");
        errors.push(FieldError::invalid(&annotations.child(CLASS_ANNOTATION), old, detail));
    }
}

fn wildcard(host: &str) -> Vec<String> {
    match host.strip_prefix("*.") {
        Some(rest) if names::dns_subdomain(rest).is_empty() => Vec::new(),
        _ => vec![
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist \
             of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. \
             '*.example.com', regex used for validation is \
             '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        ],
    }
}

fn host_problems(host: &str) -> Vec<String> {
    if host.contains('*') { wildcard(host) } else { names::dns_subdomain(host) }
}

fn tls(spec: &Value, errors: &mut Vec<FieldError>) {
    let list = SPEC.child("tls");
    for (i, entry) in spec.items("tls").iter().enumerate() {
        let at = list.index(i);
        let hosts = at.child("hosts");
        for (j, host) in entry.items("hosts").iter().filter_map(Value::as_str).enumerate() {
            problems(host_problems(host), &hosts.index(j), host, errors);
        }
        let secret = entry.text("secretName");
        if !secret.is_empty() {
            problems(names::dns_subdomain(secret), &at.child("secretName"), secret, errors);
        }
    }
}

fn rules(spec: &Value, errors: &mut Vec<FieldError>) {
    let list = SPEC.child("rules");
    for (i, rule) in spec.items("rules").iter().enumerate() {
        let at = list.index(i);
        let host = rule.text("host");
        if !host.is_empty() {
            if host.parse::<IpAddr>().is_ok() {
                errors.push(FieldError::invalid(&at.child("host"), host, "must be a DNS name, not an IP address"));
            }
            problems(host_problems(host), &at.child("host"), host, errors);
        }
        if rule["http"].is_object() {
            let http = at.child("http");
            let paths = http.child("paths");
            if !rule["http"].has("paths") {
                errors.push(FieldError::required(&paths, ""));
            }
            for (j, path) in rule["http"].items("paths").iter().enumerate() {
                check_path(path, &paths.index(j), errors);
            }
        }
    }
}

fn check_path(path: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (value, field) = (path.text("path"), at.child("path"));
    match path["pathType"].as_str() {
        None => {
            errors.push(FieldError::required(&at.child("pathType"), "pathType must be specified"));
            return;
        }
        Some("Exact" | "Prefix") => {
            if !value.starts_with('/') {
                errors.push(FieldError::invalid(&field, value, "must be an absolute path"));
            }
            if !value.is_empty() {
                for bad in BAD_SEQUENCES.iter().filter(|bad| value.contains(**bad)) {
                    errors.push(FieldError::invalid(&field, value, format!("must not contain '{bad}'")));
                }
                for bad in BAD_SUFFIXES.iter().filter(|bad| value.ends_with(**bad)) {
                    errors.push(FieldError::invalid(&field, value, format!("cannot end with '{bad}'")));
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !value.is_empty() && !value.starts_with('/') {
                errors.push(FieldError::invalid(&field, value, "must be an absolute path"));
            }
        }
        Some(other) => errors.push(FieldError::not_supported(&at.child("pathType"), other, PATH_TYPES)),
    }
    backend(&path["backend"], &at.child("backend"), errors);
}

fn backend(backend: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_object(), resource.is_object()) {
        (true, true) => {
            errors.push(FieldError::invalid(at, "", "cannot set both resource and service backends"));
        }
        (false, true) => typed_reference(resource, &at.child("resource"), errors),
        (true, false) => service_backend(service, at, errors),
        (false, false) => {
            errors.push(FieldError::invalid(at, "", "resource or service backend is required"));
        }
    }
}

fn service_backend(service: &Value, backend: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (name, at) = (service.text("name"), backend.child("service"));
    if name.is_empty() {
        errors.push(FieldError::required(&at.child("name"), ""));
    } else {
        problems(names::dns_1035_label(name), &at.child("name"), name, errors);
    }
    let (port, path) = (&service["port"], at.child("port"));
    match (port.text("name"), port.int("number").unwrap_or_default()) {
        ("", 0) => errors.push(FieldError::required(backend, "port name or number is required")),
        ("", number) => port_number(number, &path.child("number"), errors),
        (name, 0) => problems(names::port_name(name), &path.child("name"), name, errors),
        _ => errors.push(FieldError::invalid(backend, "", "cannot set both port name & port number")),
    }
}

fn typed_reference(of: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(group) = of["apiGroup"].as_str() {
        problems(names::dns_subdomain(group), &at.child("apiGroup"), group, errors);
    }
    for field in ["kind", "name"] {
        let value = of.text(field);
        if value.is_empty() {
            errors.push(FieldError::required(&at.child(field), format!("{field} is required")));
        } else {
            problems(names::path_segment(value), &at.child(field), value, errors);
        }
    }
}

/// What a controller says about where an Ingress can be reached.
pub(super) fn status(ingress: &Value, errors: &mut Vec<FieldError>) {
    let (status, name) = (Path::new("status"), "loadBalancer");
    let balancer = status.child(name);
    let list = balancer.child("ingress");
    for (i, point) in ingress["status"][name].items("ingress").iter().enumerate() {
        let at = list.index(i);
        let (ip, host) = (point.text("ip"), point.text("hostname"));
        if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
            let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            errors.push(FieldError::invalid(&at.child("ip"), ip, detail));
        }
        if !host.is_empty() {
            if host.parse::<IpAddr>().is_ok() {
                let detail = "must be a DNS name, not an IP address";
                errors.push(FieldError::invalid(&at.child("hostname"), host, detail));
            }
            problems(names::dns_subdomain(host), &at.child("hostname"), host, errors);
        }
    }
}

pub(super) fn class(class: &Value, errors: &mut Vec<FieldError>) {
    let spec = &class["spec"];
    let (controller, path) = (spec.text("controller"), SPEC.child("controller"));
    if controller.len() > 250 {
        errors.push(FieldError::too_long(&path, 250));
    }
    domain_path(controller, &path, errors);
    let parameters = &spec["parameters"];
    if !parameters.is_object() {
        return;
    }
    let at = SPEC.child("parameters");
    typed_reference(parameters, &at, errors);
    one_of(parameters.text("scope"), &["Cluster", "Namespace"], &at.child("scope"), errors);
    let namespace = at.child("namespace");
    match parameters.text("scope") {
        "Namespace" => match parameters["namespace"].as_str() {
            Some(name) => problems(names::dns_label(name), &namespace, name, errors),
            None => errors.push(FieldError::required(&namespace, "`parameters.scope` is set to 'Namespace'")),
        },
        "Cluster" if !parameters["namespace"].is_null() => {
            let detail = "`parameters.scope` is set to 'Cluster'";
            errors.push(FieldError::forbidden(&namespace, detail));
        }
        _ => {}
    }
}

pub(super) fn class_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    immutable(&new["spec"], &old["spec"], "controller", &SPEC.child("controller"), errors);
}
