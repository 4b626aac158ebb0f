//! What may change in a Job.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::value::{Read as _, put, take};

const SPEC: Path<'static> = Path::new("spec");

pub(super) fn validate(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (spec, before) = (&new["spec"], &old["spec"]);
    completions(spec, before, errors);
    common::immutable(spec, before, "selector", &SPEC.child("selector"), errors);
    let waiting = before.flag("suspend") && old["status"]["startTime"].is_null();
    let allowed = if waiting { directives(&spec["template"], &before["template"]) } else { before["template"].clone() };
    if spec["template"] != allowed {
        let value = spec["template"].clone();
        errors.push(FieldError::invalid(&SPEC.child("template"), value, common::IMMUTABLE));
    }
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        common::immutable(spec, before, field, &SPEC.child(field), errors);
    }
}

/// Indexed Jobs may grow and shrink.
fn completions(spec: &Value, before: &Value, errors: &mut Vec<FieldError>) {
    if spec.text("completionMode") != "Indexed" {
        return common::immutable(spec, before, "completions", &SPEC.child("completions"), errors);
    }
    if spec["completions"] != before["completions"]
        && (spec["completions"].is_null() || spec["completions"] != spec["parallelism"])
    {
        let value = spec["completions"].clone();
        let detail = "can only be modified in tandem with spec.parallelism";
        errors.push(FieldError::invalid(&SPEC.child("completions"), value, detail));
    }
}

/// The old template with what may change while a Job has not begun: where its pods may run.
fn directives(new: &Value, old: &Value) -> Value {
    const OF_SPEC: [&str; 3] = ["nodeSelector", "tolerations", "schedulingGates"];
    let mut allowed = old.clone();
    for (part, fields) in [("metadata", &["annotations", "labels"][..]), ("spec", &OF_SPEC[..])] {
        for field in fields {
            let Some(inner) = allowed.get_mut(part) else { continue };
            set(inner, field, new[part].get(field));
        }
    }
    if let Some(spec) = allowed.get_mut("spec") {
        match (new["spec"]["affinity"].is_object(), spec["affinity"].is_object()) {
            (true, true) => set(&mut spec["affinity"], "nodeAffinity", new["spec"]["affinity"].get("nodeAffinity")),
            (false, true) => take(&mut spec["affinity"], "nodeAffinity"),
            (true, false) => {
                let node = &new["spec"]["affinity"]["nodeAffinity"];
                put(spec, "affinity", serde_json::json!({"nodeAffinity": node}));
            }
            (false, false) => {}
        }
        if !spec.has("affinity") && !new["spec"]["affinity"].is_object() {
            take(spec, "affinity");
        }
    }
    allowed
}

fn set(of: &mut Value, field: &str, to: Option<&Value>) {
    match to {
        Some(value) => put(of, field, value.clone()),
        None => take(of, field),
    }
}
