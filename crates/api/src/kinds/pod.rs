//! Pod: containers that share a network, and the questions one may ask about them.

mod affinity;
mod containers;
mod default;
mod env;
mod ephemeral;
mod print;
mod probes;
mod qos;
mod resize;
mod resources;
mod security;
mod storage;
mod update;
mod validate;
mod volumes;
mod warnings;

use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::resource::{Column, Durability, Resource, Rules, Scope, Subresource};
use crate::validate::names;
use crate::value::Read as _;

pub(super) use affinity::node_selector;
pub(super) use default::spec as default_spec;
pub(super) use validate::{spec as validate_spec, tolerate as validate_toleration};
pub(super) use volumes::source as volume_source;
pub(super) use warnings::template as template_warnings;

const TYPE: &str = "io.k8s.api.core.v1.Pod";
const BINDING: &str = "io.k8s.api.core.v1.Binding";

pub(super) static PODS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    scope: Scope::Namespaced,
    verbs: super::ALL_VERBS,
    subresources: &[
        part("binding", "Binding", &["create"], BINDING),
        part("ephemeralcontainers", "Pod", super::PART_VERBS, TYPE),
        Subresource {
            name: "eviction",
            group: "policy",
            version: "v1",
            kind: "Eviction",
            verbs: &["create"],
            type_name: "io.k8s.api.policy.v1.Eviction",
        },
        part("log", "Pod", &["get"], TYPE),
        part("resize", "Pod", super::PART_VERBS, TYPE),
        part("status", "Pod", super::PART_VERBS, TYPE),
    ],
    durability: Durability::Disk,
    type_name: TYPE,
    columns: &[
        Column::NAME,
        Column::new("Ready", "How many containers are ready, of how many."),
        Column::new("Status", "What it is doing."),
        Column::new("Restarts", "How often containers were started again, and when last."),
        Column::AGE,
        Column::new("IP", "Its address.").wide(),
        Column::new("Node", "The node it runs on.").wide(),
        Column::new("Nominated Node", "The node that is being cleared for it.").wide(),
        Column::new("Readiness Gates", "How many of its gates are open.").wide(),
    ],
    rules: Rules {
        default: default::pod,
        validate: validate::pod,
        warnings: warnings::pod,
        validate_create: validate_new,
        validate_update: update::validate,
        initial_status: Some(initial_status),
        generation: Some(|new, old| new["spec"] != old["spec"]),
        fields: &[
            ("spec.nodeName", "/spec/nodeName"),
            ("spec.restartPolicy", "/spec/restartPolicy"),
            ("spec.schedulerName", "/spec/schedulerName"),
            ("spec.serviceAccountName", "/spec/serviceAccountName"),
            ("spec.hostNetwork", "/spec/hostNetwork"),
            ("status.phase", "/status/phase"),
            ("status.podIP", "/status/podIP"),
            ("status.nominatedNodeName", "/status/nominatedNodeName"),
        ],
        cells: print::cells,
        parts: &[("ephemeralcontainers", ephemeral::change), ("resize", resize::change)],
        ..Rules::PLAIN
    },
};

fn initial_status(pod: &Value) -> Value {
    let mut status = json!({"phase": "Pending", "qosClass": qos::class(&pod["spec"])});
    if pod["spec"].has("schedulingGates") {
        let condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        });
        crate::value::put(&mut status, "conditions", json!([condition]));
    }
    status
}

/// What must hold for new pods only.
fn validate_new(pod: &Value, errors: &mut Vec<FieldError>) {
    ephemeral::none_at_first(pod, errors);
    if pod["spec"].has("schedulingGates") && pod["spec"].has("nodeName") {
        let spec = Path::new("spec");
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden(&spec.child("nodeName"), detail));
    }
}

/// Bindings are written, never read: what a scheduler says about a pod.
pub(super) static BINDINGS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: &["create"],
    subresources: &[],
    durability: Durability::Virtual,
    type_name: BINDING,
    columns: &[Column::NAME, Column::AGE],
    rules: Rules { validate: validate_binding, ..Rules::PLAIN },
};

const fn part(
    name: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
    type_name: &'static str,
) -> Subresource {
    Subresource { name, group: "", version: "v1", kind, verbs, type_name }
}

fn validate_binding(binding: &Value, errors: &mut Vec<FieldError>) {
    let (kind, name) = (binding["target"].text("kind"), binding["target"].text("name"));
    let target = Path::new("target");
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported(&target.child("kind"), kind, &["Node", "<empty>"]));
    }
    if name.is_empty() {
        errors.push(FieldError::required(&target.child("name"), ""));
    }
}

/// Adds each problem with `value` at `path`.
fn invalid(errors: &mut Vec<FieldError>, path: &Path<'_>, value: &str, problems: Vec<String>) {
    errors.extend(problems.into_iter().map(|problem| FieldError::invalid(path, value, problem)));
}

/// A name that must be there and be a DNS label.
fn required_label(errors: &mut Vec<FieldError>, path: &Path<'_>, name: &str) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        invalid(errors, path, name, names::dns_label(name));
    }
}

/// A value that must be one of a few.
fn one_of(errors: &mut Vec<FieldError>, path: &Path<'_>, value: &str, supported: &[&str]) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !supported.contains(&value) {
        errors.push(FieldError::not_supported(path, value, supported));
    }
}

/// A number that must not be less than nothing.
fn not_negative(errors: &mut Vec<FieldError>, of: &Value, field: &str, at: &Path<'_>) {
    if let Some(number) = of.int(field).filter(|n| *n < 0) {
        errors.push(FieldError::invalid(&at.child(field), number, "must be greater than or equal to 0"));
    }
}
