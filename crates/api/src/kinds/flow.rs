//! FlowSchema and PriorityLevelConfiguration: whose requests come first when there are too many.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::spec_changed;
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Subresource, Unheeded};
use crate::value::{Read as _, existing, fill, object};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const SCHEMA: &str = "io.k8s.api.flowcontrol.v1.FlowSchema";
const LEVEL: &str = "io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration";

pub(super) static FLOW_SCHEMAS: Resource = Resource {
    group: GROUP,
    kind: "FlowSchema",
    plural: "flowschemas",
    singular: "flowschema",
    subresources: &[Subresource::of_kind("status", GROUP, "FlowSchema", SCHEMA)],
    type_name: SCHEMA,
    unheeded: Some(Unheeded::but("nothing acts on it: skiff does not queue requests by priority yet")),
    columns: &[
        Column::NAME,
        Column::new("PriorityLevel", "The level of its requests."),
        Column::new("MatchingPrecedence", "Which of those that match is meant: the lowest."),
        Column::new("DistinguisherMethod", "What tells flows apart."),
        Column::AGE,
        Column::new("MissingPL", "Whether its level is missing."),
    ],
    rules: Rules {
        default: |schema| {
            if let Some(spec) = object(schema, "spec") {
                let unset = spec.int("matchingPrecedence").unwrap_or_default() == 0;
                if unset {
                    spec["matchingPrecedence"] = json!(1000);
                }
            }
        },
        validate: validate::schema,
        initial_status: Some(|_| json!({})),
        generation: Some(spec_changed),
        cells: schema_cells,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

pub(super) static PRIORITY_LEVELS: Resource = Resource {
    group: GROUP,
    kind: "PriorityLevelConfiguration",
    plural: "prioritylevelconfigurations",
    singular: "prioritylevelconfiguration",
    subresources: &[Subresource::of_kind("status", GROUP, "PriorityLevelConfiguration", LEVEL)],
    type_name: LEVEL,
    unheeded: Some(Unheeded::but("nothing acts on it: skiff does not queue requests by priority yet")),
    columns: &[
        Column::NAME,
        Column::new("Type", "Whether it is limited."),
        Column::new("NominalConcurrencyShares", "Its share of all requests."),
        Column::new("Queues", "How many queues it has."),
        Column::new("HandSize", "How many queues a flow may use."),
        Column::new("QueueLengthLimit", "How many requests may wait in one."),
        Column::AGE,
    ],
    rules: Rules {
        default: default_level,
        validate: validate::level,
        initial_status: Some(|_| json!({})),
        generation: Some(spec_changed),
        cells: level_cells,
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn default_level(level: &mut Value) {
    let Some(spec) = object(level, "spec") else { return };
    if let Some(exempt) = existing(spec, "exempt") {
        fill(exempt, "nominalConcurrencyShares", 0);
        fill(exempt, "lendablePercent", 0);
    } else if spec.text("type") == "Exempt" {
        spec["exempt"] = json!({"nominalConcurrencyShares": 0, "lendablePercent": 0});
    }
    let Some(limited) = existing(spec, "limited") else { return };
    fill(limited, "nominalConcurrencyShares", 30);
    fill(limited, "lendablePercent", 0);
    let Some(queuing) = existing(limited, "limitResponse").and_then(|answer| existing(answer, "queuing")) else {
        return;
    };
    for (field, default) in [("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)] {
        if queuing.int(field).unwrap_or_default() == 0 {
            queuing[field] = json!(default);
        }
    }
}

fn schema_cells(schema: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &schema["spec"];
    let method =
        if spec["distinguisherMethod"].is_object() { spec["distinguisherMethod"].text("type") } else { print::NONE };
    let dangling = schema["status"].items("conditions").iter().find(|condition| condition.text("type") == "Dangling");
    vec![
        meta::name(schema).into(),
        spec["priorityLevelConfiguration"].text("name").into(),
        spec.int("matchingPrecedence").unwrap_or_default().into(),
        method.into(),
        print::age(schema, now),
        dangling.map_or("?", |condition| condition.text("status")).into(),
    ]
}

fn level_cells(level: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &level["spec"];
    let limited = &spec["limited"];
    let queuing = &limited["limitResponse"]["queuing"];
    let shown = |of: &Value, field: &str| of.int(field).map_or_else(|| print::NONE.into(), Value::from);
    vec![
        meta::name(level).into(),
        spec.text("type").into(),
        shown(limited, "nominalConcurrencyShares"),
        shown(queuing, "queues"),
        shown(queuing, "handSize"),
        shown(queuing, "queueLengthLimit"),
        print::age(level, now),
    ]
}
