//! Deployment and ReplicaSet: so many pods made from one template.

mod default;
mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::meta;
use crate::print;
use crate::resource::{Column, Durability, Resource, Rules, Scope, Subresource};
use crate::value::Read as _;

const SCALE: Subresource = Subresource {
    name: "scale",
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    verbs: super::PART_VERBS,
    type_name: "io.k8s.api.autoscaling.v1.Scale",
};

const CONTAINERS: Column = Column::new("Containers", "The names of the containers.").wide();
const IMAGES: Column = Column::new("Images", "The images of the containers.").wide();
const SELECTOR: Column = Column::new("Selector", "The labels of the pods.").wide();

pub(super) static DEPLOYMENTS: Resource = Resource {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    scope: Scope::Namespaced,
    verbs: super::ALL_VERBS,
    subresources: &[SCALE, status("Deployment", "io.k8s.api.apps.v1.Deployment")],
    durability: Durability::Disk,
    type_name: "io.k8s.api.apps.v1.Deployment",
    columns: &[
        Column::NAME,
        Column::new("Ready", "How many pods are ready, of how many."),
        Column::new("Up-to-date", "How many pods are of the newest template."),
        Column::new("Available", "How many pods have been ready for long enough."),
        Column::AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    rules: Rules {
        default: default::deployment,
        validate: validate::deployment,
        validate_update: validate::same_selector,
        initial_status: Some(|_| json!({})),
        generation: Some(|new, old| {
            new["spec"] != old["spec"] || new["metadata"]["annotations"] != old["metadata"]["annotations"]
        }),
        cells: deployment_cells,
        ..Rules::PLAIN
    },
};

pub(super) static REPLICA_SETS: Resource = Resource {
    group: "apps",
    version: "v1",
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    scope: Scope::Namespaced,
    verbs: super::ALL_VERBS,
    subresources: &[SCALE, status("ReplicaSet", "io.k8s.api.apps.v1.ReplicaSet")],
    durability: Durability::Disk,
    type_name: "io.k8s.api.apps.v1.ReplicaSet",
    columns: &[
        Column::NAME,
        Column::new("Desired", "How many pods there should be.").integer(),
        Column::new("Current", "How many pods there are.").integer(),
        Column::new("Ready", "How many pods are ready.").integer(),
        Column::AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    rules: Rules {
        default: default::replica_set,
        validate: validate::replica_set,
        validate_update: validate::same_selector,
        initial_status: Some(|_| json!({"replicas": 0})),
        generation: Some(|new, old| new["spec"] != old["spec"]),
        fields: &[("status.replicas", "/status/replicas")],
        cells: replica_set_cells,
        ..Rules::PLAIN
    },
};

const fn status(kind: &'static str, type_name: &'static str) -> Subresource {
    Subresource { name: "status", group: "apps", version: "v1", kind, verbs: super::PART_VERBS, type_name }
}

fn count(of: &Value, field: &str) -> i64 {
    of.int(field).unwrap_or_default()
}

fn deployment_cells(deployment: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let [names, images] = print::containers(&spec["template"]);
    vec![
        meta::name(deployment).into(),
        format!("{}/{}", count(status, "readyReplicas"), count(spec, "replicas")).into(),
        count(status, "updatedReplicas").into(),
        count(status, "availableReplicas").into(),
        print::age(deployment, now),
        names,
        images,
        print::selector(&spec["selector"]),
    ]
}

fn replica_set_cells(set: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&set["spec"], &set["status"]);
    let [names, images] = print::containers(&spec["template"]);
    vec![
        meta::name(set).into(),
        count(spec, "replicas").into(),
        count(status, "replicas").into(),
        count(status, "readyReplicas").into(),
        print::age(set, now),
        names,
        images,
        print::selector(&spec["selector"]),
    ]
}
