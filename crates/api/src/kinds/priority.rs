//! PriorityClass: which pods come first.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Unheeded};
use crate::value::{Read as _, fill};

/// Users' classes are at most this high.
const HIGHEST: i64 = 1_000_000_000;
/// The classes above, which only the cluster itself has.
const SYSTEM: [(&str, i64); 2] = [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

pub(super) static PRIORITY_CLASSES: Resource = Resource {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    type_name: "io.k8s.api.scheduling.v1.PriorityClass",
    unheeded: Some(Unheeded::but(
        "only gives pods their number: skiff's scheduler neither orders pods by it nor displaces any yet",
    )),
    columns: &[
        Column::NAME,
        Column::new("Value", "The priority of its pods.").integer(),
        Column::new("Global-Default", "Whether it is that of pods which name none.").boolean(),
        Column::AGE,
        Column::new("PreemptionPolicy", "Whether its pods may displace others."),
    ],
    rules: Rules {
        default: |class| fill(class, "preemptionPolicy", "PreemptLowerPriority"),
        validate,
        validate_update,
        generation: Some(|_, _| false),
        cells: |class, now| {
            vec![
                meta::name(class).into(),
                class.int("value").unwrap_or_default().into(),
                class.flag("globalDefault").into(),
                print::age(class, now),
                class.text("preemptionPolicy").into(),
            ]
        },
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn validate(class: &Value, errors: &mut Vec<FieldError>) {
    let (name, value) = (meta::name(class), class.int("value").unwrap_or_default());
    if name.starts_with("system-") {
        let metadata = Path::new("metadata");
        let known = SYSTEM.iter().find(|(known, _)| *known == name);
        if known.is_none_or(|(_, known)| *known != value || class.flag("globalDefault")) {
            let detail = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a \
                 known system priority class"
            );
            errors.push(FieldError::forbidden(&metadata.child("name"), detail));
        }
    } else if value > HIGHEST {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.push(FieldError::forbidden(&Path::new("value"), detail));
    }
    let policy = class.text("preemptionPolicy");
    match policy {
        "" => errors.push(FieldError::required(&Path::new("preemptionPolicy"), "")),
        "Never" | "PreemptLowerPriority" => {}
        other => errors.push(FieldError::not_supported(
            &Path::new("preemptionPolicy"),
            other,
            &["Never", "PreemptLowerPriority"],
        )),
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new.int("value").unwrap_or_default() != old.int("value").unwrap_or_default() {
        errors.push(FieldError::forbidden(&Path::new("value"), "may not be changed in an update."));
    }
    if new.text("preemptionPolicy") != old.text("preemptionPolicy") {
        let value = new["preemptionPolicy"].clone();
        errors.push(FieldError::invalid(&Path::new("preemptionPolicy"), value, super::common::IMMUTABLE));
    }
}
