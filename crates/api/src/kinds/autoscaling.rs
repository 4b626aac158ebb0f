//! HorizontalPodAutoscaler, stored as `autoscaling/v2`; `autoscaling/v1` shows the same objects.

mod default;
mod print;
mod v1;
mod validate;

use serde_json::{Value, json};

use crate::resource::{Column, PartRules, Resource, Rules, Stored, Subresource, Unheeded};

const V1: &str = "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler";
const V2: &str = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler";
const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("Reference", "What it scales."),
    Column::new("Targets", "What is measured, and what it should be."),
    Column::new("MinPods", "How many pods there are at least."),
    Column::new("MaxPods", "How many pods there are at most."),
    Column::new("Replicas", "How many pods there are."),
    Column::AGE,
];

const NAMES: Resource = Resource {
    group: "autoscaling",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    singular: "horizontalpodautoscaler",
    short_names: &["hpa"],
    categories: &["all"],
    unheeded: Some(Unheeded::NO_CONTROLLER),
    columns: COLUMNS,
    ..Resource::NAMESPACED
};

pub(super) static AUTOSCALERS_V2: Resource = Resource {
    version: "v2",
    subresources: &[Subresource {
        version: "v2",
        ..Subresource::of_kind("status", "autoscaling", "HorizontalPodAutoscaler", V2)
    }],
    type_name: V2,
    rules: Rules {
        default: default::v2,
        validate: validate::autoscaler,
        parts: &[("status", PartRules::status(validate::status))],
        initial_status: Some(|_| json!({"desiredReplicas": 0, "currentMetrics": null})),
        cells: print::cells,
        ..Rules::PLAIN
    },
    ..NAMES
};

pub(super) static AUTOSCALERS_V1: Resource = Resource {
    version: "v1",
    subresources: &[Subresource::of_kind("status", "autoscaling", "HorizontalPodAutoscaler", V1)],
    type_name: V1,
    rules: Rules {
        default: default::v1,
        validate: |autoscaler, errors| validate::autoscaler(&stored(autoscaler), errors),
        parts: &[("status", PartRules::status(|new, old, errors| validate::status(&stored(new), old, errors)))],
        initial_status: Some(|_| json!({"currentReplicas": 0, "desiredReplicas": 0})),
        prepare_create: v1::forget_status,
        prepare_update: v1::keep_status,
        cells: |autoscaler, now| print::cells(&stored(autoscaler), now),
        stored: Some(Stored { as_: &AUTOSCALERS_V2, to: v1::to_v2, from: v1::from_v2 }),
        ..Rules::PLAIN
    },
    ..NAMES
};

/// An object of the first version as it is stored.
fn stored(autoscaler: &Value) -> Value {
    let mut stored = autoscaler.clone();
    v1::to_v2(&mut stored);
    stored
}
