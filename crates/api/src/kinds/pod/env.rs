//! What must hold for the environment of a container.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::validate::names;
use crate::value::Read as _;

const SOURCES: &[&str] = &["configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"];
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

pub(super) fn check(container: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = at.child("env");
    for (i, variable) in container.items("env").iter().enumerate() {
        let at = path.index(i);
        let name = variable.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), ""));
        } else {
            common::problems(names::env_var_name(name), &at.child("name"), name, errors);
        }
        if variable["valueFrom"].is_object() {
            source(variable, &at.child("valueFrom"), errors);
        }
    }
    let path = at.child("envFrom");
    for (i, from) in container.items("envFrom").iter().enumerate() {
        all_from(from, &path.index(i), errors);
    }
}

fn source(variable: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let from = &variable["valueFrom"];
    let count = SOURCES.iter().filter(|field| from[**field].is_object()).count();
    if from["fieldRef"].is_object() {
        field(&from["fieldRef"], &at.child("fieldRef"), errors);
    }
    if from["resourceFieldRef"].is_object() {
        let at = at.child("resourceFieldRef");
        if !from["resourceFieldRef"].has("resource") {
            errors.push(FieldError::required(&at.child("resource"), ""));
        }
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        let reference = &from[field];
        if !reference.is_object() {
            continue;
        }
        let at = at.child(field);
        if !reference.has("name") {
            errors.push(FieldError::required(&at.child("name"), ""));
        }
        match reference.text("key") {
            "" => errors.push(FieldError::required(&at.child("key"), "")),
            key => common::problems(names::config_map_key(key), &at.child("key"), key, errors),
        }
    }
    let detail = match count {
        0 => "must specify one of: `configMapKeyRef`, `fieldRef`, `fileKeyRef`, `resourceFieldRef` or `secretKeyRef`",
        _ if variable.has("value") => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(at, "", detail));
}

fn field(reference: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !reference.has("apiVersion") {
        errors.push(FieldError::required(&at.child("apiVersion"), ""));
    }
    let path = at.child("fieldPath");
    let text = reference.text("fieldPath");
    let subscript = |prefix: &str| {
        text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix("']")).map(|key| (key, key.to_lowercase()))
    };
    if text.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else if let Some((key, _)) = subscript("metadata.labels['") {
        common::problems(names::qualified_name(key), &path, key, errors);
    } else if let Some((key, lower)) = subscript("metadata.annotations['") {
        common::problems(names::qualified_name(&lower), &path, key, errors);
    } else if text.starts_with("spec.") || text.starts_with("status.") || text.starts_with("metadata.") {
        if !FIELDS.contains(&text) {
            errors.push(FieldError::not_supported(&path, text, FIELDS));
        }
    } else {
        let detail = format!("error converting fieldPath: field label not supported: {text}");
        errors.push(FieldError::invalid(&path, text, detail));
    }
}

fn all_from(from: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let prefix = from.text("prefix");
    if !prefix.is_empty() {
        common::problems(names::env_var_name(prefix), &at.child("prefix"), prefix, errors);
    }
    let given: Vec<&str> = ["configMapRef", "secretRef"].into_iter().filter(|field| from[*field].is_object()).collect();
    match given.as_slice() {
        [] => errors.push(FieldError::invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")),
        [_] => {}
        _ => errors.push(FieldError::invalid(at, "", "may not have more than one field specified at a time")),
    }
    for field in given {
        if !from[field].has("name") {
            errors.push(FieldError::required(&at.child(field).child("name"), ""));
        }
    }
}
