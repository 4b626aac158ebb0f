//! StatefulSet, and ControllerRevision: pods with a name and a volume of their own, and the history
//! of a template.

use serde_json::{Value, json};

use super::template::{self, CONTAINERS, IMAGES, count};
use super::volume;
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::print;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::validate::names;
use crate::value::{Read as _, fill, items_mut, object, put, take};

const SPEC: Path<'static> = Path::new("spec");
const TYPE: &str = "io.k8s.api.apps.v1.StatefulSet";
/// What may change in a spec.
const MAY_CHANGE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(super) static STATEFUL_SETS: Resource = Resource {
    kind: "StatefulSet",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
    subresources: &[Subresource::SCALE, Subresource::of_kind("status", "apps", "StatefulSet", TYPE)],
    type_name: TYPE,
    unheeded: Some(Unheeded::NO_CONTROLLER),
    columns: &[
        Column::NAME,
        Column::new("Ready", "How many pods are ready, of how many."),
        Column::AGE,
        CONTAINERS,
        IMAGES,
    ],
    rules: Rules {
        default,
        validate,
        name: names::label_name,
        validate_update,
        parts: &[("status", PartRules::status(validate_status))],
        initial_status: Some(|_| json!({"replicas": 0, "availableReplicas": 0})),
        cells: |set, now| {
            let (spec, status) = (&set["spec"], &set["status"]);
            let [names, images] = print::containers(&spec["template"]);
            let ready = format!("{}/{}", count(status, "readyReplicas"), count(spec, "replicas"));
            vec![meta::name(set).into(), ready.into(), print::age(set, now), names, images]
        },
        ..template::RULES
    },
    ..template::WORKLOAD
};

pub(super) static CONTROLLER_REVISIONS: Resource = Resource {
    group: "apps",
    kind: "ControllerRevision",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    type_name: "io.k8s.api.apps.v1.ControllerRevision",
    columns: &[
        Column::NAME,
        Column::new("Controller", "What it is a state of."),
        Column::new("Revision", "Which state it is."),
        Column::AGE,
    ],
    rules: Rules {
        validate: |revision, errors| {
            if revision["data"].is_null() {
                errors.push(FieldError::required(&Path::new("data"), "data is mandatory"));
            }
            if let Some(number) = revision.int("revision").filter(|n| *n < 0) {
                let detail = common::NOT_NEGATIVE;
                errors.push(FieldError::invalid(&Path::new("revision"), number, detail));
            }
        },
        validate_update: |new, old, errors| {
            if new["data"] != old["data"] {
                errors.push(FieldError::invalid(&Path::new("data"), new["data"].clone(), common::IMMUTABLE));
            }
        },
        cells: |revision, now| {
            vec![
                meta::name(revision).into(),
                print::or_none(&meta::controller(revision).map(owner).unwrap_or_default()),
                count(revision, "revision").into(),
                print::age(revision, now),
            ]
        },
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

/// `daemonset.apps/name`
fn owner(reference: &Value) -> String {
    let kind = reference.text("kind").to_lowercase();
    match reference.text("apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", reference.text("name")),
        None => format!("{kind}/{}", reference.text("name")),
    }
}

fn default(set: &mut Value) {
    let Some(spec) = object(set, "spec") else { return };
    template::default(spec);
    fill(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = object(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        if strategy.text("type") == "RollingUpdate"
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            fill(rolling, "partition", 0);
        }
    }
    if let Some(policy) = object(spec, "persistentVolumeClaimRetentionPolicy") {
        fill(policy, "whenDeleted", "Retain");
        fill(policy, "whenScaled", "Retain");
    }
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    for claim in items_mut(spec, "volumeClaimTemplates") {
        put(claim, "apiVersion", "v1");
        put(claim, "kind", "PersistentVolumeClaim");
        volume::default_claim(claim);
        if let Some(status) = object(claim, "status") {
            fill(status, "phase", "Pending");
        }
    }
}

fn validate(set: &Value, errors: &mut Vec<FieldError>) {
    let spec = &set["spec"];
    let path = SPEC.child("template");
    match spec.text("podManagementPolicy") {
        "" => errors.push(FieldError::required(&SPEC.child("podManagementPolicy"), "")),
        "OrderedReady" | "Parallel" => {}
        other => {
            let detail = "must be 'OrderedReady' or 'Parallel'";
            errors.push(FieldError::invalid(&SPEC.child("podManagementPolicy"), other, detail));
        }
    }
    strategy(&spec["updateStrategy"], errors);
    retention(&spec["persistentVolumeClaimRetentionPolicy"], errors);
    common::not_negative(spec, "replicas", &SPEC, errors);
    common::not_negative(spec, "minReadySeconds", &SPEC, errors);
    common::not_negative(&spec["ordinals"], "start", &SPEC.child("ordinals"), errors);
    let selector = template::required_selector(spec, "statefulset", &SPEC, errors);
    template::matches(selector.as_ref(), &spec["template"], &path, errors);
    template::metadata(&spec["template"], &path, errors);
    template::always(&spec["template"], "StatefulSet", &path, errors);
}

fn strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("updateStrategy");
    let rolling = path.child("rollingUpdate");
    let update = &strategy["rollingUpdate"];
    match strategy.text("type") {
        "" => errors.push(FieldError::required(&path, "")),
        "OnDelete" if !update.is_null() => {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            errors.push(FieldError::invalid(&rolling, update.clone(), detail));
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            common::not_negative(update, "partition", &rolling, errors);
            if !update["maxUnavailable"].is_null() {
                let at = rolling.child("maxUnavailable");
                template::share(&update["maxUnavailable"], &at, errors);
                if template::is_none(&update["maxUnavailable"]) {
                    errors.push(FieldError::invalid(&at, update["maxUnavailable"].clone(), "cannot be 0"));
                }
                template::at_most_all(&update["maxUnavailable"], &at, errors);
            }
        }
        _ => {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            errors.push(FieldError::invalid(&path, strategy.clone(), detail));
        }
    }
}

fn retention(policy: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("persistentVolumeClaimRetentionPolicy");
    for field in ["whenDeleted", "whenScaled"] {
        match policy.text(field) {
            "Retain" | "Delete" => {}
            other if policy.is_object() => {
                errors.push(FieldError::not_supported(&path.child(field), other, &["Retain", "Delete"]));
            }
            _ => {}
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |set: &Value| {
        let mut spec = set["spec"].clone();
        for field in MAY_CHANGE {
            take(&mut spec, field);
        }
        spec
    };
    if fixed(new) != fixed(old) {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                      'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                      'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden(&SPEC, detail));
    }
}

fn validate_status(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let at = Path::new("status");
    let (status, before) = (&new["status"], &old["status"]);
    let fields = ["replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"];
    template::counts(status, &fields, Some("replicas"), errors);
    common::not_negative(status, "observedGeneration", &at, errors);
    common::not_negative(status, "collisionCount", &at, errors);
    if count(status, "availableReplicas") > count(status, "readyReplicas") {
        let value = count(status, "availableReplicas");
        let detail = "cannot be greater than status.readyReplicas";
        errors.push(FieldError::invalid(&at.child("availableReplicas"), value, detail));
    }
    if count(status, "collisionCount") < count(before, "collisionCount") {
        let value = count(status, "collisionCount");
        errors.push(FieldError::invalid(&at.child("collisionCount"), value, "cannot be decremented"));
    }
}
