//! Between `autoscaling/v1` and `autoscaling/v2`: the first version knows no measure but the use of
//! processors; everything else stands in annotations, in the form that clients of it know.

use serde_json::{Value, json};

use super::default;
use crate::meta;
use crate::value::{Read as _, object, put, take};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const STATUSES: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const ALL: [&str; 4] = [METRICS, STATUSES, CONDITIONS, BEHAVIOR];
/// What is part of the status, although it stands in annotations.
const OF_STATUS: [&str; 2] = [STATUSES, CONDITIONS];

/// How each sort of measure is called in both versions: what it measures, and the target's numbers
/// (field of the first version, of the second's target, type of that target).
struct Sort {
    type_: &'static str,
    field: &'static str,
    /// Fields at the top in the first version that are in `metric` (or the object) in the second.
    moved: &'static [(&'static str, &'static [&'static str])],
    targets: &'static [(&'static str, &'static str, &'static str)],
    currents: &'static [(&'static str, &'static str)],
}

const OF_RESOURCE: &[(&str, &str, &str)] = &[
    ("targetAverageUtilization", "averageUtilization", "Utilization"),
    ("targetAverageValue", "averageValue", "AverageValue"),
];
const RESOURCE_NOW: &[(&str, &str)] =
    &[("currentAverageUtilization", "averageUtilization"), ("currentAverageValue", "averageValue")];

const SORTS: &[Sort] = &[
    Sort {
        type_: "Resource",
        field: "resource",
        moved: &[("name", &["name"])],
        targets: OF_RESOURCE,
        currents: RESOURCE_NOW,
    },
    Sort {
        type_: "ContainerResource",
        field: "containerResource",
        moved: &[("name", &["name"]), ("container", &["container"])],
        targets: OF_RESOURCE,
        currents: RESOURCE_NOW,
    },
    Sort {
        type_: "Pods",
        field: "pods",
        moved: &[("metricName", &["metric", "name"]), ("selector", &["metric", "selector"])],
        targets: &[("targetAverageValue", "averageValue", "AverageValue")],
        currents: &[("currentAverageValue", "averageValue")],
    },
    Sort {
        type_: "Object",
        field: "object",
        moved: &[
            ("metricName", &["metric", "name"]),
            ("selector", &["metric", "selector"]),
            ("target", &["describedObject"]),
        ],
        targets: &[("targetValue", "value", "Value"), ("averageValue", "averageValue", "AverageValue")],
        currents: &[("currentValue", "value"), ("averageValue", "averageValue")],
    },
    Sort {
        type_: "External",
        field: "external",
        moved: &[("metricName", &["metric", "name"]), ("metricSelector", &["metric", "selector"])],
        targets: &[("targetValue", "value", "Value"), ("targetAverageValue", "averageValue", "AverageValue")],
        currents: &[("currentValue", "value"), ("currentAverageValue", "averageValue")],
    },
];

/// Turns an object of the first version into one of the second.
pub(super) fn to_v2(autoscaler: &mut Value) {
    let annotation = |name: &str| -> Value {
        meta::annotation(autoscaler, name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    let [metrics, statuses, conditions, behavior] = ALL.map(annotation);
    if meta::annotation(autoscaler, METRICS).is_some() || ALL.iter().any(|n| meta::annotation(autoscaler, n).is_some())
    {
        forget(autoscaler, &ALL);
    }
    let cpu = autoscaler["spec"].int("targetCPUUtilizationPercentage");
    let mut list: Vec<Value> = cpu.map(default::cpu).into_iter().collect();
    list.extend(metrics.as_array().into_iter().flatten().map(|metric| turned(metric, true, true)));
    if list.is_empty() && autoscaler["spec"].is_object() {
        list.push(default::cpu(80));
    }
    if let Some(spec) = autoscaler.get_mut("spec").filter(|spec| spec.is_object()) {
        take(spec, "targetCPUUtilizationPercentage");
        put(spec, "metrics", list);
        if behavior.is_object() {
            put(spec, "behavior", behavior);
        }
    }
    status_to_v2(autoscaler, &statuses, conditions);
}

fn status_to_v2(autoscaler: &mut Value, statuses: &Value, conditions: Value) {
    let Some(status) = autoscaler.get_mut("status").filter(|status| status.is_object()) else { return };
    let cpu = status.int("currentCPUUtilizationPercentage");
    take(status, "currentCPUUtilizationPercentage");
    let mut list: Vec<Value> = cpu
        .map(|percent| {
            json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}})
        })
        .into_iter()
        .collect();
    let others = statuses.as_array().into_iter().flatten();
    let is_cpu = |metric: &&Value| {
        metric["resource"].text("name") == "cpu" && !metric["resource"]["currentAverageUtilization"].is_null()
    };
    // The use of processors stands there, too; with its absolute value.
    for metric in others {
        if cpu.is_some() && is_cpu(&metric) {
            list[0] = turned(metric, true, false);
        } else {
            list.push(turned(metric, true, false));
        }
    }
    put(status, "currentMetrics", if list.is_empty() { Value::Null } else { list.into() });
    if conditions.is_array() {
        put(status, "conditions", conditions);
    }
}

