//! What must hold for a Job.

use std::collections::BTreeSet;

use serde_json::Value;

use super::default::{NAME_LABELS, UID_LABELS};
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::kinds::template;
use crate::meta;
use crate::selector::LabelSelector;
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");

pub(super) fn job(job: &Value, errors: &mut Vec<FieldError>) {
    let of_job = &job["spec"];
    generated(job, errors);
    spec(of_job, &SPEC, errors);
    let path = SPEC.child("selector");
    if of_job["selector"].is_null() {
        errors.push(FieldError::required(&path, ""));
    } else {
        let selector = common::label_selector(&of_job["selector"], &path, errors);
        template::matches(selector.as_ref(), &of_job["template"], &SPEC.child("template"), errors);
    }
    let indexed = of_job.text("completionMode") == "Indexed";
    if let Some(last) = of_job.int("completions").filter(|n| indexed && *n > 0) {
        let host = format!("{}-{}", meta::name(job), last - 1);
        for problem in names::dns_label(&host) {
            let metadata = Path::new("metadata");
            let detail = format!("will not able to create pod with invalid DNS label: {host}: {problem}");
            errors.push(FieldError::invalid(&metadata.child("name"), meta::name(job), detail));
        }
    }
}

/// The selector and the labels that the server makes must not have been given differently.
fn generated(job: &Value, errors: &mut Vec<FieldError>) {
    let of_job = &job["spec"];
    if of_job.flag("manualSelector") || of_job["selector"].is_null() {
        return;
    }
    let template = SPEC.child("template");
    let metadata = template.child("metadata");
    let path = metadata.child("labels");
    let given = &of_job["template"]["metadata"]["labels"];
    for (labels, expected) in [(UID_LABELS, meta::uid(job)), (NAME_LABELS, meta::name(job))] {
        for label in labels.into_iter().rev() {
            match given[label].as_str() {
                None => errors.push(FieldError::required(&path.key(label), format!("must be '{expected}'"))),
                Some(value) if value != expected => {
                    errors.push(FieldError::invalid(&path.key(label), value, format!("must be '{expected}'")));
                }
                Some(_) => {}
            }
        }
    }
    let mut expected = serde_json::Map::new();
    for (labels, value) in [(UID_LABELS, meta::uid(job)), (NAME_LABELS, meta::name(job))] {
        expected.extend(labels.into_iter().map(|label| (label.to_owned(), Value::from(value))));
    }
    if LabelSelector::from_json(&of_job["selector"]).is_ok_and(|s| !s.matches_labels(&Value::Object(expected))) {
        let detail = "`selector` not auto-generated";
        errors.push(FieldError::invalid(&SPEC.child("selector"), of_job["selector"].clone(), detail));
    }
}

/// What must hold for the spec, also that of a Job that a CronJob will make.
pub(in crate::kinds) fn spec(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const NUMBERS: [&str; 7] = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    NUMBERS.iter().for_each(|field| common::not_negative(spec, field, at, errors));
    indexes(spec, at, errors);
    let manager = spec.text("managedBy");
    if !manager.is_empty() {
        let problems = names::qualified_name(manager);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("managedBy"), manager, p)));
    }
    let pods = at.child("template");
    template::check(&spec["template"], &pods, errors);
    let inner = pods.child("spec");
    let policy = spec["template"]["spec"].text("restartPolicy");
    if !matches!(policy, "OnFailure" | "Never") {
        let detail = "valid values: \"OnFailure\", \"Never\"";
        errors.push(FieldError::required(&inner.child("restartPolicy"), detail));
    }
    if spec["podFailurePolicy"].is_object() {
        if policy != "Never" {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.push(FieldError::invalid(&inner.child("restartPolicy"), policy, detail));
        }
        failure_policy(spec, &at.child("podFailurePolicy"), errors);
    }
    replacement(spec, at, errors);
}

