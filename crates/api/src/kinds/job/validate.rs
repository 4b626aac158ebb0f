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
const LONGEST_MANAGER: usize = 63;

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
        if !names::dns_label(&host).is_empty() {
            let metadata = Path::new("metadata");
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
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
    if spec.has("maxFailedIndexes") && spec["backoffLimitPerIndex"].is_null() {
        let detail = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(&at.child("backoffLimitPerIndex"), detail));
    }
    if let Some(manager) = spec["managedBy"].as_str() {
        common::domain_path(manager, &at.child("managedBy"), errors);
        if manager.len() > LONGEST_MANAGER {
            errors.push(FieldError::too_long(&at.child("managedBy"), LONGEST_MANAGER));
        }
    }
    indexes(spec, at, errors);
    let pods = at.child("template");
    template::check(&spec["template"], &pods, errors);
    let inner = pods.child("spec");
    let policy = spec["template"]["spec"].text("restartPolicy");
    match policy {
        "OnFailure" | "Never" => {}
        "" | "Always" => {
            let detail = "valid values: \"OnFailure\", \"Never\"";
            errors.push(FieldError::required(&inner.child("restartPolicy"), detail));
        }
        other => {
            errors.push(FieldError::not_supported(&inner.child("restartPolicy"), other, &["OnFailure", "Never"]));
        }
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
        most_indexes(spec, at, errors);
        if spec["successPolicy"].is_object() {
            let completions = spec.int("completions").unwrap_or_default();
            super::indexes::success_policy(&spec["successPolicy"], completions, &at.child("successPolicy"), errors);
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

/// How many indexes there may be, and how many of them at once, or failed.
fn most_indexes(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const MOST: i64 = 100_000;
    const MANY: i64 = 100_000;
    const AT_ONCE: i64 = 10_000;
    let (completions, failed) = (spec.int("completions"), spec.int("maxFailedIndexes"));
    let mut wrong = |field: &str, value: i64, detail: String| {
        errors.push(FieldError::invalid(&at.child(field), value, detail));
    };
    if let Some(parallel) = spec.int("parallelism").filter(|n| *n > MOST) {
        let detail = format!("must be less than or equal to {MOST} when completion mode is Indexed");
        wrong("parallelism", parallel, detail);
    }
    if let (Some(failed), Some(completions)) = (failed, completions)
        && failed > completions
    {
        wrong("maxFailedIndexes", failed, "must be less than or equal to completions".to_owned());
    }
    if let Some(failed) = failed.filter(|n| *n > MOST) {
        wrong("maxFailedIndexes", failed, format!("must be less than or equal to {MOST}"));
    }
    if completions.unwrap_or_default() <= MANY || spec["backoffLimitPerIndex"].is_null() {
        return;
    }
    for field in ["parallelism", "maxFailedIndexes"] {
        if let Some(number) = spec.int(field).filter(|n| *n > AT_ONCE) {
            let detail = format!(
                "must be less than or equal to {AT_ONCE} when completions are above {MANY} and used with backoff limit \
                 per index"
            );
            wrong(field, number, detail);
        }
    }
    if failed.is_none() {
        let detail = format!("must be specified when completions is above {MANY}");
        errors.push(FieldError::required(&at.child("maxFailedIndexes"), detail));
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
    if codes.is_object() {
        exit_codes(codes, known, &at.child("onExitCodes"), errors);
    }
    pod_conditions(rule.items("onPodConditions"), &at.child("onPodConditions"), errors);
    match (codes.is_object(), conditions) {
        (true, true) => {
            let detail = "specifying both OnExitCodes and OnPodConditions is not supported";
            errors.push(FieldError::invalid_unshown(at, detail));
        }
        (false, false) => {
            let detail = "specifying one of OnExitCodes and OnPodConditions is required";
            errors.push(FieldError::invalid_unshown(at, detail));
        }
        _ => {}
    }
}

fn pod_conditions(patterns: &[Value], at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const MOST: usize = 20;
    const STATES: &[&str] = &["False", "True", "Unknown"];
    if patterns.len() > MOST {
        errors.push(FieldError::too_many(at, patterns.len(), MOST));
    }
    for (i, pattern) in patterns.iter().enumerate() {
        let (kind, at) = (pattern.text("type"), at.index(i));
        common::problems(names::qualified_name(kind), &at.child("type"), kind, errors);
        match pattern.text("status") {
            "" => {
                let detail = "valid values: [\"False\" \"True\" \"Unknown\"]";
                errors.push(FieldError::required(&at.child("status"), detail));
            }
            status => common::one_of_or_none(status, STATES, &at.child("status"), errors),
        }
    }
}

fn exit_codes(codes: &Value, known: &BTreeSet<&str>, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const MOST: usize = 255;
    let operator = codes.text("operator");
    if operator.is_empty() {
        errors.push(FieldError::required(&at.child("operator"), "valid values: [\"In\" \"NotIn\"]"));
    }
    common::one_of_or_none(operator, &["In", "NotIn"], &at.child("operator"), errors);
    if let Some(name) = codes["containerName"].as_str().filter(|name| !known.contains(name)) {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(&at.child("containerName"), name, detail));
    }
    let path = at.child("values");
    let values = codes.items("values");
    if values.is_empty() {
        errors.push(FieldError::invalid(&path, codes["values"].clone(), "at least one value is required"));
    } else if values.len() > MOST {
        errors.push(FieldError::too_many(&path, values.len(), MOST));
    }
    for (i, value) in values.iter().enumerate() {
        if operator == "In" && value == 0 {
            errors.push(FieldError::invalid(&path.index(i), 0, "must not be 0 for the In operator"));
        }
        if values[..i].contains(value) {
            errors.push(FieldError::duplicate(&path.index(i), value.clone()));
        }
    }
    if !values.is_sorted_by_key(|value| value.as_i64()) {
        errors.push(FieldError::invalid(&path, codes["values"].clone(), "must be ordered"));
    }
}
