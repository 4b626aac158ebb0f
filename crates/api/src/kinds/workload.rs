//! Deployment, ReplicaSet and ReplicationController: so many pods made from one template.

mod default;
mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::template::{self, CONTAINERS, IMAGES, SELECTOR, count};
use crate::meta;
use crate::print;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource};

const REPLICAS: &[Column] = &[
    Column::NAME,
    Column::new("Desired", "How many pods there should be.").integer(),
    Column::new("Current", "How many pods there are.").integer(),
    Column::new("Ready", "How many pods are ready.").integer(),
    Column::AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) static DEPLOYMENTS: Resource = Resource {
    kind: "Deployment",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    subresources: &[
        Subresource::SCALE,
        Subresource::of_kind("status", "apps", "Deployment", "io.k8s.api.apps.v1.Deployment"),
    ],
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
        validate_update: template::same_selector,
        parts: &[("status", PartRules::status(validate::deployment_status))],
        initial_status: Some(|_| json!({})),
        generation: Some(|new, old| {
            new["spec"] != old["spec"] || new["metadata"]["annotations"] != old["metadata"]["annotations"]
        }),
        cells: deployment_cells,
        named_after: template::POD_NAMES,
        ..template::RULES
    },
    ..template::WORKLOAD
};

pub(super) static REPLICA_SETS: Resource = Resource {
    kind: "ReplicaSet",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    subresources: &[
        Subresource::SCALE,
        Subresource::of_kind("status", "apps", "ReplicaSet", "io.k8s.api.apps.v1.ReplicaSet"),
    ],
    type_name: "io.k8s.api.apps.v1.ReplicaSet",
    columns: REPLICAS,
    rules: Rules {
        default: default::replica_set,
        validate: validate::replica_set,
        validate_update: template::same_selector,
        parts: &[("status", PartRules::status(validate::status))],
        initial_status: Some(|_| json!({"replicas": 0})),
        fields: &[("status.replicas", "/status/replicas")],
        cells: |set, now| replica_cells(set, print::selector(&set["spec"]["selector"]), now),
        named_after: template::POD_NAMES,
        ..template::RULES
    },
    ..template::WORKLOAD
};

pub(super) static REPLICATION_CONTROLLERS: Resource = Resource {
    group: "",
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
    subresources: &[
        Subresource::SCALE,
        Subresource::of_kind("status", "", "ReplicationController", "io.k8s.api.core.v1.ReplicationController"),
    ],
    type_name: "io.k8s.api.core.v1.ReplicationController",
    columns: REPLICAS,
    rules: Rules {
        default: default::replication_controller,
        validate: validate::replication_controller,
        parts: &[("status", PartRules::status(validate::status))],
        initial_status: Some(|_| json!({"replicas": 0})),
        fields: &[("status.replicas", "/status/replicas")],
        cells: |controller, now| replica_cells(controller, print::labels(&controller["spec"]["selector"]), now),
        keeps_dependents: true,
        named_after: template::POD_NAMES,
        ..template::RULES
    },
    ..template::WORKLOAD
};

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

fn replica_cells(set: &Value, selector: Value, now: Timestamp) -> Vec<Value> {
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
        selector,
    ]
}
