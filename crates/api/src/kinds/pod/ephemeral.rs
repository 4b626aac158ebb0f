//! Containers that are put into a pod that runs already, to look at it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::containers::{self, Role};
use super::volumes::Known;
use crate::field_error::{FieldError, Path};
use crate::value::{Read as _, put, take};

/// What only makes sense for containers that belong to the pod.
const NOT_FOR_THEM: [&str; 7] =
    ["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources", "resizePolicy"];
const FORBIDDEN: &str = "cannot be set for an Ephemeral Container";
const LIST: &str = "ephemeralContainers";

/// Checks them, and that no other container has their names.
pub(super) fn check(spec: &Value, volumes: &Known<'_>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut taken: BTreeSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| spec.items(list))
        .map(|container| container.text("name"))
        .collect();
    let path = at.child(LIST);
    for (i, container) in spec.items(LIST).iter().enumerate() {
        let at = path.index(i);
        containers::check(container, Role::Ephemeral, volumes, &at, errors);
        let target = container.text("targetContainerName");
        if !target.is_empty() && !spec.items("containers").iter().any(|c| c.text("name") == target) {
            errors.push(FieldError::not_found(&at.child("targetContainerName"), target));
        }
        for field in NOT_FOR_THEM.into_iter().filter(|field| container.has(field)) {
            errors.push(FieldError::forbidden(&at.child(field), FORBIDDEN));
        }
        let mounts = at.child("volumeMounts");
        for (i, mount) in container.items("volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"].into_iter().filter(|field| mount.has(field)) {
                errors.push(FieldError::forbidden(&mounts.index(i).child(field), FORBIDDEN));
            }
        }
        let name = container.text("name");
        if !name.is_empty() && !taken.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
    }
}

/// They are not part of a new pod.
pub(super) fn none_at_first(pod: &Value, errors: &mut Vec<FieldError>) {
    if pod["spec"].has(LIST) {
        let spec = Path::new("spec");
        errors.push(FieldError::forbidden(&spec.child(LIST), "cannot be set on create"));
    }
}

/// A change through `pods/ephemeralcontainers`: there may only be more of them.
pub(super) fn change(new: &mut Value, old: &Value) -> Vec<FieldError> {
    let list = new["spec"][LIST].take();
    let metadata = new["metadata"].take();
    *new = old.clone();
    put(new, "metadata", old["metadata"].clone());
    for field in ["resourceVersion", "uid", "managedFields"] {
        if let Some(value) = metadata.get(field) {
            crate::meta::set(new, field, value.clone());
        }
    }
    if let Some(spec) = new.get_mut("spec").filter(|spec| spec.is_object()) {
        match list {
            Value::Array(list) if !list.is_empty() => put(spec, LIST, list),
            _ => take(spec, LIST),
        }
    }
    let mut errors = Vec::new();
    let at = Path::new("spec");
    let path = at.child(LIST);
    for before in old["spec"].items(LIST) {
        let name = before.text("name");
        let problem = match new["spec"].items(LIST).iter().find(|one| one.text("name") == name) {
            None => "removed",
            Some(now) if now != before => "changed",
            Some(_) => continue,
        };
        let detail = format!("existing ephemeral containers {name:?} may not be {problem}\n");
        errors.push(FieldError::forbidden(&path, detail));
    }
    super::validate::spec(&new["spec"], &at, &mut errors);
    errors
}
