//! What must hold for an autoscaler, as it is stored.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::kinds::template;
use crate::quantity::Quantity;
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const POSITIVE: &str = "must be greater than 0";
const TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];

pub(super) fn autoscaler(autoscaler: &Value, errors: &mut Vec<FieldError>) {
    let spec = &autoscaler["spec"];
    let (least, most) = (spec.int("minReplicas"), spec.int("maxReplicas").unwrap_or_default());
    if let Some(least) = least.filter(|n| *n < 1) {
        let detail = "must be greater than or equal to 1";
        errors.push(FieldError::invalid(&SPEC.child("minReplicas"), least, detail));
    }
    if most < 1 {
        errors.push(FieldError::invalid(&SPEC.child("maxReplicas"), most, POSITIVE));
    }
    if least.is_some_and(|least| most < least) {
        let detail = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid(&SPEC.child("maxReplicas"), most, detail));
    }
    reference(&spec["scaleTargetRef"], &SPEC.child("scaleTargetRef"), errors);
    let metrics = SPEC.child("metrics");
    for (i, metric) in spec.items("metrics").iter().enumerate() {
        self::metric(metric, &metrics.index(i), errors);
    }
    let behavior = SPEC.child("behavior");
    for direction in ["scaleUp", "scaleDown"].into_iter().filter(|name| spec["behavior"][*name].is_object()) {
        rules(&spec["behavior"][direction], &behavior.child(direction), errors);
    }
}

pub(super) fn status(new: &Value, _: &Value, errors: &mut Vec<FieldError>) {
    template::counts(&new["status"], &["currentReplicas", "desiredReplicas"], None, errors);
}

fn reference(of: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["kind", "name"] {
        let text = of.text(field);
        if text.is_empty() {
            errors.push(FieldError::required(&at.child(field), ""));
        } else {
            let problems = names::path_segment(text);
            errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child(field), text, p)));
        }
    }
}

fn metric(metric: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = metric.text("type");
    if kind.is_empty() {
        errors.push(FieldError::required(&at.child("type"), "must specify a metric source type"));
        return;
    }
    let Some(field) = field_of(kind) else {
        errors.push(FieldError::not_supported(&at.child("type"), kind, TYPES));
        return;
    };
    for other in TYPES.iter().filter_map(|kind| field_of(kind)).filter(|other| *other != field) {
        if metric[other].is_object() {
            let detail = "must populate the given metric source only";
            errors.push(FieldError::forbidden(&at.child(other), detail));
        }
    }
    let path = at.child(field);
    let source = &metric[field];
    if source.is_null() {
        errors.push(FieldError::required(&path, "must populate information for the given metric source"));
        return;
    }
    match field {
        "resource" | "containerResource" => {
            if !source.has("name") {
                errors.push(FieldError::required(&path.child("name"), "must specify a resource name"));
            }
            let (container, at) = (source.text("container"), path.child("container"));
            if field == "containerResource" && container.is_empty() {
                errors.push(FieldError::required(&at, "must specify a container"));
            } else if field == "containerResource" {
                common::problems(names::dns_label(container), &at, container, errors);
            }
        }
        _ => {
            if field == "object" {
                reference(&source["describedObject"], &path.child("describedObject"), errors);
            }
            identifier(&source["metric"], &path.child("metric"), errors);
        }
    }
    target(&source["target"], field, &path.child("target"), errors);
}

fn field_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return None,
    })
}

fn identifier(metric: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = metric.text("name");
    if name.is_empty() {
        errors.push(FieldError::required(&at.child("name"), "must specify a metric name"));
    } else {
        let problems = names::path_segment(name);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("name"), name, p)));
    }
}

fn target(target: &Value, field: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    match target.text("type") {
        "" => errors.push(FieldError::required(&at.child("type"), "must specify a metric target type")),
        "Utilization" | "Value" | "AverageValue" => {}
        _ => {
            let detail = "must be either Utilization, Value, or AverageValue";
            errors.push(FieldError::invalid(&at.child("type"), target["type"].clone(), detail));
        }
    }
    if let Some(percent) = target.int("averageUtilization").filter(|n| *n < 1) {
        errors.push(FieldError::invalid(&at.child("averageUtilization"), percent, POSITIVE));
    }
    let amount = |name: &str| Quantity::from_json(&target[name]).ok();
    for name in ["value", "averageValue"] {
        if let Some(amount) = amount(name).filter(|amount| amount.is_negative() || amount.is_zero()) {
            errors.push(FieldError::invalid(&at.child(name), amount.to_string(), "must be positive"));
        }
    }
    let (value, average) = (amount("value").is_some(), amount("averageValue").is_some());
    match field {
        "resource" | "containerResource" => {
            let percent = target.int("averageUtilization").is_some();
            if !percent && !average {
                let detail = "must set either a target raw value or a target utilization";
                errors.push(FieldError::required(&at.child("averageUtilization"), detail));
            } else if percent && average {
                let detail = "may not set both a target raw value and a target utilization";
                errors.push(FieldError::forbidden(&at.child("averageValue"), detail));
            }
        }
        "pods" if !average => {
            errors.push(FieldError::required(&at.child("averageValue"), "must specify a positive target averageValue"));
        }
        "object" | "external" if !value && !average => {
            let detail = match field {
                "object" => "must set either a target value or averageValue",
                _ => "must set either a target value for metric or a per-pod target",
            };
            errors.push(FieldError::required(&at.child("averageValue"), detail));
        }
        "external" if value && average => {
            let detail = "may not set both a target value for metric and a per-pod target";
            errors.push(FieldError::forbidden(&at.child("value"), detail));
        }
        _ => {}
    }
}

fn rules(rules: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const LONGEST_WINDOW: i64 = 3600;
    const LONGEST_PERIOD: i64 = 1800;
    let window = rules.int("stabilizationWindowSeconds").unwrap_or_default();
    if !(0..=LONGEST_WINDOW).contains(&window) {
        let detail = match window {
            ..0 => "must be greater than or equal to zero".to_owned(),
            _ => format!("must be less than or equal to {LONGEST_WINDOW}"),
        };
        errors.push(FieldError::invalid(&at.child("stabilizationWindowSeconds"), window, detail));
    }
    if let Some(tolerance) = Quantity::from_json(&rules["tolerance"]).ok().filter(|amount| amount.is_negative()) {
        errors.push(FieldError::invalid(&at.child("tolerance"), tolerance.to_string(), common::NOT_NEGATIVE));
    }
    let select = rules.text("selectPolicy");
    if !["", "Disabled", "Max", "Min"].contains(&select) {
        errors.push(FieldError::not_supported(&at.child("selectPolicy"), select, &["Disabled", "Max", "Min"]));
    }
    let policies = at.child("policies");
    if !rules.has("policies") {
        errors.push(FieldError::required(&policies, "must specify at least one Policy"));
    }
    for (i, policy) in rules.items("policies").iter().enumerate() {
        let at = policies.index(i);
        let kind = policy.text("type");
        if !["Percent", "Pods"].contains(&kind) {
            errors.push(FieldError::not_supported(&at.child("type"), kind, &["Percent", "Pods"]));
        }
        for field in ["value", "periodSeconds"] {
            let number = policy.int(field).unwrap_or_default();
            if number < 1 {
                errors.push(FieldError::invalid(&at.child(field), number, "must be greater than zero"));
            }
        }
        if let Some(period) = policy.int("periodSeconds").filter(|n| *n > LONGEST_PERIOD) {
            let detail = format!("must be less than or equal to {LONGEST_PERIOD}");
            errors.push(FieldError::invalid(&at.child("periodSeconds"), period, detail));
        }
    }
}
