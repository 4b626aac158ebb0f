//! Node: written by its own agent, which also reports its status when it makes it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Subresource};
use crate::validate::names;
use crate::value::{Read as _, existing, fill};

pub(super) static NODES: Resource = Resource {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    subresources: &[
        Subresource { verbs: super::PROXY_VERBS, ..Subresource::of_kind("proxy", "", "NodeProxyOptions", "") },
        Subresource::of_kind("status", "", "Node", "io.k8s.api.core.v1.Node"),
    ],
    type_name: "io.k8s.api.core.v1.Node",
    columns: &[
        Column::NAME,
        Column::new("Status", "Whether it is ready for pods."),
        Column::new("Roles", "Its roles."),
        Column::AGE,
        Column::new("Version", "The version of its agent."),
        Column::new("Internal-IP", "Its address in the cluster.").wide(),
        Column::new("External-IP", "Its address outside.").wide(),
        Column::new("OS-Image", "Its operating system.").wide(),
        Column::new("Kernel-Version", "Its kernel.").wide(),
        Column::new("Container-Runtime", "What runs its containers.").wide(),
    ],
    rules: Rules {
        default,
        validate,
        validate_update,
        fields: &[("spec.unschedulable", "/spec/unschedulable")],
        cells,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn default(node: &mut Value) {
    let Some(spec) = existing(node, "spec") else { return };
    match (spec.text("podCIDR").to_owned(), spec.items("podCIDRs").first().cloned()) {
        (one, None) if !one.is_empty() => fill(spec, "podCIDRs", json!([one])),
        (one, Some(first)) if one.is_empty() => fill(spec, "podCIDR", first),
        _ => {}
    }
}

fn validate(node: &Value, errors: &mut Vec<FieldError>) {
    let spec = Path::new("spec");
    let taints = spec.child("taints");
    let mut seen = BTreeSet::new();
    for (i, taint) in node["spec"].items("taints").iter().enumerate() {
        let at = taints.index(i);
        let (key, value, effect) = (taint.text("key"), taint.text("value"), taint.text("effect"));
        let problems = names::qualified_name(key);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("key"), key, p)));
        let problems = names::label_value(value);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("value"), value, p)));
        match effect {
            "NoSchedule" | "PreferNoSchedule" | "NoExecute" => {}
            "" => errors.push(FieldError::required(&at.child("effect"), "")),
            other => errors.push(FieldError::not_supported(
                &at.child("effect"),
                other,
                &["NoSchedule", "PreferNoSchedule", "NoExecute"],
            )),
        }
        if !seen.insert((key, effect)) {
            let mut error = FieldError::duplicate(&at, taint.clone());
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
    }
    let cidrs = spec.child("podCIDRs");
    for (i, cidr) in node["spec"].items("podCIDRs").iter().filter_map(Value::as_str).enumerate() {
        if cidr.parse::<ipnet::IpNet>().is_err() {
            let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            errors.push(FieldError::invalid(&cidrs.index(i), cidr, detail));
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let spec = Path::new("spec");
    let fixed = |field: &str| old["spec"].has(field) && old["spec"][field] != new["spec"][field];
    if fixed("podCIDRs") {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(FieldError::forbidden(&spec.child("podCIDRs"), detail));
    }
    if fixed("providerID") {
        let detail = "node updates may not change providerID except from \"\" to valid";
        errors.push(FieldError::forbidden(&spec.child("providerID"), detail));
    }
}

fn cells(node: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let status = &node["status"];
    let ready = status.items("conditions").iter().find(|c| c.text("type") == "Ready");
    let mut state = match ready.map(|c| c.text("status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node["spec"].flag("unschedulable") {
        state.push_str(",SchedulingDisabled");
    }
    let roles: BTreeSet<&str> = meta::labels(node)
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => Some(value),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    let roles = roles.into_iter().collect::<Vec<_>>().join(",");
    let address = |of: &str| {
        let found = status.items("addresses").iter().find(|a| a.text("type") == of);
        print::or_none(found.map(|a| a.text("address")).unwrap_or_default())
    };
    let info = |field: &str| match status["nodeInfo"].text(field) {
        "" => Value::from("<unknown>"),
        text => text.into(),
    };
    vec![
        meta::name(node).into(),
        state.into(),
        print::or_none(&roles),
        print::age(node, now),
        status["nodeInfo"].text("kubeletVersion").into(),
        address("InternalIP"),
        address("ExternalIP"),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}
