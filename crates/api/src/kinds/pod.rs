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

use super::common::spec_changed;
use crate::field_error::{FieldError, Path};
use crate::resource::{Column, Durability, PartRules, Resource, Rules, Subresource};
use crate::value::Read as _;

pub(super) use affinity::node_selector;
pub(super) use default::spec as default_spec;
pub(super) use validate::{spec as validate_spec, tolerate as validate_toleration};
pub(super) use volumes::source as volume_source;
pub(super) use warnings::{template as template_warnings, template_at as template_warnings_at};

const TYPE: &str = "io.k8s.api.core.v1.Pod";
const BINDING: &str = "io.k8s.api.core.v1.Binding";

pub(super) static PODS: Resource = Resource {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    subresources: &[
        Subresource { verbs: super::STREAM_VERBS, ..Subresource::of_kind("attach", "", "PodAttachOptions", "") },
        Subresource { verbs: &["create"], ..Subresource::of_kind("binding", "", "Binding", BINDING) },
        Subresource::of_kind("ephemeralcontainers", "", "Pod", TYPE),
        Subresource {
            verbs: &["create"],
            ..Subresource::of_kind("eviction", "policy", "Eviction", "io.k8s.api.policy.v1.Eviction")
        },
        Subresource { verbs: super::STREAM_VERBS, ..Subresource::of_kind("exec", "", "PodExecOptions", "") },
        Subresource { verbs: &["get"], ..Subresource::of_kind("log", "", "Pod", TYPE) },
        Subresource {
            verbs: super::STREAM_VERBS,
            ..Subresource::of_kind("portforward", "", "PodPortForwardOptions", "")
        },
        Subresource { verbs: super::PROXY_VERBS, ..Subresource::of_kind("proxy", "", "PodProxyOptions", "") },
        Subresource::of_kind("resize", "", "Pod", TYPE),
        Subresource::of_kind("status", "", "Pod", TYPE),
    ],
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
        named_after: Some("the Pod's hostname"),
        warnings: warnings::pod,
        validate_create: validate_new,
        validate_update: update::validate,
        initial_status: Some(initial_status),
        generation: Some(spec_changed),
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
        ended: print::ended,
        parts: &[
            ("ephemeralcontainers", PartRules::Other(ephemeral::change)),
            ("resize", PartRules::Other(resize::change)),
        ],
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
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
    kind: "Binding",
    plural: "bindings",
    singular: "binding",
    verbs: &["create"],
    durability: Durability::Virtual,
    type_name: BINDING,
    columns: &[Column::NAME, Column::AGE],
    rules: Rules { validate: validate_binding, ..Rules::PLAIN },
    ..Resource::NAMESPACED
};

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
