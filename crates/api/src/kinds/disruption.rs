//! PodDisruptionBudget: how many of some pods may be missing while others are moved.

use serde_json::{Value, json};

use super::common::spec_changed;
use super::template;
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::print;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::value::Read as _;

const TYPE: &str = "io.k8s.api.policy.v1.PodDisruptionBudget";

pub(super) static POD_DISRUPTION_BUDGETS: Resource = Resource {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    subresources: &[Subresource::of_kind("status", "policy", "PodDisruptionBudget", TYPE)],
    type_name: TYPE,
    unheeded: Some(Unheeded::but(
        "nothing writes its status: skiff has no PodDisruptionBudget controller yet, and evicts none of its pods until the status says that it may",
    )),
    columns: &[
        Column::NAME,
        Column::new("Min Available", "How many pods must be there."),
        Column::new("Max Unavailable", "How many pods may be missing."),
        Column::new("Allowed Disruptions", "How many pods may be evicted now.").integer(),
        Column::AGE,
    ],
    rules: Rules {
        validate,
        parts: &[(
            "status",
            PartRules::status(|new, _, errors| {
                let fields = ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];
                template::counts(&new["status"], &fields, None, errors);
            }),
        )],
        initial_status: Some(
            |_| json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}),
        ),
        generation: Some(spec_changed),
        cells: |budget, now| {
            let (spec, status) = (&budget["spec"], &budget["status"]);
            vec![
                meta::name(budget).into(),
                share(&spec["minAvailable"]),
                share(&spec["maxUnavailable"]),
                template::count(status, "disruptionsAllowed").into(),
                print::age(budget, now),
            ]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

fn share(value: &Value) -> Value {
    match value {
        Value::Null => "N/A".into(),
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

fn validate(budget: &Value, errors: &mut Vec<FieldError>) {
    let (spec, at) = (&budget["spec"], Path::new("spec"));
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid(&at, spec.clone(), detail));
    }
    for field in ["minAvailable", "maxUnavailable"].into_iter().filter(|field| !spec[*field].is_null()) {
        template::share(&spec[field], &at.child(field), errors);
        template::at_most_all(&spec[field], &at.child(field), errors);
    }
    common::label_selector(&spec["selector"], &at.child("selector"), errors);
    let policy = spec.text("unhealthyPodEvictionPolicy");
    if !["", "AlwaysAllow", "IfHealthyBudget"].contains(&policy) {
        let path = at.child("unhealthyPodEvictionPolicy");
        errors.push(FieldError::not_supported(&path, policy, &["AlwaysAllow", "IfHealthyBudget"]));
    }
}
