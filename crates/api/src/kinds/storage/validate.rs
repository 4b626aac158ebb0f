//! What must hold for the kinds of `storage.k8s.io`.

use std::collections::HashSet;

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common::{IMMUTABLE, NOT_NEGATIVE, immutable, label_selector, one_of, problems, required_name};
use crate::meta;
use crate::quantity::Quantity;
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const POLICIES: &[&str] = &["Delete", "Retain"];
const BINDING_MODES: &[&str] = &["Immediate", "WaitForFirstConsumer"];
const GROUP_POLICIES: &[&str] = &["ReadWriteOnceWithFSType", "File", "None"];
const MODES: &[&str] = &["Ephemeral", "Persistent"];
const MOST_PARAMETERS: usize = 512;
const MOST_PARAMETER_BYTES: usize = 256 * 1024;

pub(super) fn class(class: &Value, errors: &mut Vec<FieldError>) {
    provisioner(class.text("provisioner"), &Path::new("provisioner"), errors);
    parameters(class, false, errors);
    one_of(class.text("reclaimPolicy"), POLICIES, &Path::new("reclaimPolicy"), errors);
    one_of(class.text("volumeBindingMode"), BINDING_MODES, &Path::new("volumeBindingMode"), errors);
    topologies(class, errors);
}

pub(super) fn class_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let changed = |field: &str| (new.has(field) || old.has(field)) && new[field] != old[field];
    if changed("parameters") {
        errors.push(FieldError::forbidden(&Path::new("parameters"), "updates to parameters are forbidden."));
    }
    if changed("provisioner") {
        errors.push(FieldError::forbidden(&Path::new("provisioner"), "updates to provisioner are forbidden."));
    }
    if changed("reclaimPolicy") {
        errors.push(FieldError::forbidden(&Path::new("reclaimPolicy"), "updates to reclaimPolicy are forbidden."));
    }
    immutable(new, old, "volumeBindingMode", &Path::new("volumeBindingMode"), errors);
}

/// A qualified name in lower case.
fn provisioner(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(FieldError::required(path, name));
    } else {
        problems(names::qualified_name(&name.to_lowercase()), path, name, errors);
    }
}

fn parameters(class: &Value, required: bool, errors: &mut Vec<FieldError>) {
    let path = Path::new("parameters");
    let entries: Vec<(&str, &str)> = meta::strings(&class["parameters"]).collect();
    if required && entries.is_empty() {
        errors.push(FieldError::required(&path, "must contain at least one key/value pair"));
        return;
    }
    if entries.len() > MOST_PARAMETERS {
        errors.push(FieldError::too_long(&path, MOST_PARAMETERS));
        return;
    }
    for (key, _) in entries.iter().filter(|(key, _)| key.is_empty()) {
        errors.push(FieldError::invalid(&path, *key, "field can not be empty."));
    }
    if entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MOST_PARAMETER_BYTES {
        errors.push(FieldError::too_long(&path, MOST_PARAMETER_BYTES));
    }
}

fn topologies(class: &Value, errors: &mut Vec<FieldError>) {
    let list = Path::new("allowedTopologies");
    for (i, term) in class.items("allowedTopologies").iter().enumerate() {
        let at = list.index(i);
        let expressions = at.child("matchLabelExpressions");
        let mut seen = HashSet::new();
        for (j, expression) in term.items("matchLabelExpressions").iter().enumerate() {
            let at = expressions.index(j);
            let key = expression.text("key");
            problems(names::qualified_name(key), &at.child("key"), key, errors);
            if !seen.insert(key) {
                errors.push(FieldError::duplicate(&at.child("key"), key));
            }
            let values = at.child("values");
            if !expression.has("values") {
                errors.push(FieldError::required(&values, ""));
            }
            let mut seen = HashSet::new();
            for (k, value) in expression.items("values").iter().filter_map(Value::as_str).enumerate() {
                if !seen.insert(value) {
                    errors.push(FieldError::duplicate(&values.index(k), value));
                }
            }
        }
    }
}

pub(super) fn attributes(class: &Value, errors: &mut Vec<FieldError>) {
    provisioner(class.text("driverName"), &Path::new("driverName"), errors);
    parameters(class, true, errors);
}

pub(super) fn attributes_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    immutable(new, old, "driverName", &Path::new("driverName"), errors);
    immutable(new, old, "parameters", &Path::new("parameters"), errors);
}

/// The name of a driver: a short DNS subdomain, whatever its case.
fn driver_name(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    if name.len() > 63 {
        errors.push(FieldError::too_long(path, 63));
    }
    if !name.is_empty() {
        problems(names::dns_subdomain(&name.to_lowercase()), path, name, errors);
    }
}

