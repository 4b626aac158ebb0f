//! What must hold for probes and for the hooks of a container's life.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::validate::names;
use crate::value::Read as _;

const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";
const HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

pub(super) fn check(container: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[name];
        if !probe.is_object() {
            continue;
        }
        let at = at.child(name);
        handler(probe, &at, errors);
        for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
        {
            common::not_negative(probe, field, &at, errors);
        }
        if name != "readinessProbe" && probe.int("successThreshold").is_some_and(|n| n != 1) {
            let value = probe["successThreshold"].clone();
            errors.push(FieldError::invalid(&at.child("successThreshold"), value, "must be 1"));
        }
        if let Some(seconds) = probe.int("terminationGracePeriodSeconds") {
            let path = at.child("terminationGracePeriodSeconds");
            if name == "readinessProbe" {
                let detail = "must not be set for readinessProbes";
                errors.push(FieldError::invalid(&path, seconds, detail));
            } else if seconds <= 0 {
                errors.push(FieldError::invalid(&path, seconds, "must be greater than 0"));
            }
        }
    }
    let lifecycle = at.child("lifecycle");
    for name in ["postStart", "preStop"] {
        let hook = &container["lifecycle"][name];
        if hook.is_object() {
            handler(hook, &lifecycle.child(name), errors);
        }
    }
}

fn handler(of: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given: Vec<&str> = HANDLERS.iter().copied().filter(|name| of[*name].is_object()).collect();
    for (i, name) in given.iter().enumerate() {
        let path = at.child(name);
        if i > 0 {
            errors.push(FieldError::forbidden(&path, "may not specify more than 1 handler type"));
            continue;
        }
        let handler = &of[*name];
        match *name {
            "exec" if !handler.has("command") => errors.push(FieldError::required(&path.child("command"), "")),
            "httpGet" => http_get(handler, &path, errors),
            "tcpSocket" => port(&handler["port"], &path.child("port"), errors),
            "grpc" => number(handler.int("port").unwrap_or_default(), &path.child("port"), errors),
            "sleep" => common::not_negative(handler, "seconds", &path, errors),
            _ => {}
        }
    }
    if given.is_empty() {
        errors.push(FieldError::required(at, "must specify a handler type"));
    }
}

fn http_get(get: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !get.has("path") {
        errors.push(FieldError::required(&at.child("path"), ""));
    }
    port(&get["port"], &at.child("port"), errors);
    common::one_of(get.text("scheme"), &["HTTP", "HTTPS"], &at.child("scheme"), errors);
    let headers = at.child("httpHeaders");
    for header in get.items("httpHeaders") {
        let name = header.text("name");
        common::problems(names::http_header_name(name), &headers, name, errors);
    }
}

fn port(port: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    match port {
        Value::String(name) => common::problems(names::port_name(name), at, name, errors),
        other => number(other.as_i64().unwrap_or_default(), at, errors),
    }
}

fn number(number: i64, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !(1..=65535).contains(&number) {
        errors.push(FieldError::invalid(at, number, PORT_RANGE));
    }
}
