//! What must hold for one container, and for the ports of all of them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::volumes::Known;
use super::{env, probes, resources, security};
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::validate::names;
use crate::value::Read as _;

const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// What a container is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The work itself.
    Main,
    /// Something that comes before, or beside it.
    Init,
    /// Something that is put into the pod while it runs.
    Ephemeral,
}

pub(super) fn check(container: &Value, role: Role, volumes: &Known<'_>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    common::required_label(container.text("name"), &at.child("name"), errors);
    image(container, at, errors);
    lifecycle(container, role, at, errors);
    ports(container, &at.child("ports"), errors);
    env::check(container, at, errors);
    mounts(container, volumes, &at.child("volumeMounts"), errors);
    let policies = &["Always", "IfNotPresent", "Never"];
    common::one_of(container.text("imagePullPolicy"), policies, &at.child("imagePullPolicy"), errors);
    if container.has("terminationMessagePolicy") {
        let policy = container.text("terminationMessagePolicy");
        let supported = &["FallbackToLogsOnError", "File"];
        common::one_of(policy, supported, &at.child("terminationMessagePolicy"), errors);
    }
    resources::check(&container["resources"], &at.child("resources"), errors);
    security::container(&container["securityContext"], &at.child("securityContext"), errors);
}

fn image(container: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = at.child("image");
    let image = container.text("image");
    if image.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else if image.trim() != image {
        errors.push(FieldError::invalid(&path, image, "must not have leading or trailing whitespace"));
    }
}

fn lifecycle(container: &Value, role: Role, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let policy = container.text("restartPolicy");
    let at_policy = at.child("restartPolicy");
    if !policy.is_empty() && role == Role::Init && policy != "Always" {
        errors.push(FieldError::not_supported(&at_policy, policy, &["Always"]));
    } else if !policy.is_empty() && role != Role::Init {
        errors.push(FieldError::forbidden(&at_policy, "may not be set for non-init containers"));
    }
    if role == Role::Init && policy != "Always" {
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if !container[field].is_null() {
                let detail = "may not be set for init containers without restartPolicy=Always";
                errors.push(FieldError::forbidden(&at.child(field), detail));
            }
        }
        return;
    }
    if role != Role::Ephemeral {
        probes::check(container, at, errors);
    }
}

fn ports(container: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (i, port) in container.items("ports").iter().enumerate() {
        let at = at.index(i);
        let name = port.text("name");
        if !name.is_empty() {
            common::problems(names::port_name(name), &at.child("name"), name, errors);
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(&at.child("name"), name));
            }
        }
        match port.int("containerPort").unwrap_or_default() {
            0 => errors.push(FieldError::required(&at.child("containerPort"), "")),
            1..=65535 => {}
            other => errors.push(FieldError::invalid(&at.child("containerPort"), other, PORT_RANGE)),
        }
        if let Some(number) = port.int("hostPort").filter(|n| !(0..=65535).contains(n)) {
            errors.push(FieldError::invalid(&at.child("hostPort"), number, PORT_RANGE));
        }
        common::one_of(port.text("protocol"), &["SCTP", "TCP", "UDP"], &at.child("protocol"), errors);
    }
}

/// No two containers may ask for the same port of the host; on the host's network, a port is the
/// same inside and outside.
pub(super) fn host_ports(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut used = BTreeSet::new();
    let path = at.child("containers");
    for (i, container) in spec.items("containers").iter().enumerate() {
        let container_path = path.index(i);
        let ports = container_path.child("ports");
        for (i, port) in container.items("ports").iter().enumerate() {
            let at = ports.index(i);
            let outside = port.int("hostPort").unwrap_or_default();
            if spec.flag("hostNetwork") && Some(outside) != port.int("containerPort") {
                let value = port["containerPort"].clone();
                let detail = "must match `hostPort` when `hostNetwork` is true";
                errors.push(FieldError::invalid(&at.child("containerPort"), value, detail));
            }
            let key = format!("{}/{}/{outside}", port.text("protocol"), port.text("hostIP"));
            if outside != 0 && !used.insert(key.clone()) {
                errors.push(FieldError::duplicate(&at.child("hostPort"), key));
            }
        }
    }
}

fn mounts(container: &Value, volumes: &Known<'_>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (i, mount) in container.items("volumeMounts").iter().enumerate() {
        let at = at.index(i);
        let (name, path) = (mount.text("name"), mount.text("mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), ""));
        } else if !volumes.contains(name) {
            errors.push(FieldError::not_found(&at.child("name"), name));
        }
        if path.is_empty() {
            errors.push(FieldError::required(&at.child("mountPath"), ""));
        } else if !seen.insert(path) {
            errors.push(FieldError::invalid(&at.child("mountPath"), path, "must be unique"));
        }
        for field in ["subPath", "subPathExpr"] {
            super::volumes::relative(mount.text(field), &at.child(field), errors);
        }
        if mount.has("subPath") && mount.has("subPathExpr") {
            let (value, detail) = (mount.text("subPathExpr"), "subPathExpr and subPath are mutually exclusive");
            errors.push(FieldError::invalid(&at.child("subPathExpr"), value, detail));
        }
        if let Some(mode) = mount["mountPropagation"].as_str() {
            let supported = &["Bidirectional", "HostToContainer", "None"];
            common::one_of(mode, supported, &at.child("mountPropagation"), errors);
        }
    }
}