/// Turns an object of the second version into one of the first.
pub(super) fn from_v2(autoscaler: &mut Value) {
    forget(autoscaler, &ALL);
    let mut notes: Vec<(&str, Value)> = Vec::new();
    if let Some(spec) = autoscaler.get_mut("spec").filter(|spec| spec.is_object()) {
        let metrics = spec["metrics"].take();
        take(spec, "metrics");
        let mut others = Vec::new();
        let mut cpu = None;
        for metric in metrics.as_array().into_iter().flatten() {
            let percent = metric["resource"]["target"].int("averageUtilization");
            match percent.filter(|_| cpu.is_none() && metric["resource"].text("name") == "cpu") {
                Some(percent) => cpu = Some(percent),
                None => others.push(turned(metric, false, true)),
            }
        }
        if let Some(percent) = cpu {
            put(spec, "targetCPUUtilizationPercentage", percent);
        }
        if !others.is_empty() {
            notes.push((METRICS, others.into()));
        }
        if spec["behavior"].is_object() {
            notes.push((BEHAVIOR, spec["behavior"].take()));
        }
        take(spec, "behavior");
    }
    if let Some(status) = autoscaler.get_mut("status").filter(|status| status.is_object()) {
        notes.extend(status_from_v2(status));
    }
    for (name, note) in notes {
        meta::set_annotation(autoscaler, name, Some(&note.to_string()));
    }
}

fn status_from_v2(status: &mut Value) -> Vec<(&'static str, Value)> {
    let mut notes = Vec::new();
    crate::value::fill(status, "currentReplicas", 0);
    crate::value::fill(status, "desiredReplicas", 0);
    let metrics = status["currentMetrics"].take();
    take(status, "currentMetrics");
    let list: Vec<Value> = metrics.as_array().into_iter().flatten().map(|m| turned(m, false, false)).collect();
    let cpu = list.iter().find(|metric| metric["resource"].text("name") == "cpu");
    if let Some(percent) = cpu.and_then(|metric| metric["resource"].int("currentAverageUtilization")) {
        put(status, "currentCPUUtilizationPercentage", percent);
    }
    if !list.is_empty() {
        notes.push((STATUSES, list.into()));
    }
    if status.has("conditions") {
        notes.push((CONDITIONS, status["conditions"].take()));
    }
    take(status, "conditions");
    notes
}

/// One measure (`target`: what it should be; otherwise what it is) in the words of the other version.
fn turned(metric: &Value, to_v2: bool, target: bool) -> Value {
    let Some(sort) = SORTS.iter().find(|sort| sort.type_ == metric.text("type")) else { return metric.clone() };
    let body = &metric[sort.field];
    let mut out = json!({});
    for (old, new) in sort.moved {
        if to_v2 {
            copy(&body[*old], &mut out, new);
        } else {
            copy(at(body, new), &mut out, &[old]);
        }
    }
    let place = if target { "target" } else { "current" };
    let numbers = sort.targets.iter().map(|(old, new, _)| (*old, *new)).filter(|_| target);
    let numbers = numbers.chain(sort.currents.iter().copied().filter(|_| !target));
    for (old, new) in numbers {
        if to_v2 {
            copy(&body[old], &mut out, &[place, new]);
        } else {
            copy(&body[place][new], &mut out, &[old]);
        }
    }
    if to_v2 && target {
        let kind = sort.targets.iter().rev().find(|(old, ..)| !body[*old].is_null() && !is_nothing(&body[*old]));
        copy(&json!(kind.map(|(_, _, kind)| *kind)), &mut out, &["target", "type"]);
    }
    if !to_v2 && sort.field == "object" && target {
        // The first version always has this one.
        crate::value::fill(&mut out, "targetValue", "0");
    }
    json!({"type": sort.type_, (sort.field): out})
}

