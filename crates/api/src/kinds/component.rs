//! ComponentStatus: how the parts of the control plane are. Deprecated for years, and asked for all the same.

use serde_json::{Value, json};

use crate::meta;
use crate::resource::{Column, Durability, Resource, Rules};
use crate::value::Read as _;

pub(super) static COMPONENT_STATUSES: Resource = Resource {
    kind: "ComponentStatus",
    plural: "componentstatuses",
    singular: "componentstatus",
    short_names: &["cs"],
    verbs: &["get", "list"],
    durability: Durability::Virtual,
    type_name: "io.k8s.api.core.v1.ComponentStatus",
    columns: &[
        Column::NAME,
        Column::new("Status", "Whether it is well."),
        Column::new("Message", "What it says."),
        Column::new("Error", "What is wrong."),
    ],
    rules: Rules { cells, ..Rules::PLAIN },
    ..Resource::CLUSTER
};

fn cells(component: &Value, _: jiff::Timestamp) -> Vec<Value> {
    let healthy = component.items("conditions").iter().find(|condition| condition.text("type") == "Healthy");
    let condition = healthy.cloned().unwrap_or_default();
    let status = match condition.text("status") {
        "True" => "Healthy",
        "False" => "Unhealthy",
        _ => "Unknown",
    };
    vec![meta::name(component).into(), json!(status), json!(condition.text("message")), json!(condition.text("error"))]
}
