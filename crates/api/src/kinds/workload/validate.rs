//! What must hold for a Deployment or a ReplicaSet.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::pod;
use crate::selector::LabelSelector;
use crate::validate::{names, objectmeta};
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

pub(super) fn replica_set(set: &Value, errors: &mut Vec<FieldError>) {
    common(&set["spec"], "ReplicaSet", errors);
}

pub(super) fn deployment(deployment: &Value, errors: &mut Vec<FieldError>) {
    let spec = &deployment["spec"];
    common(spec, "Deployment", errors);
    strategy(&spec["strategy"], errors);
    not_negative(spec, "revisionHistoryLimit", errors);
    not_negative(spec, "progressDeadlineSeconds", errors);
    if let Some(seconds) = spec.int("progressDeadlineSeconds")
        && seconds <= spec.int("minReadySeconds").unwrap_or_default()
    {
        let detail = "must be greater than minReadySeconds";
        errors.push(FieldError::invalid(&SPEC.child("progressDeadlineSeconds"), seconds, detail));
    }
}

pub(super) fn same_selector(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (now, before) = (&new["spec"]["selector"], &old["spec"]["selector"]);
    if now != before {
        errors.push(FieldError::invalid(&SPEC.child("selector"), now.clone(), "field is immutable"));
    }
}

fn not_negative(spec: &Value, field: &str, errors: &mut Vec<FieldError>) {
    if let Some(number) = spec.int(field).filter(|n| *n < 0) {
        errors.push(FieldError::invalid(&SPEC.child(field), number, NOT_NEGATIVE));
    }
}

fn common(spec: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    not_negative(spec, "replicas", errors);
    let selector = selector(spec, errors);
    let path = SPEC.child("template");
    let template = &spec["template"];
    not_negative(spec, "minReadySeconds", errors);
    if template.is_null() && kind == "ReplicaSet" {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    let metadata = path.child("metadata");
    let labels = &template["metadata"]["labels"];
    if selector.is_some_and(|s| !s.is_everything() && !s.matches_labels(labels)) {
        let value = if labels.is_null() { Value::Null } else { labels.clone() };
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&metadata.child("labels"), value, detail));
    }
    objectmeta::labels(labels, &metadata.child("labels"), errors);
    let inner = path.child("spec");
    pod::validate_spec(&template["spec"], &inner, errors);
    let policy = template["spec"].text("restartPolicy");
    if policy != "Always" {
        errors.push(FieldError::not_supported(&inner.child("restartPolicy"), policy, &["Always"]));
    }
    if template["spec"].has("activeDeadlineSeconds") {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(&inner.child("activeDeadlineSeconds"), detail));
    }
}

/// Checks the selector; answers with it where it can be used.
fn selector(spec: &Value, errors: &mut Vec<FieldError>) -> Option<LabelSelector> {
    let path = SPEC.child("selector");
    let value = &spec["selector"];
    if value.is_null() {
        errors.push(FieldError::required(&path, ""));
        return None;
    }
    let before = errors.len();
    objectmeta::labels(&value["matchLabels"], &path.child("matchLabels"), errors);
    let expressions = path.child("matchExpressions");
    for (i, expression) in value.items("matchExpressions").iter().enumerate() {
        requirement(expression, &expressions.index(i), errors);
    }
    if !value.has("matchLabels") && !value.has("matchExpressions") {
        errors.push(FieldError::invalid(&path, value.clone(), "empty selector is invalid for deployment"));
    }
    if errors.len() > before { None } else { LabelSelector::from_json(value).ok() }
}

fn requirement(expression: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let values = at.child("values");
    match (expression.text("operator"), expression.has("values")) {
        ("In" | "NotIn", false) => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&values, detail));
        }
        ("Exists" | "DoesNotExist", true) => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&values, detail));
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
        (other, _) => {
            errors.push(FieldError::invalid(&at.child("operator"), other, "not a valid selector operator"));
        }
    }
    let key = expression.text("key");
    errors.extend(names::qualified_name(key).into_iter().map(|p| FieldError::invalid(&at.child("key"), key, p)));
    for (i, value) in expression.items("values").iter().filter_map(Value::as_str).enumerate() {
        let problems = names::label_value(value);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&values.index(i), value, p)));
    }
}

fn strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("strategy");
    let rolling = path.child("rollingUpdate");
    match strategy.text("type") {
        "Recreate" if !strategy["rollingUpdate"].is_null() => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden(&rolling, detail));
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let update = &strategy["rollingUpdate"];
            for field in ["maxUnavailable", "maxSurge"] {
                share(&update[field], &rolling.child(field), errors);
            }
            if is_none(&update["maxUnavailable"]) && is_none(&update["maxSurge"]) {
                let detail = "may not be 0 when `maxSurge` is 0";
                let value = update["maxUnavailable"].clone();
                errors.push(FieldError::invalid(&rolling.child("maxUnavailable"), value, detail));
            }
            let percent = update["maxUnavailable"].as_str().and_then(|t| t.strip_suffix('%')?.parse::<u32>().ok());
            if percent.is_some_and(|n| n > 100) {
                let value = update["maxUnavailable"].clone();
                let detail = "must not be greater than 100%";
                errors.push(FieldError::invalid(&rolling.child("maxUnavailable"), value, detail));
            }
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["Recreate", "RollingUpdate"])),
    }
}

/// Whether a number or a percentage is none at all.
fn is_none(value: &Value) -> bool {
    match value {
        Value::String(text) => text.strip_suffix('%').and_then(|n| n.parse::<u32>().ok()) == Some(0),
        other => other.as_i64().unwrap_or_default() == 0,
    }
}

fn share(value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match value {
        Value::String(text) => {
            errors.extend(names::percent(text).into_iter().map(|p| FieldError::invalid(path, text.as_str(), p)));
        }
        other => {
            if let Some(number) = other.as_i64().filter(|n| *n < 0) {
                errors.push(FieldError::invalid(path, number, NOT_NEGATIVE));
            }
        }
    }
}
