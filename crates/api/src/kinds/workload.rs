//! Deployment and ReplicaSet: so many pods made from one template.

use crate::resource::{Column, Durability, Resource, Rules, Scope, Subresource};

const SCALE: Subresource = Subresource {
    name: "scale",
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
    verbs: super::PART_VERBS,
    type_name: "io.k8s.api.autoscaling.v1.Scale",
};

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
    columns: &[Column::NAME, Column::AGE],
    rules: Rules::PLAIN,
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
    columns: &[Column::NAME, Column::AGE],
    rules: Rules::PLAIN,
};

const fn status(kind: &'static str, type_name: &'static str) -> Subresource {
    Subresource { name: "status", group: "apps", version: "v1", kind, verbs: super::PART_VERBS, type_name }
}
