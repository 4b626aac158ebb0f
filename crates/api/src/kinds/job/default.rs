//! What a Job does not say, and the selector that the server makes for it.

use serde_json::Value;

use crate::kinds::template as pods;
use crate::meta;
use crate::value::{Read as _, existing, fill, items_mut, object};

/// The labels that tell the pods of one Job from all others, under their new and their old names.
pub(super) const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];
pub(super) const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

pub(super) fn job(job: &mut Value) {
    let Some(spec) = object(job, "spec") else { return };
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    let most = if spec["backoffLimitPerIndex"].is_null() { 6 } else { i32::MAX };
    fill(spec, "backoffLimit", most);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    fill(spec, "manualSelector", false);
    let replace = if spec["podFailurePolicy"].is_object() { "Failed" } else { "TerminatingOrFailed" };
    fill(spec, "podReplacementPolicy", replace);
    if let Some(policy) = existing(spec, "podFailurePolicy") {
        for rule in items_mut(policy, "rules") {
            for pattern in items_mut(rule, "onPodConditions") {
                fill(pattern, "status", "True");
            }
        }
    }
    pods::default(spec);
    labels(job);
}

/// The pods of a Job that a CronJob will make.
pub(in crate::kinds) fn template(job: &mut Value) {
    if let Some(spec) = object(job, "spec") {
        pods::default(spec);
    }
}

/// Without labels of its own, a Job has those of its pods.
fn labels(job: &mut Value) {
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    let some = labels.as_object().is_some_and(|labels| !labels.is_empty());
    if some && !job["metadata"].has("labels") {
        meta::set(job, "labels", labels);
    }
}

/// Makes the selector and the labels that it selects, unless the client does that itself.
pub(super) fn select(job: &mut Value) {
    let (uid, name) = (meta::uid(job).to_owned(), meta::name(job).to_owned());
    let Some(spec) = object(job, "spec") else { return };
    if spec.flag("manualSelector") {
        return;
    }
    if let Some(labels) =
        object(spec, "template").and_then(|t| object(t, "metadata")).and_then(|metadata| object(metadata, "labels"))
    {
        UID_LABELS.iter().for_each(|label| fill(labels, label, uid.as_str()));
        NAME_LABELS.iter().for_each(|label| fill(labels, label, name.as_str()));
    }
    if let Some(labels) = object(spec, "selector").and_then(|selector| object(selector, "matchLabels")) {
        fill(labels, UID_LABELS[0], uid.as_str());
    }
    labels(job);
}
