//! What may become of a Job's status. What was wrong before may stay so: only a change is refused.

use serde_json::Value;

use super::indexes;
use crate::field_error::{FieldError, Path};
use crate::kinds::template;
use crate::time;
use crate::value::Read as _;

const AT: Path<'static> = Path::new("status");
const COUNTS: [&str; 5] = ["active", "succeeded", "failed", "ready", "terminating"];

fn is(job: &Value, condition: &str) -> bool {
    let conditions = job["status"].items("conditions");
    conditions.iter().any(|one| one.text("type") == condition && one.text("status") == "True")
}

pub(super) fn validate(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    template::counts(&new["status"], &COUNTS, None, errors);
    let (mut found, mut before) = (Vec::new(), Vec::new());
    agrees(new, &mut found);
    agrees(old, &mut before);
    errors.extend(found.into_iter().filter(|error| !before.contains(error)));
    changes(new, old, errors);
}

/// The status agrees with itself and with what the Job is to do.
fn agrees(job: &Value, errors: &mut Vec<FieldError>) {
    conditions(job, errors);
    times(job, errors);
    let status = &job["status"];
    let count = |field: &str| template::count(status, field);
    let finished = is(job, "Complete") || is(job, "Failed");
    for field in ["active", "terminating"] {
        if finished && count(field) > 0 {
            let detail = format!("{field}>0 is invalid for finished job");
            errors.push(FieldError::invalid(&AT.child(field), count(field), detail));
        }
    }
    let uncounted = &status["uncountedTerminatedPods"];
    if finished && (uncounted.has("succeeded") || uncounted.has("failed")) {
        let detail = "uncountedTerminatedPods needs to be empty for finished job";
        errors.push(FieldError::invalid(&AT.child("uncountedTerminatedPods"), uncounted.clone(), detail));
    }
    if count("ready") > count("active") {
        errors.push(FieldError::invalid(&AT.child("ready"), count("ready"), "cannot set more ready pods than active"));
    }
    named_indexes(job, errors);
}

/// Which conditions cannot be true together, or not alone.
fn conditions(job: &Value, errors: &mut Vec<FieldError>) {
    const TOGETHER: [(&str, &str, &str); 4] = [
        ("Complete", "Failed", "cannot set Complete=True and Failed=true conditions"),
        ("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
        ("SuccessCriteriaMet", "Failed", "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
        ("SuccessCriteriaMet", "FailureTarget", "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
    ];
    const ALONE: [(&str, &str, &str); 2] = [
        ("Failed", "FailureTarget", "cannot set Failed=True condition without the FailureTarget=true condition"),
        (
            "Complete",
            "SuccessCriteriaMet",
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
    ];
    let together = TOGETHER.iter().filter(|(one, other, _)| is(job, one) && is(job, other));
    let alone = ALONE.iter().filter(|(one, other, _)| is(job, one) && !is(job, other));
    for (_, _, why) in together.chain(alone) {
        errors.push(FieldError::invalid_unshown(&AT.child("conditions"), *why));
    }
}

fn times(job: &Value, errors: &mut Vec<FieldError>) {
    let status = &job["status"];
    let at = |field: &str| status[field].as_str().and_then(time::parse);
    let path = AT.child("completionTime");
    let complete = is(job, "Complete");
    if status.has("completionTime") && !complete {
        let detail = "cannot set completionTime when there is no Complete=True condition";
        errors.push(FieldError::invalid(&path, status["completionTime"].clone(), detail));
    }
    if complete && !status.has("completionTime") {
        errors.push(FieldError::required(&path, "completionTime is required for Complete jobs"));
    }
    if let (Some(start), Some(end)) = (at("startTime"), at("completionTime"))
        && end < start
    {
        let detail = "completionTime cannot be set before startTime";
        errors.push(FieldError::invalid(&path, status["completionTime"].clone(), detail));
    }
    if (complete || is(job, "Failed")) && !status.has("startTime") {
        errors.push(FieldError::required(&AT.child("startTime"), "startTime is required for finished job"));
    }
}

fn named_indexes(job: &Value, errors: &mut Vec<FieldError>) {
    let (spec, status) = (&job["spec"], &job["status"]);
    let given = |field: &str| status[field].as_str().filter(|text| !text.is_empty());
    for field in ["completedIndexes", "failedIndexes"] {
        let (Some(text), Some(completions)) = (given(field), spec.int("completions")) else { continue };
        if let Err(why) = indexes::count(text, completions) {
            errors.push(FieldError::invalid(&AT.child(field), text, format!("error parsing {field}: {why}")));
        }
    }
    if let Some(text) = given("completedIndexes").filter(|_| spec.text("completionMode") != "Indexed") {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        errors.push(FieldError::invalid(&AT.child("completedIndexes"), text, detail));
    }
    if let Some(text) = status["failedIndexes"].as_str().filter(|_| spec["backoffLimitPerIndex"].is_null()) {
        let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        errors.push(FieldError::invalid(&AT.child("failedIndexes"), text, detail));
    }
}

/// What cannot be taken back.
fn changes(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if is(old, condition) && !is(new, condition) {
            let detail = format!("cannot disable the terminal {condition}=True condition");
            errors.push(FieldError::invalid_unshown(&AT.child("conditions"), detail));
        }
    }
    let (status, before) = (&new["status"], &old["status"]);
    for field in ["failed", "succeeded"] {
        let count = template::count(status, field);
        if count < template::count(before, field) {
            let detail = format!("cannot decrease the {field} counter");
            errors.push(FieldError::invalid(&AT.child(field), count, detail));
        }
    }
    let both = status.has("completionTime") && before.has("completionTime");
    if both && status["completionTime"] != before["completionTime"] {
        let value = status["completionTime"].clone();
        errors.push(FieldError::invalid(&AT.child("completionTime"), value, "completionTime cannot be mutated"));
    }
    if before.has("startTime") && status["startTime"] != before["startTime"] && !new["spec"].flag("suspend") {
        let detail = "startTime cannot be removed for unsuspended job";
        errors.push(FieldError::required(&AT.child("startTime"), detail));
    }
    if is(old, "SuccessCriteriaMet") && !is(new, "SuccessCriteriaMet") {
        let detail = "cannot disable the SuccessCriteriaMet=True condition";
        errors.push(FieldError::invalid_unshown(&AT.child("conditions"), detail));
    }
}
