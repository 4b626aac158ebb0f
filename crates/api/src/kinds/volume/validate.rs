//! What must hold for persistent volumes and claims.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::kinds::pod;
use crate::meta;
use crate::quantity::Quantity;
use crate::validate::names;
use crate::value::{Read as _, put, take};

const SPEC: Path<'static> = Path::new("spec");
const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// Where the class of storage was at first.
const CLASS_MARK: &str = "volume.beta.kubernetes.io/storage-class";
const POSITIVE: &str = "must be greater than zero";
/// Where a persistent volume may be.
const SOURCES: &[&str] = &[
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

pub(super) fn volume(volume: &Value, errors: &mut Vec<FieldError>) {
    let spec = &volume["spec"];
    if !spec.has("accessModes") {
        errors.push(FieldError::required(&SPEC.child("accessModes"), ""));
    }
    access_modes(spec, &SPEC, errors);
    capacity(&spec["capacity"], errors);
    let policy = spec.text("persistentVolumeReclaimPolicy");
    if !policy.is_empty() && !["Delete", "Recycle", "Retain"].contains(&policy) {
        let at = SPEC.child("persistentVolumeReclaimPolicy");
        errors.push(FieldError::not_supported(&at, policy, &["Delete", "Recycle", "Retain"]));
    }
    pod::node_selector(&spec["nodeAffinity"]["required"], &SPEC.child("nodeAffinity").child("required"), errors);
    source(spec, errors);
    if spec["hostPath"].text("path") == "/" && policy == "Recycle" {
        let detail = "may not be 'recycle' for a hostPath mount of '/'";
        errors.push(FieldError::forbidden(&SPEC.child("persistentVolumeReclaimPolicy"), detail));
    }
    class_and_mode(spec, &SPEC, errors);
}

fn source(spec: &Value, errors: &mut Vec<FieldError>) {
    let given: Vec<&str> = SOURCES.iter().copied().filter(|name| spec[*name].is_object()).collect();
    for (i, name) in given.iter().enumerate() {
        let at = SPEC.child(name);
        if i > 0 {
            errors.push(FieldError::forbidden(&at, "may not specify more than 1 volume type"));
            continue;
        }
        let source = &spec[*name];
        match *name {
            "csi" => {
                for field in ["driver", "volumeHandle"] {
                    required(source, field, &at, errors);
                }
            }
            "local" => {
                required(source, "path", &at, errors);
                if !spec["nodeAffinity"].is_object() {
                    let path = Path::new("metadata");
                    let detail = "Local volume requires node affinity";
                    errors.push(FieldError::required(&path.child("annotations"), detail));
                }
            }
            _ => pod::volume_source(name, source, &at, errors),
        }
    }
    if given.is_empty() {
        errors.push(FieldError::required(&SPEC, "must specify a volume type"));
    }
}

fn required(of: &Value, field: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !of.has(field) {
        errors.push(FieldError::required(&at.child(field), ""));
    }
}

fn capacity(capacity: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("capacity");
    let count = capacity.as_object().map_or(0, serde_json::Map::len);
    if count == 0 {
        errors.push(FieldError::required(&path, ""));
    } else if count != 1 || capacity["storage"].is_null() {
        errors.push(FieldError::not_supported(&path, capacity.clone(), &["storage"]));
    }
    for (name, amount) in capacity.as_object().into_iter().flatten() {
        positive(amount, &path.key(name), errors);
    }
}

fn positive(amount: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    match Quantity::from_json(amount) {
        Ok(quantity) if quantity.is_zero() || quantity.is_negative() => {
            errors.push(FieldError::invalid(at, quantity.to_string(), POSITIVE));
        }
        Ok(_) => {}
        Err(error) => errors.push(FieldError::invalid(at, amount.clone(), error.to_string())),
    }
}

fn access_modes(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = at.child("accessModes");
    let modes = spec.items("accessModes");
    for mode in modes.iter().filter_map(Value::as_str).filter(|mode| !MODES.contains(mode)) {
        errors.push(FieldError::not_supported(&path, mode, MODES));
    }
    if modes.iter().any(|mode| mode == "ReadWriteOncePod") && modes.iter().any(|mode| mode != "ReadWriteOncePod") {
        let detail = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(&path, detail));
    }
}

fn class_and_mode(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["storageClassName", "volumeAttributesClassName"] {
        let name = spec.text(field);
        if !name.is_empty() {
            let problems = names::dns_subdomain(name);
            errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child(field), name, p)));
        }
    }
    let mode = spec.text("volumeMode");
    if !["", "Block", "Filesystem"].contains(&mode) {
        errors.push(FieldError::not_supported(&at.child("volumeMode"), mode, &["Block", "Filesystem"]));
    }
}

