//! Service: one address for many pods.

mod default;
mod print;
mod update;
mod validate;
mod warnings;

use serde_json::json;

use crate::resource::{Column, Resource, Rules, Subresource};
use crate::validate::names;

pub(super) static SERVICES: Resource = Resource {
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    subresources: &[
        Subresource { verbs: super::PROXY_VERBS, ..Subresource::of_kind("proxy", "", "ServiceProxyOptions", "") },
        Subresource::of_kind("status", "", "Service", "io.k8s.api.core.v1.Service"),
    ],
    type_name: "io.k8s.api.core.v1.Service",
    columns: &[
        Column::NAME,
        Column::new("Type", "How it can be reached."),
        Column::new("Cluster-IP", "Its address in the cluster."),
        Column::new("External-IP", "Its addresses outside."),
        Column::new("Port(s)", "Its ports."),
        Column::AGE,
        Column::new("Selector", "The labels of the pods behind it.").wide(),
    ],
    rules: Rules {
        default: default::service,
        name: |name, prefix| {
            let completed = if prefix { name.strip_suffix('-').map(|n| format!("{n}a")) } else { None };
            names::dns_1035_label(completed.as_deref().unwrap_or(name))
        },
        validate: validate::service,
        warnings: warnings::service,
        validate_update: validate::update,
        initial_status: Some(|_| json!({"loadBalancer": {}})),
        prepare_create: update::create,
        prepare_update: update::update,
        fields: &[("spec.clusterIP", "/spec/clusterIP"), ("spec.type", "/spec/type")],
        cells: print::cells,
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

/// Whether services of this type have an address in the cluster.
fn has_cluster_ip(kind: &str) -> bool {
    matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer")
}

/// Whether services of this type have node ports.
fn has_node_ports(kind: &str) -> bool {
    matches!(kind, "NodePort" | "LoadBalancer")
}