pub(super) fn driver(driver: &Value, errors: &mut Vec<FieldError>) {
    let (spec, metadata) = (&driver["spec"], Path::new("metadata"));
    driver_name(meta::name(driver), &metadata.child("name"), errors);
    let policy = spec.text("fsGroupPolicy");
    if !policy.is_empty() && !GROUP_POLICIES.contains(&policy) {
        errors.push(FieldError::not_supported(&SPEC.child("fsGroupPolicy"), policy, GROUP_POLICIES));
    }
    let list = SPEC.child("tokenRequests");
    let mut audiences = HashSet::new();
    for (i, request) in spec.items("tokenRequests").iter().enumerate() {
        let at = list.index(i);
        if !audiences.insert(request.text("audience")) {
            errors.push(FieldError::duplicate(&at.child("audience"), request.text("audience")));
        }
        match request.int("expirationSeconds") {
            Some(seconds) if seconds < 600 => {
                let detail = "may not specify a duration less than 10 minutes";
                errors.push(FieldError::invalid(&at.child("expirationSeconds"), seconds, detail));
            }
            Some(seconds) if seconds > 1 << 32 => {
                let detail = "may not specify a duration larger than 2^32 seconds";
                errors.push(FieldError::invalid(&at.child("expirationSeconds"), seconds, detail));
            }
            _ => {}
        }
    }
    let list = SPEC.child("volumeLifecycleModes");
    for (i, mode) in spec.items("volumeLifecycleModes").iter().filter_map(Value::as_str).enumerate() {
        if !MODES.contains(&mode) {
            errors.push(FieldError::not_supported(&list.index(i), mode, MODES));
        }
    }
    if let Some(seconds) = spec.int("nodeAllocatableUpdatePeriodSeconds").filter(|seconds| *seconds < 10) {
        let path = SPEC.child("nodeAllocatableUpdatePeriodSeconds");
        errors.push(FieldError::invalid(&path, seconds, "must be greater than or equal to 10 seconds"));
    }
}

pub(super) fn driver_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for field in ["attachRequired", "volumeLifecycleModes"] {
        immutable(&new["spec"], &old["spec"], field, &SPEC.child(field), errors);
    }
}

pub(super) fn node(node: &Value, errors: &mut Vec<FieldError>) {
    let list = SPEC.child("drivers");
    let mut seen = HashSet::new();
    for (i, driver) in node["spec"].items("drivers").iter().enumerate() {
        let at = list.index(i);
        let name = driver.text("name");
        driver_name(name, &at.child("name"), errors);
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        let id = driver.text("nodeID");
        match id.len() {
            0 => errors.push(FieldError::required(&at.child("nodeID"), id)),
            n if n > 192 => errors.push(FieldError::invalid(&at.child("nodeID"), id, "must be 192 characters or less")),
            _ => {}
        }
        let count = at.child("allocatable");
        if let Some(number) = driver["allocatable"].int("count").filter(|number| *number < 0) {
            errors.push(FieldError::invalid(&count.child("count"), number, NOT_NEGATIVE));
        }
        let keys = at.child("topologyKeys");
        let mut seen = HashSet::new();
        for key in driver.items("topologyKeys").iter().filter_map(Value::as_str) {
            if !seen.insert(key) {
                errors.push(FieldError::duplicate(&keys, key));
            }
            problems(names::qualified_name(key), &keys, key, errors);
        }
    }
}

/// What a node once said about a driver stays, but for how many volumes fit.
pub(super) fn node_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |driver: &Value| {
        let mut driver = driver.clone();
        crate::value::take(&mut driver, "allocatable");
        driver
    };
    let list = SPEC.child("drivers");
    for before in old["spec"].items("drivers") {
        let find = |(_, driver): &(usize, &Value)| driver["name"] == before["name"];
        let Some((i, now)) = new["spec"].items("drivers").iter().enumerate().find(find) else { continue };
        if fixed(now) != fixed(before) {
            errors.push(FieldError::invalid(&list.index(i), now.clone(), IMMUTABLE));
        }
    }
}

pub(super) fn capacity(capacity: &Value, errors: &mut Vec<FieldError>) {
    label_selector(&capacity["nodeTopology"], &Path::new("nodeTopology"), errors);
    let class = capacity.text("storageClassName");
    required_name(class, &Path::new("storageClassName"), errors);
    for field in ["capacity", "maximumVolumeSize"] {
        if Quantity::from_json(&capacity[field]).is_ok_and(Quantity::is_negative) {
            errors.push(FieldError::invalid(&Path::new(field), capacity[field].clone(), NOT_NEGATIVE));
        }
    }
}

pub(super) fn capacity_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for field in ["nodeTopology", "storageClassName"] {
        immutable(new, old, field, &Path::new(field), errors);
    }
}

pub(super) fn attachment(attachment: &Value, errors: &mut Vec<FieldError>) {
    let spec = &attachment["spec"];
    let attacher = spec.text("attacher");
    provisioner(attacher, &SPEC.child("attacher"), errors);
    let (source, at) = (&spec["source"], SPEC.child("source"));
    match (source["inlineVolumeSpec"].is_object(), source["persistentVolumeName"].as_str()) {
        (false, None) => {
            let detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
            errors.push(FieldError::required(&at, detail));
        }
        (true, Some(_)) => {
            let detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
            errors.push(FieldError::forbidden(&at, detail));
        }
        (false, Some("")) => errors.push(FieldError::required(
            &at.child("persistentVolumeName"),
            "must specify non empty persistentVolumeName",
        )),
        _ => {}
    }
    let node = spec.text("nodeName");
    let path = SPEC.child("nodeName");
    if node.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        problems(names::dns_subdomain(node), &path, node, errors);
    }
}

pub(super) fn attachment_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new["spec"] != old["spec"] {
        errors.push(FieldError::invalid(&SPEC, new["spec"].clone(), IMMUTABLE));
    }
}
