//! Pod: containers that share a network, and the questions one may ask about them.

use crate::resource::{Column, Durability, Resource, Rules, Scope, Subresource};

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
        part("log", "Pod", &["get"], TYPE),
        part("status", "Pod", super::PART_VERBS, TYPE),
    ],
    durability: Durability::Disk,
    type_name: TYPE,
    columns: &[Column::NAME, Column::AGE],
    rules: Rules::PLAIN,
};

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
    rules: Rules::PLAIN,
};

const fn part(
    name: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
    type_name: &'static str,
) -> Subresource {
    Subresource { name, group: "", version: "v1", kind, verbs, type_name }
}
