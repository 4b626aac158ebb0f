//! `autoscaling/v1` Scale: how many of something there are and should be, whatever it is.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::Column;
use crate::selector::LabelSelector;
use crate::value::{Read as _, object, put};

/// The scale of whatever has replicas.
#[must_use]
pub fn of(workload: &Value) -> Value {
    let selector = &workload["spec"]["selector"];
    // ReplicationControllers still have plain labels there.
    let selector = if workload["kind"] == "ReplicationController" {
        LabelSelector::from_labels(selector)
    } else {
        LabelSelector::from_json(selector)
    };
    let selector = selector.map(|s| s.to_string());
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = workload["metadata"].get(field) {
            put(&mut metadata, field, value.clone());
        }
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": workload["spec"].int("replicas").unwrap_or_default()},
        "status": {
            "replicas": workload["status"].int("replicas").unwrap_or_default(),
            "selector": selector.unwrap_or_default(),
        },
    })
}

/// The columns of its table.
pub(crate) const COLUMNS: &[Column] = &[
    Column::new("Name", "The name, unique in its scope."),
    Column::new("Desired", "How many there should be.").integer(),
    Column::new("Available", "How many there are.").integer(),
    Column::AGE,
];

/// The cells of its row.
pub(crate) fn cells(scale: &Value, now: Timestamp) -> Vec<Value> {
    let replicas = |part: &str| Value::from(scale[part].int("replicas").unwrap_or_default());
    vec![meta::name(scale).into(), replicas("spec"), replicas("status"), print::age(scale, now)]
}

/// Writes a scale back. The caller has compared resource versions.
pub fn apply(workload: &mut Value, scale: &Value) {
    if let Some(spec) = object(workload, "spec") {
        put(spec, "replicas", scale["spec"].int("replicas").unwrap_or_default());
    }
}

/// What is wrong with a scale for this workload.
#[must_use]
pub fn validate(scale: &Value, workload: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let metadata = Path::new("metadata");
    for field in ["name", "namespace"] {
        let (given, own) = (meta::text(scale, field), meta::text(workload, field));
        if given != own && !given.is_empty() {
            errors.push(FieldError::invalid(&metadata.child(field), given, "field is immutable"));
        }
    }
    if let Some(replicas) = scale["spec"].int("replicas").filter(|n| *n < 0) {
        let spec = Path::new("spec");
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(&spec.child("replicas"), replicas, detail));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_read_and_written_back() {
        let mut workload = json!({
            "metadata": {"name": "web", "namespace": "default", "resourceVersion": "7", "labels": {"a": "b"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}},
            "status": {"replicas": 2},
        });
        let mut scale = of(&workload);
        assert_eq!(scale["metadata"], json!({"name": "web", "namespace": "default", "resourceVersion": "7"}));
        assert_eq!(scale["status"], json!({"replicas": 2, "selector": "app=web"}));
        scale["spec"]["replicas"] = json!(5);
        assert!(validate(&scale, &workload).is_empty());
        apply(&mut workload, &scale);
        assert_eq!(workload["spec"]["replicas"], 5);
        scale["spec"]["replicas"] = json!(-1);
        assert_eq!(
            validate(&scale, &workload)[0].to_string(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
    }
}
