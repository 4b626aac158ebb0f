//! Ingress and IngressClass: which HTTP requests go to which Service, and who sees to it.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::spec_changed;
use crate::meta;
use crate::print;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::value::{Read as _, existing, fill};

const GROUP: &str = "networking.k8s.io";
const TYPE: &str = "io.k8s.api.networking.v1.Ingress";

pub(super) static INGRESSES: Resource = Resource {
    group: GROUP,
    kind: "Ingress",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    subresources: &[Subresource::of_kind("status", GROUP, "Ingress", TYPE)],
    type_name: TYPE,
    unheeded: Some(Unheeded::but("nothing serves it: skiff has no Ingress controller yet")),
    columns: &[
        Column::NAME,
        Column::new("Class", "Who serves it."),
        Column::new("Hosts", "The hosts that its rules are about."),
        Column::new("Address", "Where it can be reached."),
        Column::new("Ports", "The ports it can be reached at."),
        Column::AGE,
    ],
    rules: Rules {
        validate: validate::ingress,
        validate_create: validate::one_class,
        initial_status: Some(|_| json!({"loadBalancer": {}})),
        parts: &[("status", PartRules::status(|new, _, errors| validate::status(new, errors)))],
        generation: Some(spec_changed),
        cells: ingress_cells,
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

pub(super) static INGRESS_CLASSES: Resource = Resource {
    group: GROUP,
    kind: "IngressClass",
    plural: "ingressclasses",
    singular: "ingressclass",
    type_name: "io.k8s.api.networking.v1.IngressClass",
    unheeded: Some(Unheeded::but("nothing serves its Ingresses: skiff has no Ingress controller yet")),
    columns: &[
        Column::NAME,
        Column::new("Controller", "Who serves Ingresses of this class."),
        Column::new("Parameters", "The object that tells it how."),
        Column::AGE,
    ],
    rules: Rules {
        default: |class| {
            if let Some(parameters) = existing(class, "spec").and_then(|spec| existing(spec, "parameters")) {
                fill(parameters, "scope", "Cluster");
            }
        },
        validate: validate::class,
        validate_update: validate::class_update,
        generation: Some(spec_changed),
        cells: class_cells,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn ingress_cells(ingress: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &ingress["spec"];
    vec![
        meta::name(ingress).into(),
        print::or_none(spec.text("ingressClassName")),
        hosts(spec.items("rules")).into(),
        print::points(&ingress["status"]).join(",").into(),
        if spec.has("tls") { "80, 443".into() } else { "80".into() },
        print::age(ingress, now),
    ]
}

/// At most three hosts; all rules that come when there are three count as more.
fn hosts(rules: &[Value]) -> String {
    const MOST: usize = 3;
    let named = |rule: &&Value| rule.has("host");
    let list: Vec<&str> = rules.iter().filter(named).take(MOST).map(|rule| rule.text("host")).collect();
    let after = rules.iter().enumerate().filter(|(_, rule)| rule.has("host")).nth(MOST - 1).map(|(at, _)| at);
    match after {
        None if list.is_empty() => "*".to_owned(),
        Some(at) if at + 1 < rules.len() => format!("{} + {} more...", list.join(","), rules.len() - MOST),
        _ => list.join(","),
    }
}

fn class_cells(class: &Value, now: Timestamp) -> Vec<Value> {
    let parameters = &class["spec"]["parameters"];
    let shown = if parameters.is_object() {
        let group = parameters.text("apiGroup");
        let kind = parameters.text("kind");
        let of = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        format!("{of}/{}", parameters.text("name"))
    } else {
        print::NONE.to_owned()
    };
    vec![meta::name(class).into(), class["spec"].text("controller").into(), shown.into(), print::age(class, now)]
}