fn is_nothing(value: &Value) -> bool {
    value.as_str() == Some("0")
}

fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, field| &value[*field])
}

fn copy(value: &Value, to: &mut Value, path: &[&str]) {
    if value.is_null() {
        return;
    }
    match path {
        [last] => put(to, last, value.clone()),
        [first, rest @ ..] => {
            if let Some(inner) = object(to, first) {
                copy(value, inner, rest);
            }
        }
        [] => {}
    }
}

fn forget(autoscaler: &mut Value, names: &[&str]) {
    for name in names.iter().filter(|name| meta::annotation(autoscaler, name).is_some()).collect::<Vec<_>>() {
        meta::set_annotation(autoscaler, name, None);
    }
    if !autoscaler["metadata"].has("annotations") {
        meta::unset(autoscaler, "annotations");
    }
}

/// A new object has no status, in annotations neither.
pub(super) fn forget_status(autoscaler: &mut Value) {
    forget(autoscaler, &OF_STATUS);
}

/// An update keeps the status, the part in annotations too.
pub(super) fn keep_status(autoscaler: &mut Value, old: &Value) {
    forget(autoscaler, &OF_STATUS);
    for name in OF_STATUS {
        if let Some(value) = meta::annotation(old, name) {
            meta::set_annotation(autoscaler, name, Some(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_say_the_same() {
        let v2 = json!({
            "metadata": {"name": "a", "annotations": {"mine": "1"}},
            "spec": {"maxReplicas": 3, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 50}}},
                {"type": "Resource", "resource": {"name": "memory",
                    "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                {"type": "Pods", "pods": {"metric": {"name": "rps"},
                    "target": {"type": "AverageValue", "averageValue": "10"}}},
                {"type": "Object", "object": {"metric": {"name": "hits"},
                    "describedObject": {"kind": "Service", "name": "s"}, "target": {"type": "Value", "value": "5"}}},
                {"type": "External", "external": {"metric": {"name": "q", "selector": {"matchLabels": {"a": "b"}}},
                    "target": {"type": "AverageValue", "averageValue": "7"}}},
            ], "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}},
            "status": {"currentReplicas": 1, "desiredReplicas": 2, "conditions": [{"type": "AbleToScale"}],
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu",
                    "current": {"averageUtilization": 7, "averageValue": "3m"}}}]},
        });
        let mut v1 = v2.clone();
        from_v2(&mut v1);
        assert_eq!(v1["spec"], json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}));
        assert_eq!(v1["status"]["currentCPUUtilizationPercentage"], 7);
        let metrics: Value = serde_json::from_str(meta::annotation(&v1, METRICS).unwrap()).unwrap();
        assert_eq!(
            metrics[0],
            json!({"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}})
        );
        assert_eq!(metrics[1]["pods"], json!({"metricName": "rps", "targetAverageValue": "10"}));
        assert!(meta::annotation(&v1, BEHAVIOR).is_some() && meta::annotation(&v1, CONDITIONS).is_some());
        let mut back = v1;
        to_v2(&mut back);
        assert_eq!(back, v2);
    }

    #[test]
    fn without_any_measure_processors_count() {
        let mut plain = json!({"metadata": {"name": "a"}, "spec": {"maxReplicas": 3}});
        to_v2(&mut plain);
        assert_eq!(plain["spec"]["metrics"], json!([default::cpu(80)]));
        from_v2(&mut plain);
        assert_eq!(plain["spec"], json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 80}));
        assert_eq!(plain["metadata"], json!({"name": "a"}));
    }
}
