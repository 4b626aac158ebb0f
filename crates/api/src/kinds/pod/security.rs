//! What must hold for security contexts.

use serde_json::Value;

use super::one_of;
use crate::field_error::{FieldError, Path};
use crate::value::Read as _;

pub(super) fn pod(context: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        identity(context.int(field), &at.child(field), errors);
    }
    let groups = at.child("supplementalGroups");
    for (i, group) in context.items("supplementalGroups").iter().enumerate() {
        identity(group.as_i64(), &groups.index(i), errors);
    }
    if let Some(policy) = context["fsGroupChangePolicy"].as_str() {
        one_of(errors, &at.child("fsGroupChangePolicy"), policy, &["Always", "OnRootMismatch"]);
    }
    seccomp(&context["seccompProfile"], &at.child("seccompProfile"), errors);
}

pub(super) fn container(context: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["runAsUser", "runAsGroup"] {
        identity(context.int(field), &at.child(field), errors);
    }
    seccomp(&context["seccompProfile"], &at.child("seccompProfile"), errors);
    if let Some(mount) = context["procMount"].as_str() {
        one_of(errors, &at.child("procMount"), mount, &["Default", "Unmasked"]);
    }
    if context["allowPrivilegeEscalation"] == Value::Bool(false) {
        if context.flag("privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(FieldError::invalid(at, context.clone(), detail));
        }
        if context["capabilities"].items("add").iter().any(|name| name == "SYS_ADMIN" || name == "CAP_SYS_ADMIN") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.push(FieldError::invalid(at, context.clone(), detail));
        }
    }
}

fn identity(id: Option<i64>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(id) = id.filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
        let detail = format!("must be between 0 and {}, inclusive", i32::MAX);
        errors.push(FieldError::invalid(at, id, detail));
    }
}

fn seccomp(profile: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !profile.is_object() {
        return;
    }
    let local = at.child("localhostProfile");
    match profile.text("type") {
        "Localhost" if !profile.has("localhostProfile") => {
            errors.push(FieldError::required(&local, "must be set when seccomp type is Localhost"));
        }
        "RuntimeDefault" | "Unconfined" if profile.has("localhostProfile") => {
            let detail = "can only be set when seccomp type is Localhost";
            errors.push(FieldError::invalid(&local, profile.text("localhostProfile"), detail));
        }
        kind => one_of(errors, &at.child("type"), kind, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
}
