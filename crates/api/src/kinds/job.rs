//! Job: pods that are to end well, so many of them.

mod default;
mod indexes;
mod status;
mod update;
mod validate;

use serde_json::{Value, json};

use super::template::{self, CONTAINERS, IMAGES, SELECTOR, count};
use crate::meta;
use crate::print;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::time;
use crate::value::Read as _;

pub(super) use default::template as default_template;
pub(super) use validate::spec as validate_spec;

const TYPE: &str = "io.k8s.api.batch.v1.Job";

pub(super) static JOBS: Resource = Resource {
    group: "batch",
    kind: "Job",
    plural: "jobs",
    singular: "job",
    subresources: &[Subresource::of_kind("status", "batch", "Job", TYPE)],
    type_name: TYPE,
    unheeded: Some(Unheeded::NO_CONTROLLER),
    columns: &[
        Column::NAME,
        Column::new("Status", "How it stands."),
        Column::new("Completions", "How many pods ended well, of how many."),
        Column::new("Duration", "How long it took, or takes so far."),
        Column::AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    rules: Rules {
        default: default::job,
        validate: validate::job,
        validate_update: update::validate,
        parts: &[("status", PartRules::status(status::validate))],
        initial_status: Some(|_| json!({})),
        prepare_create: default::select,
        fields: &[("status.successful", "/status/succeeded")],
        cells,
        keeps_dependents: true,
        named_after: template::POD_NAMES,
        ..template::RULES
    },
    ..template::WORKLOAD
};

fn cells(job: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let (spec, status) = (&job["spec"], &job["status"]);
    let [names, images] = print::containers(&spec["template"]);
    let done = count(status, "succeeded");
    let completions = match (spec.int("completions"), count(spec, "parallelism")) {
        (Some(all), _) => format!("{done}/{all}"),
        (None, parallel) if parallel > 1 => format!("{done}/1 of {parallel}"),
        _ => format!("{done}/1"),
    };
    vec![
        meta::name(job).into(),
        state(job).into(),
        completions.into(),
        duration(status, now).into(),
        print::age(job, now),
        names,
        images,
        print::selector(&spec["selector"]),
    ]
}

fn state(job: &Value) -> &'static str {
    const STATES: [(&str, &str); 5] = [
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("", "Terminating"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
    ];
    let has = |wanted: &str| {
        let conditions = job["status"].items("conditions");
        conditions.iter().any(|c| c.text("type") == wanted && c.text("status") == "True")
    };
    let found = STATES.iter().find(|(condition, _)| match *condition {
        "" => meta::deletion_timestamp(job).is_some(),
        condition => has(condition),
    });
    match found {
        Some((_, state)) => state,
        None if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        None => "Running",
    }
}

fn duration(status: &Value, now: jiff::Timestamp) -> String {
    let at = |field: &str| status[field].as_str().and_then(time::parse);
    let Some(start) = at("startTime") else { return String::new() };
    time::human_duration(at("completionTime").unwrap_or(now).duration_since(start).as_secs())
}
