//! What may change in a Pod: images, deadlines, tolerations that are added, and little else.

use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::value::{Read as _, items_mut, put, take};

const SPEC: Path<'static> = Path::new("spec");
const MAY_CHANGE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
     `spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be \
     set to 1 if it was previously negative)";

pub(super) fn validate(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (spec, before) = (&new["spec"], &old["spec"]);
    for (list, sort) in [("containers", "containers"), ("initContainers", "init containers")] {
        if spec.items(list).len() != before.items(list).len() {
            let detail = format!("pod updates may not add or remove {sort}");
            errors.push(FieldError::forbidden(&SPEC.child(list), detail));
            return;
        }
    }
    deadline(spec, before, errors);
    if !before.items("tolerations").iter().all(|toleration| spec.items("tolerations").contains(toleration)) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden(&SPEC.child("tolerations"), detail));
    }
    gates(spec, before, errors);
    let changed = differences(&allowed(spec, before), before);
    if !changed.is_empty() {
        let detail = format!("pod updates may not change fields other than {MAY_CHANGE}\n{}", changed.join("\n"));
        errors.push(FieldError::forbidden(&SPEC, detail));
    }
}

/// What holds a pod back may only go.
fn gates(spec: &Value, before: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("schedulingGates");
    for gate in spec.items("schedulingGates").iter().filter(|gate| !before.items("schedulingGates").contains(gate)) {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.text("name"));
        errors.push(FieldError::forbidden(&path, detail));
    }
}

fn deadline(spec: &Value, before: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("activeDeadlineSeconds");
    let (now, before) = (spec.int("activeDeadlineSeconds"), before.int("activeDeadlineSeconds"));
    match (now, before) {
        (Some(now), Some(before)) if now > before => {
            let detail = format!("must be less than or equal to previous value: {before}");
            errors.push(FieldError::invalid(&path, now, detail));
        }
        (None, Some(_)) => {
            errors.push(FieldError::invalid(
                &path,
                Value::Null,
                "must not update from a positive integer to nil value",
            ));
        }
        _ => {}
    }
}

/// The new spec with everything that may change set back.
fn allowed(spec: &Value, before: &Value) -> Value {
    let mut spec = spec.clone();
    for list in ["containers", "initContainers"] {
        let images: Vec<Value> = before.items(list).iter().map(|c| c["image"].clone()).collect();
        for (container, image) in items_mut(&mut spec, list).zip(images) {
            put(container, "image", image);
        }
    }
    let lower = before.int("terminationGracePeriodSeconds").is_some_and(|n| n < 0)
        && spec.int("terminationGracePeriodSeconds") == Some(1);
    let mut fields = vec!["activeDeadlineSeconds", "tolerations", "schedulingGates"];
    if lower {
        fields.push("terminationGracePeriodSeconds");
    }
    // A pod that is held back may be made pickier, and let go.
    if before.has("schedulingGates") {
        fields.extend(["nodeSelector", "affinity"]);
    }
    for field in fields {
        match before.get(field) {
            Some(value) => put(&mut spec, field, value.clone()),
            None => take(&mut spec, field),
        }
    }
    spec
}

/// Each field that differs, before and after.
pub(super) fn differences(new: &Value, old: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(new, old, "spec", &mut found);
    found
}

fn compare(new: &Value, old: &Value, at: &str, found: &mut Vec<String>) {
    match (new, old) {
        (Value::Object(now), Value::Object(before)) => {
            let keys: std::collections::BTreeSet<&String> = now.keys().chain(before.keys()).collect();
            for key in keys {
                compare(&new[key.as_str()], &old[key.as_str()], &format!("{at}.{key}"), found);
            }
        }
        (Value::Array(now), Value::Array(before)) if now.len() == before.len() => {
            for (i, (now, before)) in now.iter().zip(before).enumerate() {
                compare(now, before, &format!("{at}[{i}]"), found);
            }
        }
        _ if new != old && !(is_nothing(new) && is_nothing(old)) => {
            found.push(format!("- {at}: {old}\n+ {at}: {new}"));
        }
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || *value == json!({}) || *value == json!([]) || *value == json!("")
}
