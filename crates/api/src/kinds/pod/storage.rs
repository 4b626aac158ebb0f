//! Volumes that come from somewhere else: what each sort must say. A pod's own volumes and persistent
//! volumes share these.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::value::Read as _;

/// The fields that a sort of volume must have.
const REQUIRED: &[(&str, &[&str])] = &[
    ("awsElasticBlockStore", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("azureFile", &["secretName", "shareName"]),
    ("cephfs", &["monitors"]),
    ("cinder", &["volumeID"]),
    ("csi", &["driver"]),
    ("flexVolume", &["driver"]),
    ("gcePersistentDisk", &["pdName"]),
    ("gitRepo", &["repository"]),
    ("glusterfs", &["endpoints", "path"]),
    ("image", &["reference"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("nfs", &["server", "path"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("quobyte", &["registry", "volume"]),
    ("rbd", &["monitors", "image"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("vsphereVolume", &["volumePath"]),
];

/// Numbers that must be within bounds, where they are given.
const RANGES: &[(&str, &str, i64, i64)] = &[
    ("awsElasticBlockStore", "partition", 0, 255),
    ("gcePersistentDisk", "partition", 0, 255),
    ("iscsi", "lun", 0, 255),
    ("fc", "lun", 0, 255),
];

pub(super) fn check(name: &str, source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in REQUIRED.iter().filter(|(of, _)| *of == name).flat_map(|(_, fields)| *fields) {
        if !source.has(field) {
            errors.push(FieldError::required(&at.child(field), ""));
        }
    }
    for (_, field, least, most) in RANGES.iter().filter(|(of, ..)| *of == name) {
        if let Some(number) = source.int(field).filter(|n| !(least..=most).contains(&n)) {
            let detail = format!("must be between {least} and {most}, inclusive");
            errors.push(FieldError::invalid(&at.child(field), number, detail));
        }
    }
    match name {
        "nfs" if source.has("path") && !source.text("path").starts_with('/') => {
            errors.push(FieldError::invalid(&at.child("path"), source.text("path"), "must be an absolute path"));
        }
        "iscsi" => iscsi(source, at, errors),
        "fc" => fibre_channel(source, at, errors),
        "flocker" => flocker(source, at, errors),
        "image" if source.has("pullPolicy") => {
            let policies = &["Always", "IfNotPresent", "Never"];
            common::one_of(source.text("pullPolicy"), policies, &at.child("pullPolicy"), errors);
        }
        "gitRepo" => super::volumes::relative(source.text("directory"), &at.child("directory"), errors),
        _ => {}
    }
}

fn iscsi(source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = source.text("iqn");
    if !name.is_empty() && !["iqn", "eui", "naa"].iter().any(|start| name.starts_with(start)) {
        errors.push(FieldError::invalid(&at.child("iqn"), name, "must be valid format starting with iqn, eui, or naa"));
    }
    let wants_secret = source.flag("chapAuthDiscovery") || source.flag("chapAuthSession");
    if wants_secret && !source["secretRef"].is_object() {
        errors.push(FieldError::required(&at.child("secretRef"), ""));
    }
}

fn fibre_channel(source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (targets, ids) = (source.has("targetWWNs"), source.has("wwids"));
    let path = at.child("targetWWNs");
    match (targets, ids) {
        (false, false) => {
            let detail = "must specify either targetWWNs or wwids, but not both";
            errors.push(FieldError::required(&path, detail));
        }
        (true, true) => {
            let detail = "targetWWNs and wwids can not be specified simultaneously";
            errors.push(FieldError::invalid(&path, source["targetWWNs"].clone(), detail));
        }
        (true, false) if source["lun"].is_null() => {
            let detail = "lun is required if targetWWNs is specified";
            errors.push(FieldError::required(&at.child("lun"), detail));
        }
        _ => {}
    }
}

fn flocker(source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (name, id) = (source.text("datasetName"), source.text("datasetUUID"));
    if name.is_empty() && id.is_empty() {
        errors.push(FieldError::required(at, "one of datasetName and datasetUUID is required"));
    }
    if !name.is_empty() && !id.is_empty() {
        errors.push(FieldError::invalid(
            at,
            "resource",
            "datasetName and datasetUUID can not be specified simultaneously",
        ));
    }
    if name.contains('/') {
        errors.push(FieldError::invalid(&at.child("datasetName"), name, "must not contain '/'"));
    }
}
