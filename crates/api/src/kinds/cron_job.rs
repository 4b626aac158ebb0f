//! CronJob: Jobs that are made again and again.

use serde_json::{Value, json};

use super::common::spec_changed;
use super::job;
use super::pod;
use super::template::{self, CONTAINERS, IMAGES, SELECTOR};
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Subresource, Unheeded};
use crate::time;
use crate::validate::{cron, objectmeta};
use crate::value::{Read as _, existing, fill, object};

const SPEC: Path<'static> = Path::new("spec");
const TYPE: &str = "io.k8s.api.batch.v1.CronJob";
/// The names of its Jobs have eleven characters more.
const LONGEST_NAME: usize = 52;

pub(super) static CRON_JOBS: Resource = Resource {
    group: "batch",
    kind: "CronJob",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    categories: &["all"],
    subresources: &[Subresource::of_kind("status", "batch", "CronJob", TYPE)],
    type_name: TYPE,
    unheeded: Some(Unheeded::NO_CONTROLLER),
    columns: &[
        Column::NAME,
        Column::new("Schedule", "When its Jobs are made."),
        Column::new("Timezone", "The time zone of the schedule."),
        Column { type_: "boolean", ..Column::new("Suspend", "Whether no more Jobs are made.") },
        Column::new("Active", "How many Jobs are at work.").integer(),
        Column::new("Last Schedule", "How long ago the last Job was made."),
        Column::AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    rules: Rules {
        default,
        validate,
        validate_create: name,
        initial_status: Some(|_| json!({})),
        generation: Some(spec_changed),
        cells,
        named_after: template::POD_NAMES,
        warnings: |cron_job| {
            let (root, job) = (SPEC.child("jobTemplate"), &cron_job["spec"]["jobTemplate"]["spec"]);
            pod::template_warnings_at(&job["template"], &root.child("spec").child("template"))
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

fn default(cron_job: &mut Value) {
    let Some(spec) = object(cron_job, "spec") else { return };
    fill(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    if let Some(job) = existing(spec, "jobTemplate") {
        job::default_template(job);
    }
}

fn name(cron_job: &Value, errors: &mut Vec<FieldError>) {
    let name = meta::name(cron_job);
    if name.len() > LONGEST_NAME {
        let metadata = Path::new("metadata");
        let detail = format!("must be no more than {LONGEST_NAME} characters");
        errors.push(FieldError::invalid(&metadata.child("name"), name, detail));
    }
}

fn validate(cron_job: &Value, errors: &mut Vec<FieldError>) {
    let spec = &cron_job["spec"];
    schedule(spec, errors);
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        common::not_negative(spec, field, &SPEC, errors);
    }
    let path = SPEC.child("concurrencyPolicy");
    match spec.text("concurrencyPolicy") {
        "" => errors.push(FieldError::required(&path, "")),
        "Allow" | "Forbid" | "Replace" => {}
        other => errors.push(FieldError::not_supported(&path, other, &["Allow", "Forbid", "Replace"])),
    }
    job_template(&spec["jobTemplate"], &SPEC.child("jobTemplate"), errors);
}

fn schedule(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("schedule");
    let text = spec.text("schedule");
    if text.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        // The schedule is still read, without its time zone, so that all mistakes are told at once.
        if text.contains("TZ") {
            let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            errors.push(FieldError::invalid(&path, text, detail));
        }
        if let Err(error) = cron::parse(text) {
            errors.push(FieldError::invalid(&path, text, error.to_string()));
        }
    }
    let Some(zone) = spec["timeZone"].as_str() else { return };
    let path = SPEC.child("timeZone");
    if zone.is_empty() {
        errors.push(FieldError::invalid(&path, zone, "timeZone must be nil or non-empty string"));
    } else if zone.eq_ignore_ascii_case("local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.push(FieldError::invalid(&path, zone, detail));
    } else if !zone.split('/').all(is_zone_part) {
        errors.push(FieldError::invalid(&path, zone, format!("unknown time zone {zone}")));
    }
}

/// What may stand between the slashes of a time zone's name.
fn is_zone_part(part: &str) -> bool {
    let letters = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
    letters && (1..=14).contains(&part.len()) && !matches!(part, "." | "..") && !part.starts_with('-')
}

fn job_template(of: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let spec = at.child("spec");
    objectmeta::labels(&of["metadata"]["labels"], &at.child("labels"), errors);
    objectmeta::annotation_map(&of["metadata"]["annotations"], &at.child("annotations"), errors);
    job::validate_spec(&of["spec"], &spec, errors);
    if !of["spec"]["selector"].is_null() {
        let detail = "`selector` will be auto-generated";
        errors.push(FieldError::invalid(&spec.child("selector"), of["spec"]["selector"].clone(), detail));
    }
    if of["spec"].flag("manualSelector") {
        errors.push(FieldError::not_supported(&spec.child("manualSelector"), true, &["nil", "false"]));
    }
}

fn cells(cron_job: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let (spec, status) = (&cron_job["spec"], &cron_job["status"]);
    let job = &spec["jobTemplate"]["spec"];
    let [names, images] = print::containers(&job["template"]);
    let suspended = match spec["suspend"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    let last = &status["lastScheduleTime"];
    vec![
        meta::name(cron_job).into(),
        spec.text("schedule").into(),
        print::or_none(spec.text("timeZone")),
        suspended.into(),
        status.items("active").len().into(),
        if last.is_null() { print::NONE.into() } else { time::age(last, now).into() },
        print::age(cron_job, now),
        names,
        images,
        print::selector(&job["selector"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_room_for_their_jobs() {
        let mut errors = Vec::new();
        name(&json!({"metadata": {"name": "a".repeat(53)}}), &mut errors);
        assert!(errors[0].to_string().ends_with("must be no more than 52 characters"));
    }
}
