//! Service: one address for many pods.

use crate::resource::{Column, Durability, Resource, Rules, Scope, Subresource};

pub(super) static SERVICES: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    scope: Scope::Namespaced,
    verbs: super::ALL_VERBS,
    subresources: &[Subresource {
        name: "status",
        group: "",
        version: "v1",
        kind: "Service",
        verbs: super::PART_VERBS,
        type_name: "io.k8s.api.core.v1.Service",
    }],
    durability: Durability::Disk,
    type_name: "io.k8s.api.core.v1.Service",
    columns: &[Column::NAME, Column::AGE],
    rules: Rules::PLAIN,
};