pub(super) fn volume_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (now, before) = (&new["spec"], &old["spec"]);
    if SOURCES.iter().any(|name| now[*name] != before[*name]) {
        let detail = "spec.persistentvolumesource is immutable after creation";
        errors.push(FieldError::forbidden(&SPEC.child("persistentvolumesource"), detail));
    }
    if now["volumeMode"] != before["volumeMode"] {
        errors.push(FieldError::invalid(&Path::new("volumeMode"), now["volumeMode"].clone(), common::IMMUTABLE));
    }
    if before["nodeAffinity"].is_object() && now["nodeAffinity"] != before["nodeAffinity"] {
        let detail = "field is immutable, except for updating from beta label to GA";
        errors.push(FieldError::invalid(&SPEC.child("nodeAffinity"), now["nodeAffinity"].clone(), detail));
    }
}

/// A claim's spec, also that of a template.
pub(in crate::kinds) fn claim(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !spec.has("accessModes") {
        errors.push(FieldError::required(&at.child("accessModes"), "at least 1 access mode is required"));
    }
    common::label_selector(&spec["selector"], &at.child("selector"), errors);
    access_modes(spec, at, errors);
    let resources = at.child("resources");
    match &spec["resources"]["requests"]["storage"] {
        Value::Null => errors.push(FieldError::required(&resources.key("storage"), "")),
        amount => positive(amount, &resources.key("storage"), errors),
    }
    class_and_mode(spec, at, errors);
    for field in ["dataSource", "dataSourceRef"] {
        let source = &spec[field];
        if source.is_object() {
            data_source(source, &at.child(field), errors);
        }
    }
    let (source, reference) = (&spec["dataSource"], &spec["dataSourceRef"]);
    let wrong = match (source.is_object() && reference.is_object(), reference.has("namespace")) {
        (true, true) => Some("may not be specified when dataSourceRef.namespace is specified"),
        (true, false) if source != reference => Some("must match dataSourceRef"),
        _ => None,
    };
    errors.extend(wrong.map(|detail| FieldError::invalid(&at.child("dataSource"), source.clone(), detail)));
}

fn data_source(source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["name", "kind"] {
        required(source, field, at, errors);
    }
    let (group, kind) = (source.text("apiGroup"), source.text("kind"));
    if group.is_empty() && !kind.is_empty() && kind != "PersistentVolumeClaim" {
        let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(FieldError::invalid(at, kind, detail));
    }
    if !group.is_empty() {
        common::problems(names::dns_subdomain(group), &at.child("apiGroup"), group, errors);
    }
    if source.has("namespace") {
        let namespace = source.text("namespace");
        common::problems(names::dns_label(namespace), &at.child("namespace"), namespace, errors);
    }
}

pub(super) fn claim_status(new: &Value, _: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::new("status");
    for field in ["capacity", "allocatedResources"] {
        let at = path.child(field);
        for (name, amount) in new["status"].entries(field) {
            if let Some(amount) = Quantity::from_json(amount).ok().filter(|amount| amount.is_negative()) {
                let detail = "must be a valid resource quantity";
                errors.push(FieldError::invalid(&at.key(name), amount.to_string(), detail));
            }
        }
    }
}

pub(super) fn claim_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (now, before) = (&new["spec"], &old["spec"]);
    let bound = old["status"].text("phase") == "Bound";
    let mut allowed = now.clone();
    let mut back = vec!["volumeAttributesClassName"];
    if !before.has("volumeName") {
        back.push("volumeName");
    }
    let annotated = meta::annotation(old, CLASS_MARK);
    if before["storageClassName"].is_null() && annotated.is_none_or(|class| now["storageClassName"] == class) {
        back.push("storageClassName");
    }
    for field in back {
        match before.get(field) {
            Some(value) => put(&mut allowed, field, value.clone()),
            None => take(&mut allowed, field),
        }
    }
    if bound && let Some(requests) = allowed.pointer_mut("/resources/requests") {
        put(requests, "storage", before["resources"]["requests"]["storage"].clone());
    }
    if allowed != *before {
        let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                      bound claims";
        errors.push(FieldError::forbidden(&SPEC, detail));
    }
    let size = |spec: &Value| Quantity::from_json(&spec["resources"]["requests"]["storage"]).ok();
    let capacity = Quantity::from_json(&old["status"]["capacity"]["storage"]).ok();
    if let (Some(now), Some(before)) = (size(now), size(before))
        && now < before
        && capacity.is_some_and(|capacity| now <= capacity)
    {
        let path = SPEC.child("resources");
        let requests = path.child("requests");
        let detail = "field can not be less than status.capacity";
        errors.push(FieldError::forbidden(&requests.child("storage"), detail));
    }
    common::immutable(now, before, "volumeMode", &Path::new("volumeMode"), errors);
    if before.has("volumeAttributesClassName") && !now.has("volumeAttributesClassName") {
        let to = if now["volumeAttributesClassName"].is_string() { "an empty string" } else { "nil" };
        let detail = format!("update from non-nil value to {to} is forbidden");
        errors.push(FieldError::forbidden(&SPEC.child("volumeAttributesClassName"), detail));
    }
}
