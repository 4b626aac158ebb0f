//! What an autoscaler does not say.

use serde_json::{Value, json};

use crate::value::{Read as _, existing, fill, object, put};

pub(super) fn v1(autoscaler: &mut Value) {
    if let Some(spec) = object(autoscaler, "spec") {
        fill(spec, "minReplicas", 1);
    }
}

pub(super) fn v2(autoscaler: &mut Value) {
    let Some(spec) = object(autoscaler, "spec") else { return };
    fill(spec, "minReplicas", 1);
    if !spec.has("metrics") {
        put(spec, "metrics", json!([cpu(80)]));
    }
    let Some(behavior) = existing(spec, "behavior") else { return };
    if let Some(up) = object(behavior, "scaleUp") {
        fill(up, "stabilizationWindowSeconds", 0);
        fill(up, "selectPolicy", "Max");
        let policies = json!([
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]);
        fill(up, "policies", policies);
    }
    if let Some(down) = object(behavior, "scaleDown") {
        fill(down, "selectPolicy", "Max");
        fill(down, "policies", json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]));
    }
}

/// The usual measure: how busy the processors are.
pub(super) fn cpu(percent: i64) -> Value {
    json!({
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
    })
}
