//! What must hold for the metadata of every object.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::names::{self, NameCheck};
use crate::field_error::{FieldError, Path};
use crate::meta;

const ANNOTATIONS_LIMIT: usize = 256 * 1024;
const META: Path<'static> = Path::new("metadata");

/// Metadata of an object that is about to be made, its name already generated.
#[must_use]
pub fn create(object: &Value, namespaced: bool, check: NameCheck) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut name = |field: &str, prefix: bool| {
        let value = meta::text(object, field);
        for problem in check(value, prefix).into_iter().filter(|_| !value.is_empty()) {
            errors.push(FieldError::invalid(&META.child(field), value, problem));
        }
    };
    name("generateName", true);
    name("name", false);
    if meta::name(object).is_empty() {
        errors.push(FieldError::required(&META.child("name"), "name or generateName is required"));
    }
    namespace(object, namespaced, &mut errors);
    common(object, &mut errors);
    for finalizer in meta::finalizers(object) {
        for problem in names::qualified_name(finalizer) {
            errors.push(FieldError::invalid(&META.child("finalizers"), finalizer, problem));
        }
    }
    let has = |wanted: &str| meta::finalizers(object).any(|f| f == wanted);
    if has("orphan") && has("foregroundDeletion") {
        let value = object["metadata"]["finalizers"].clone();
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(&META.child("finalizers"), value, detail));
    }
    errors
}

/// Metadata of an object that is about to replace `old`.
#[must_use]
pub fn update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if meta::deletion_timestamp(old).is_some() {
        let before: BTreeSet<&str> = meta::finalizers(old).collect();
        let extra: BTreeSet<&str> = meta::finalizers(new).filter(|f| !before.contains(f)).collect();
        if !extra.is_empty() {
            let list: Vec<String> = extra.iter().map(|f| format!("{f:?}")).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            errors.push(FieldError::forbidden(&META.child("finalizers"), detail));
        }
    }
    if meta::resource_version(new).is_empty() {
        let detail = "must be specified for an update";
        errors.push(FieldError::invalid(&META.child("resourceVersion"), "", detail));
    }
    if meta::generation(new) < meta::generation(old) {
        let detail = "must not be decremented";
        errors.push(FieldError::invalid(&META.child("generation"), meta::generation(new), detail));
    }
    let fixed = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];
    for field in fixed {
        let (now, before) = (&new["metadata"][field], &old["metadata"][field]);
        if now != before {
            errors.push(FieldError::invalid(&META.child(field), now.clone(), "field is immutable"));
        }
    }
    common(new, &mut errors);
    errors
}

fn namespace(object: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    let path = META.child("namespace");
    match (namespaced, meta::namespace(object)) {
        (true, "") => errors.push(FieldError::required(&path, "")),
        (true, name) => {
            errors.extend(names::dns_label(name).into_iter().map(|p| FieldError::invalid(&path, name, p)));
        }
        (false, "") => {}
        (false, _) => errors.push(FieldError::forbidden(&path, "not allowed on this type")),
    }
}

fn common(object: &Value, errors: &mut Vec<FieldError>) {
    if meta::generation(object) < 0 {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(&META.child("generation"), meta::generation(object), detail));
    }
    labels(&object["metadata"]["labels"], &META.child("labels"), errors);
    annotation_map(&object["metadata"]["annotations"], &META.child("annotations"), errors);
    owners(object, errors);
}

/// The keys and values of a map of labels.
pub fn labels(map: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (key, value) in meta::strings(map) {
        errors.extend(names::qualified_name(key).into_iter().map(|p| FieldError::invalid(path, key, p)));
        errors.extend(names::label_value(value).into_iter().map(|p| FieldError::invalid(path, value, p)));
    }
}

/// The keys of a map of annotations, and its size.
pub fn annotation_map(map: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in meta::strings(map) {
        size += key.len() + value.len();
        let problems = names::qualified_name(&key.to_lowercase());
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(path, key, p)));
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long(path, ANNOTATIONS_LIMIT));
    }
}

fn owners(object: &Value, errors: &mut Vec<FieldError>) {
    let path = META.child("ownerReferences");
    let mut controller: Option<String> = None;
    for (i, owner) in meta::owner_references(object).enumerate() {
        let at = path.index(i);
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(field).is_empty() {
                errors.push(FieldError::required(&at.child(field), "must not be empty"));
            }
        }
        if text("apiVersion").matches('/').count() > 1 {
            let detail = "must be <group>/<version> or <version>";
            errors.push(FieldError::invalid(&at.child("apiVersion"), text("apiVersion"), detail));
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(&at, owner.clone(), detail));
        }
        if owner["controller"] == json!(true) {
            let this = format!("{}/{}", text("kind"), text("name"));
            if let Some(first) = &controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                errors.push(FieldError::invalid(&path, object["metadata"]["ownerReferences"].clone(), detail));
            } else {
                controller = Some(this);
            }
        }
    }
}
