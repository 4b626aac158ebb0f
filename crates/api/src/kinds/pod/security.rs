//! What must hold for security contexts.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
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
        common::one_of(policy, &["Always", "OnRootMismatch"], &at.child("fsGroupChangePolicy"), errors);
    }
    seccomp(&context["seccompProfile"], &at.child("seccompProfile"), errors);
}

/// What the processes of a pod share with each other and with the node.
pub(super) fn sharing(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if spec.flag("hostPID") && spec.flag("shareProcessNamespace") {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(&at.child("shareProcessNamespace"), true, detail));
    }
    let os = &spec["os"];
    if os.is_object() {
        let path = at.child("os");
        common::one_of(os.text("name"), &["linux", "windows"], &path.child("name"), errors);
    }
    let context = at.child("securityContext");
    let path = context.child("sysctls");
    let mut seen = std::collections::BTreeSet::new();
    for (i, sysctl) in spec["securityContext"].items("sysctls").iter().enumerate() {
        let at = path.index(i);
        let name = sysctl.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), ""));
        } else if !is_sysctl(name) {
            let detail = format!("must have at most 253 characters and match regex {SYSCTL}");
            errors.push(FieldError::invalid(&at.child("name"), name, detail));
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        shared_sysctl(name, spec, &at.child("name"), errors);
    }
}

const SYSCTL: &str = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

fn is_sysctl(name: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(b);
    name.len() <= 253
        && name
            .split(['.', '/'])
            .map(str::as_bytes)
            .all(|part| edge(part.first()) && edge(part.last()) && part.iter().all(inner))
}

/// What belongs to a namespace that the pod shares with the node is not the pod's to set.
fn shared_sysctl(name: &str, spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name_with_dots = name.replace('/', ".");
    let of_network = name_with_dots.starts_with("net.");
    let of_ipc = name_with_dots.starts_with("fs.mqueue.")
        || ["kernel.shm", "kernel.msg", "kernel.sem"].iter().any(|start| name_with_dots.starts_with(start));
    for (field, concerned) in [("hostNetwork", of_network), ("hostIPC", of_ipc)] {
        if concerned && spec.flag(field) {
            let detail = format!("may not be specified when '{field}' is true");
            errors.push(FieldError::invalid(at, name, detail));
        }
    }
}

pub(super) fn container(context: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["runAsUser", "runAsGroup"] {
        identity(context.int(field), &at.child(field), errors);
    }
    seccomp(&context["seccompProfile"], &at.child("seccompProfile"), errors);
    if let Some(mount) = context["procMount"].as_str() {
        common::one_of(mount, &["Default", "Unmasked"], &at.child("procMount"), errors);
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
        kind => common::one_of(kind, &["Localhost", "RuntimeDefault", "Unconfined"], &at.child("type"), errors),
    }
}