fn indexes(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mode = spec.text("completionMode");
    if !matches!(mode, "" | "Indexed" | "NonIndexed") {
        errors.push(FieldError::not_supported(&at.child("completionMode"), mode, &["NonIndexed", "Indexed"]));
    }
    if mode == "Indexed" {
        if spec["completions"].is_null() {
            let detail = "when completion mode is Indexed";
            errors.push(FieldError::required(&at.child("completions"), detail));
        }
        const MOST: i64 = 100_000;
        if let Some(parallel) = spec.int("parallelism").filter(|n| *n > MOST) {
            let detail = format!("must be less than or equal to {MOST} when completion mode is Indexed");
            errors.push(FieldError::invalid(&at.child("parallelism"), parallel, detail));
        }
        return;
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if let Some(number) = spec.int(field) {
            let detail = "requires indexed completion mode";
            errors.push(FieldError::invalid(&at.child(field), number, detail));
        }
    }
    if spec["successPolicy"].is_object() {
        let detail = "requires indexed completion mode";
        errors.push(FieldError::invalid(&at.child("successPolicy"), spec["successPolicy"].clone(), detail));
    }
}

fn replacement(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.text("podReplacementPolicy");
    let path = at.child("podReplacementPolicy");
    if spec["podFailurePolicy"].is_object() && !matches!(policy, "" | "Failed") {
        errors.push(FieldError::not_supported(&path, policy, &["Failed"]));
    } else if !matches!(policy, "" | "Failed" | "TerminatingOrFailed") {
        errors.push(FieldError::not_supported(&path, policy, &["Failed", "TerminatingOrFailed"]));
    }
}

fn failure_policy(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const MOST: usize = 20;
    let of_pods = &spec["template"]["spec"];
    let known: BTreeSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| of_pods.items(list))
        .map(|container| container.text("name"))
        .collect();
    let rules = spec["podFailurePolicy"].items("rules");
    let path = at.child("rules");
    if rules.len() > MOST {
        errors.push(FieldError::too_many(&path, rules.len(), MOST));
    }
    for (i, rule) in rules.iter().enumerate() {
        failure_rule(rule, spec, &known, &path.index(i), errors);
    }
}

fn failure_rule(rule: &Value, spec: &Value, known: &BTreeSet<&str>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let action = rule.text("action");
    let path = at.child("action");
    match action {
        "" => {
            errors.push(FieldError::required(&path, "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"))
        }
        "FailIndex" if spec["backoffLimitPerIndex"].is_null() => {
            let detail = "requires the backoffLimitPerIndex to be set";
            errors.push(FieldError::invalid(&path, action, detail));
        }
        "Count" | "FailIndex" | "FailJob" | "Ignore" => {}
        other => {
            errors.push(FieldError::not_supported(&path, other, &["Count", "FailIndex", "FailJob", "Ignore"]));
        }
    }
    let (codes, conditions) = (&rule["onExitCodes"], rule.has("onPodConditions"));
    match (codes.is_object(), conditions) {
        (true, true) => {
            let detail = "specifying both OnExitCodes and OnPodConditions is not supported";
            errors.push(FieldError::invalid(at, rule.clone(), detail));
        }
        (false, false) => {
            let detail = "specifying one of OnExitCodes and OnPodConditions is required";
            errors.push(FieldError::invalid(at, rule.clone(), detail));
        }
        (true, false) => exit_codes(codes, known, &at.child("onExitCodes"), errors),
        (false, true) => {}
    }
}

fn exit_codes(codes: &Value, known: &BTreeSet<&str>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let operator = codes.text("operator");
    if !matches!(operator, "In" | "NotIn") {
        errors.push(FieldError::not_supported(&at.child("operator"), operator, &["In", "NotIn"]));
    }
    let name = codes.text("containerName");
    if !name.is_empty() && !known.contains(name) {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(&at.child("containerName"), name, detail));
    }
    let path = at.child("values");
    let values = codes.items("values");
    if values.is_empty() {
        errors.push(FieldError::invalid(&path, codes["values"].clone(), "at least one value is required"));
    }
    for (i, value) in values.iter().enumerate() {
        if operator == "In" && value == 0 {
            errors.push(FieldError::invalid(&path.index(i), 0, "must not be 0 for the In operator"));
        }
        if values[..i].contains(value) {
            errors.push(FieldError::duplicate(&path.index(i), value.clone()));
        }
    }
}
