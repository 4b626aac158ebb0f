//! What nodes and pods use, in the words of metrics-server: seen when somebody asks, never stored.

use serde_json::{Value, json};

use crate::meta;
use crate::quantity::Quantity;
use crate::resource::{Column, Durability, Resource, Rules, Scope};
use crate::value::Read as _;

const METRICS: Resource = Resource {
    group: "metrics.k8s.io",
    version: "v1beta1",
    verbs: &["get", "list"],
    durability: Durability::Virtual,
    columns: &[
        Column::NAME,
        Column::new("cpu", "CPUs in use.").format("quantity"),
        Column::new("memory", "Memory in use.").format("quantity"),
        Column::new("Window", "The time that the figures are of.").format("duration"),
    ],
    rules: Rules { cells, ..Rules::PLAIN },
    ..Resource::CLUSTER
};

pub(super) static NODES: Resource = Resource {
    kind: "NodeMetrics",
    plural: "nodes",
    type_name: "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics",
    ..METRICS
};

pub(super) static PODS: Resource = Resource {
    kind: "PodMetrics",
    plural: "pods",
    scope: Scope::Namespaced,
    type_name: "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics",
    ..METRICS
};

/// A pod's containers together, or the node.
fn cells(metrics: &Value, _: jiff::Timestamp) -> Vec<Value> {
    let all: Vec<&Value> = match metrics.get("containers") {
        Some(_) => metrics.items("containers").iter().map(|container| &container["usage"]).collect(),
        None => vec![&metrics["usage"]],
    };
    let sum = |name: &str| {
        let amounts = all.iter().filter_map(|usage| Quantity::from_json(&usage[name]).ok());
        Value::from(amounts.fold(Quantity::ZERO, |sum, one| sum + one).to_string())
    };
    vec![meta::name(metrics).into(), sum("cpu"), sum("memory"), json!(metrics.text("window"))]
}
