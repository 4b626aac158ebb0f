//! What must hold for a Deployment, a ReplicaSet or a ReplicationController.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::kinds::template;
use crate::selector::LabelSelector;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");

pub(super) fn replica_set(set: &Value, errors: &mut Vec<FieldError>) {
    common(&set["spec"], "ReplicaSet", errors);
}

pub(super) fn deployment(deployment: &Value, errors: &mut Vec<FieldError>) {
    let spec = &deployment["spec"];
    common(spec, "Deployment", errors);
    strategy(&spec["strategy"], errors);
    common::not_negative(spec, "revisionHistoryLimit", &SPEC, errors);
    common::not_negative(spec, "progressDeadlineSeconds", &SPEC, errors);
    if let Some(seconds) = spec.int("progressDeadlineSeconds")
        && seconds <= spec.int("minReadySeconds").unwrap_or_default()
    {
        let detail = "must be greater than minReadySeconds";
        errors.push(FieldError::invalid(&SPEC.child("progressDeadlineSeconds"), seconds, detail));
    }
}

fn common(spec: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    common::not_negative(spec, "replicas", &SPEC, errors);
    let selector = template::required_selector(spec, "deployment", &SPEC, errors);
    common::not_negative(spec, "minReadySeconds", &SPEC, errors);
    of_pods(&spec["template"], kind, selector.as_ref(), kind == "ReplicaSet", errors);
}

fn of_pods(of: &Value, kind: &str, selector: Option<&LabelSelector>, required: bool, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("template");
    if of.is_null() && required {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    template::matches(selector, of, &path, errors);
    template::check(of, &path, errors);
    template::always(of, kind, &path, errors);
}

pub(super) fn replication_controller(controller: &Value, errors: &mut Vec<FieldError>) {
    let spec = &controller["spec"];
    common::not_negative(spec, "minReadySeconds", &SPEC, errors);
    if !spec.has("selector") {
        errors.push(FieldError::required(&SPEC.child("selector"), ""));
    }
    common::not_negative(spec, "replicas", &SPEC, errors);
    let selector = LabelSelector::from_labels(&spec["selector"]).ok();
    of_pods(&spec["template"], "ReplicationController", selector.as_ref(), true, errors);
}

pub(super) fn status(new: &Value, _: &Value, errors: &mut Vec<FieldError>) {
    let fields = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
    template::counts(&new["status"], &fields, Some("replicas"), errors);
    common::not_negative(&new["status"], "observedGeneration", &Path::new("status"), errors);
}

pub(super) fn deployment_status(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let at = Path::new("status");
    let (status, before) = (&new["status"], &old["status"]);
    let fields = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
    template::counts(status, &fields, Some("replicas"), errors);
    for field in ["observedGeneration", "unavailableReplicas", "collisionCount"] {
        common::not_negative(status, field, &at, errors);
    }
    if template::count(status, "collisionCount") < template::count(before, "collisionCount") {
        let value = template::count(status, "collisionCount");
        errors.push(FieldError::invalid(&at.child("collisionCount"), value, "cannot be decremented"));
    }
}

fn strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("strategy");
    let rolling = path.child("rollingUpdate");
    match strategy.text("type") {
        "Recreate" if !strategy["rollingUpdate"].is_null() => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden(&rolling, detail));
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let update = &strategy["rollingUpdate"];
            for field in ["maxUnavailable", "maxSurge"] {
                template::share(&update[field], &rolling.child(field), errors);
            }
            if template::is_none(&update["maxUnavailable"]) && template::is_none(&update["maxSurge"]) {
                let detail = "may not be 0 when `maxSurge` is 0";
                let value = update["maxUnavailable"].clone();
                errors.push(FieldError::invalid(&rolling.child("maxUnavailable"), value, detail));
            }
            template::at_most_all(&update["maxUnavailable"], &rolling.child("maxUnavailable"), errors);
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["Recreate", "RollingUpdate"])),
    }
}
