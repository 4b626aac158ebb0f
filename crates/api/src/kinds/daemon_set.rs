//! DaemonSet: a pod on every node.

use serde_json::{Value, json};

use super::template::{self, CONTAINERS, IMAGES, SELECTOR, count};
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::print;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::value::{Read as _, fill, object};

const SPEC: Path<'static> = Path::new("spec");
const TYPE: &str = "io.k8s.api.apps.v1.DaemonSet";
/// How many templates the set has had; older clients read it.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

pub(super) static DAEMON_SETS: Resource = Resource {
    kind: "DaemonSet",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    subresources: &[Subresource::of_kind("status", "apps", "DaemonSet", TYPE)],
    type_name: TYPE,
    unheeded: Some(Unheeded::NO_CONTROLLER),
    columns: &[
        Column::NAME,
        Column::new("Desired", "How many nodes should run its pod.").integer(),
        Column::new("Current", "How many nodes run its pod.").integer(),
        Column::new("Ready", "How many pods are ready.").integer(),
        Column::new("Up-to-date", "How many pods are of the newest template.").integer(),
        Column::new("Available", "How many pods have been ready for long enough.").integer(),
        Column::new("Node Selector", "The labels of the nodes."),
        Column::AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ],
    rules: Rules {
        default,
        validate,
        validate_update: template::same_selector,
        parts: &[("status", PartRules::status(validate_status))],
        initial_status: Some(|_| {
            json!({
                "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
            })
        }),
        prepare_create: |set| meta::set_annotation(set, TEMPLATE_GENERATION, Some("1")),
        prepare_update,
        cells,
        ..template::RULES
    },
    ..template::WORKLOAD
};

fn default(set: &mut Value) {
    let Some(spec) = object(set, "spec") else { return };
    template::default(spec);
    if let Some(strategy) = object(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        if strategy.text("type") == "RollingUpdate"
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", 1);
            fill(rolling, "maxSurge", 0);
        }
    }
    fill(spec, "revisionHistoryLimit", 10);
}

fn prepare_update(set: &mut Value, old: &Value) {
    let before: i64 = meta::annotation(old, TEMPLATE_GENERATION).and_then(|n| n.parse().ok()).unwrap_or(1);
    let changed = set["spec"]["template"] != old["spec"]["template"];
    let now = if changed { before.saturating_add(1) } else { before };
    meta::set_annotation(set, TEMPLATE_GENERATION, Some(&now.to_string()));
}

fn validate(set: &Value, errors: &mut Vec<FieldError>) {
    let spec = &set["spec"];
    let path = SPEC.child("template");
    let selector = template::required_selector(spec, "daemonset", &SPEC, errors);
    template::matches(selector.as_ref(), &spec["template"], &path, errors);
    template::check(&spec["template"], &path, errors);
    template::always(&spec["template"], "DaemonSet", &path, errors);
    common::not_negative(spec, "minReadySeconds", &SPEC, errors);
    strategy(&spec["updateStrategy"], errors);
    common::not_negative(spec, "revisionHistoryLimit", &SPEC, errors);
}

fn strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("updateStrategy");
    let rolling = path.child("rollingUpdate");
    let update = &strategy["rollingUpdate"];
    match strategy.text("type") {
        "OnDelete" => {}
        "RollingUpdate" if update.is_null() => errors.push(FieldError::required(&rolling, "")),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.child("maxUnavailable"), rolling.child("maxSurge"));
            for (field, at) in [("maxUnavailable", &unavailable), ("maxSurge", &surge)] {
                template::share(&update[field], at, errors);
                template::at_most_all(&update[field], at, errors);
            }
            match (template::is_none(&update["maxUnavailable"]), template::is_none(&update["maxSurge"])) {
                (true, true) => errors.push(FieldError::required(&unavailable, "cannot be 0 when maxSurge is 0")),
                (false, false) => {
                    let detail = "may not be set when maxUnavailable is non-zero";
                    errors.push(FieldError::invalid(&surge, update["maxSurge"].clone(), detail));
                }
                _ => {}
            }
        }
        other => {
            errors.push(FieldError::not_supported(&path.child("type"), other, &["RollingUpdate", "OnDelete"]));
        }
    }
}

fn validate_status(new: &Value, _: &Value, errors: &mut Vec<FieldError>) {
    let fields = [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    ];
    template::counts(&new["status"], &fields, None, errors);
}

fn cells(set: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let (spec, status) = (&set["spec"], &set["status"]);
    let [names, images] = print::containers(&spec["template"]);
    vec![
        meta::name(set).into(),
        count(status, "desiredNumberScheduled").into(),
        count(status, "currentNumberScheduled").into(),
        count(status, "numberReady").into(),
        count(status, "updatedNumberScheduled").into(),
        count(status, "numberAvailable").into(),
        print::labels(&spec["template"]["spec"]["nodeSelector"]),
        print::age(set, now),
        names,
        images,
        print::selector(&spec["selector"]),
    ]
}
