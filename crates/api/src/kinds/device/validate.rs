//! What must hold for the kinds of `resource.k8s.io`.

use std::collections::HashSet;

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common::{IMMUTABLE, immutable, one_of, problems, required_name};
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const MOST: usize = 32;
const MOST_DEVICES: usize = 128;
const MOST_USERS: usize = 256;

pub(super) fn class(class: &Value, errors: &mut Vec<FieldError>) {
    selectors(&class["spec"], &SPEC, errors);
    let list = SPEC.child("config");
    for (i, config) in class["spec"].items("config").iter().enumerate() {
        opaque(config, &list.index(i), errors);
    }
}

pub(super) fn claim(claim: &Value, errors: &mut Vec<FieldError>) {
    devices(&claim["spec"]["devices"], &SPEC.child("devices"), errors);
}

pub(super) fn template(template: &Value, errors: &mut Vec<FieldError>) {
    let inner = SPEC.child("spec");
    devices(&template["spec"]["spec"]["devices"], &inner.child("devices"), errors);
    let metadata = SPEC.child("metadata");
    let labels = &template["spec"]["metadata"]["labels"];
    crate::validate::objectmeta::labels(labels, &metadata.child("labels"), errors);
}

pub(super) fn claim_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new["spec"] != old["spec"] {
        errors.push(FieldError::invalid(&SPEC, new["spec"].clone(), IMMUTABLE));
    }
}

/// The label of a driver or a name that may be prefixed by one.
fn driver(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    required_name(name, path, errors);
    if name.len() > 63 {
        errors.push(FieldError::too_long(path, 63));
    }
}

fn selectors(of: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let list = at.child("selectors");
    if of.items("selectors").len() > MOST {
        errors.push(FieldError::too_many(&list, of.items("selectors").len(), MOST));
    }
    for (i, selector) in of.items("selectors").iter().enumerate() {
        let at = list.index(i);
        let cel = at.child("cel");
        if !selector["cel"].is_object() {
            errors.push(FieldError::required(&cel, ""));
        } else if !selector["cel"].has("expression") {
            errors.push(FieldError::required(&cel.child("expression"), ""));
        }
    }
}

fn opaque(config: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = at.child("opaque");
    if !config["opaque"].is_object() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    driver(config["opaque"].text("driver"), &path.child("driver"), errors);
    let parameters = path.child("parameters");
    match &config["opaque"]["parameters"] {
        Value::Null => errors.push(FieldError::required(&parameters, "")),
        Value::Object(_) => {}
        other => errors.push(FieldError::invalid(&parameters, other.clone(), "must be a valid JSON object")),
    }
}

fn devices(devices: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let list = at.child("requests");
    let mut seen = HashSet::new();
    if devices.items("requests").len() > MOST {
        errors.push(FieldError::too_many(&list, devices.items("requests").len(), MOST));
    }
    for (i, request) in devices.items("requests").iter().enumerate() {
        let at = list.index(i);
        let name = request.text("name");
        label(name, &at.child("name"), errors);
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        match (request["exactly"].is_object(), request.has("firstAvailable")) {
            (true, true) | (false, false) => {
                let detail = "exactly one of `exactly` or `firstAvailable` is required";
                let value = request.clone();
                errors.push(if request.has("firstAvailable") {
                    FieldError::invalid(&at, value, detail)
                } else {
                    FieldError::required(&at, detail)
                });
            }
            (true, false) => exact(&request["exactly"], &at.child("exactly"), errors),
            (false, true) => {
                let list = at.child("firstAvailable");
                for (j, request) in request.items("firstAvailable").iter().enumerate() {
                    label(request.text("name"), &list.index(j).child("name"), errors);
                    exact(request, &list.index(j), errors);
                }
            }
        }
    }
    let list = at.child("constraints");
    for (i, constraint) in devices.items("constraints").iter().enumerate() {
        if !constraint.has("matchAttribute") && !constraint.has("distinctAttribute") {
            errors.push(FieldError::required(&list.index(i).child("matchAttribute"), ""));
        }
        named(constraint, &seen, &list.index(i), errors);
    }
    let list = at.child("config");
    for (i, config) in devices.items("config").iter().enumerate() {
        named(config, &seen, &list.index(i), errors);
        opaque(config, &list.index(i), errors);
    }
}

