//! What must hold for volumes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::storage;
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::kinds::volume;
use crate::quantity::Quantity;
use crate::value::Read as _;

/// The names of a pod's volumes.
pub(super) type Known<'a> = BTreeSet<&'a str>;

const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Checks the volumes; answers with their names.
pub(super) fn check<'a>(spec: &'a Value, at: &Path<'_>, errors: &mut Vec<FieldError>) -> Known<'a> {
    let mut known = BTreeSet::new();
    for (i, volume) in spec.items("volumes").iter().enumerate() {
        let at = at.index(i);
        let name = volume.text("name");
        common::required_label(name, &at.child("name"), errors);
        if !name.is_empty() && !known.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        sources(volume, &at, errors);
    }
    known
}

fn sources(volume: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let given = volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && value.is_object());
    for (i, (name, source)) in given.enumerate() {
        let at = at.child(name);
        if i > 0 {
            errors.push(FieldError::forbidden(&at, "may not specify more than 1 volume type"));
            continue;
        }
        source_of_pod(name, source, &at, errors);
    }
}

fn source_of_pod(name: &str, source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    match name {
        "emptyDir" => empty_dir(source, at, errors),
        "configMap" => files(source, "name", at, errors),
        "secret" => files(source, "secretName", at, errors),
        "downwardAPI" => mode(source, "defaultMode", at, errors),
        "projected" => projected(source, at, errors),
        "ephemeral" => {
            let template = &source["volumeClaimTemplate"];
            let path = at.child("volumeClaimTemplate");
            if template.is_object() {
                volume::validate_claim(&template["spec"], &path.child("spec"), errors);
            } else {
                errors.push(FieldError::required(&path, ""));
            }
        }
        _ => self::source(name, source, at, errors),
    }
}

/// A volume that comes from elsewhere, in a pod or as a persistent volume.
pub(in crate::kinds) fn source(name: &str, source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    match name {
        "hostPath" => host_path(source, at, errors),
        _ => storage::check(name, source, at, errors),
    }
}

fn empty_dir(source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let limit = Quantity::from_json(&source["sizeLimit"]);
    if limit.is_ok_and(Quantity::is_negative) {
        let detail = "SizeLimit field must be a valid resource quantity";
        errors.push(FieldError::forbidden(&at.child("sizeLimit"), detail));
    }
}

fn host_path(source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = source.text("path");
    if path.is_empty() {
        errors.push(FieldError::required(&at.child("path"), ""));
    } else if path.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(&at.child("path"), path, "must not contain '..'"));
    }
    let kind = source.text("type");
    if !HOST_PATH_TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&at.child("type"), kind, HOST_PATH_TYPES));
    }
}

/// A ConfigMap or a Secret as files.
fn files(source: &Value, name: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !source.has(name) {
        errors.push(FieldError::required(&at.child(name), ""));
    }
    mode(source, "defaultMode", at, errors);
    items(source, at, errors);
}

fn items(source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = at.child("items");
    for (i, item) in source.items("items").iter().enumerate() {
        let at = path.index(i);
        for field in ["key", "path"] {
            if !item.has(field) {
                errors.push(FieldError::required(&at.child(field), ""));
            }
        }
        relative(item.text("path"), &at.child("path"), errors);
        mode(item, "mode", &at, errors);
    }
}

fn mode(source: &Value, field: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(mode) = source.int(field).filter(|mode| !(0..=0o777).contains(mode)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(FieldError::invalid(&at.child(field), mode, detail));
    }
}

fn projected(source: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    mode(source, "defaultMode", at, errors);
    let path = at.child("sources");
    for (i, source) in source.items("sources").iter().enumerate() {
        let at = path.index(i);
        for field in ["configMap", "secret"].into_iter().filter(|field| source[*field].is_object()) {
            let at = at.child(field);
            if !source[field].has("name") {
                errors.push(FieldError::required(&at.child("name"), ""));
            }
            items(&source[field], &at, errors);
        }
        let token = &source["serviceAccountToken"];
        if token.is_object() {
            let at = at.child("serviceAccountToken");
            if !token.has("path") {
                errors.push(FieldError::required(&at.child("path"), ""));
            }
            if let Some(seconds) = token.int("expirationSeconds").filter(|n| *n < 600) {
                let detail = "may not specify a duration less than 10 minutes";
                errors.push(FieldError::invalid(&at.child("expirationSeconds"), seconds, detail));
            }
        }
    }
}

/// A path that stays inside the folder it is taken from.
pub(super) fn relative(path: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if path.starts_with('/') {
        errors.push(FieldError::invalid(at, path, "must be a relative path"));
    }
    if path.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(at, path, "must not contain '..'"));
    }
}