fn label(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        problems(names::dns_label(name), path, name, errors);
    }
}

/// The requests that are named have to be there; `request/subrequest` is about the request.
fn named(of: &Value, known: &HashSet<&str>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let list = at.child("requests");
    for (i, name) in of.items("requests").iter().filter_map(Value::as_str).enumerate() {
        let own = name.split_once('/').map_or(name, |(own, _)| own);
        if !known.contains(own) {
            let detail = "must be the name of a request in the claim or the name of a request and a subrequest \
                          separated by '/'";
            errors.push(FieldError::invalid(&list.index(i), name, detail));
        }
    }
}

fn exact(request: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    required_name(request.text("deviceClassName"), &at.child("deviceClassName"), errors);
    selectors(request, at, errors);
    let (count, path) = (request.int("count").unwrap_or_default(), at.child("count"));
    match request.text("allocationMode") {
        "ExactCount" if count <= 0 => {
            errors.push(FieldError::invalid(&path, count, "must be greater than zero"));
        }
        "All" if count != 0 => {
            let detail = "must not be specified when allocationMode is 'All'";
            errors.push(FieldError::invalid(&path, count, detail));
        }
        mode => one_of(mode, &["All", "ExactCount"], &at.child("allocationMode"), errors),
    }
}

pub(super) fn claim_status(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (status, path) = (&new["status"], Path::new("status"));
    let list = path.child("reservedFor");
    let users = status.items("reservedFor");
    if users.len() > MOST_USERS {
        errors.push(FieldError::too_many(&list, users.len(), MOST_USERS));
    }
    for (i, user) in users.iter().enumerate() {
        for field in ["resource", "name", "uid"] {
            if !user.has(field) {
                errors.push(FieldError::required(&list.index(i).child(field), ""));
            }
        }
    }
    if !users.is_empty() && !status["allocation"].is_object() {
        let detail = "may not be specified when `allocated` is not set";
        errors.push(FieldError::forbidden(&list, detail));
    }
    let (now, before) = (&status["allocation"], &old["status"]["allocation"]);
    if before.is_object() && now.is_object() && now != before {
        errors.push(FieldError::invalid(&path.child("allocation"), now.clone(), IMMUTABLE));
    }
}

pub(super) fn slice(slice: &Value, errors: &mut Vec<FieldError>) {
    let spec = &slice["spec"];
    driver(spec.text("driver"), &SPEC.child("driver"), errors);
    let pool = SPEC.child("pool");
    if !spec["pool"].has("name") {
        errors.push(FieldError::required(&pool.child("name"), ""));
    }
    let count = spec["pool"].int("resourceSliceCount").unwrap_or_default();
    if count <= 0 {
        errors.push(FieldError::invalid(&pool.child("resourceSliceCount"), count, "must be greater than zero"));
    }
    if let Some(generation) = spec["pool"].int("generation").filter(|generation| *generation < 0) {
        let detail = "must be greater than or equal to zero";
        errors.push(FieldError::invalid(&pool.child("generation"), generation, detail));
    }
    let given = [
        spec.has("nodeName"),
        spec["nodeSelector"].is_object(),
        spec.flag("allNodes"),
        spec.flag("perDeviceNodeSelection"),
    ];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => {
            let detail = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
            errors.push(FieldError::required(&SPEC, detail));
        }
        _ => {
            let detail = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
            errors.push(FieldError::invalid(&SPEC, spec.clone(), detail));
        }
    }
    let list = SPEC.child("devices");
    let devices = spec.items("devices");
    if devices.len() > MOST_DEVICES {
        errors.push(FieldError::too_many(&list, devices.len(), MOST_DEVICES));
    }
    let mut seen = HashSet::new();
    for (i, device) in devices.iter().enumerate() {
        let at = list.index(i);
        label(device.text("name"), &at.child("name"), errors);
        if !seen.insert(device.text("name")) {
            errors.push(FieldError::duplicate(&at.child("name"), device.text("name")));
        }
    }
}

pub(super) fn slice_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let pool = SPEC.child("pool");
    for field in ["driver", "nodeName"] {
        immutable(&new["spec"], &old["spec"], field, &SPEC.child(field), errors);
    }
    immutable(&new["spec"]["pool"], &old["spec"]["pool"], "name", &pool.child("name"), errors);
}
