//! What a Deployment, a ReplicaSet or a ReplicationController does not say.

use serde_json::Value;

use crate::kinds::template;
use crate::value::{Read as _, fill, object, put};

pub(super) fn deployment(deployment: &mut Value) {
    let Some(spec) = object(deployment, "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    if let Some(strategy) = object(spec, "strategy") {
        fill(strategy, "type", "RollingUpdate");
        if strategy.text("type") == "RollingUpdate"
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", "25%");
            fill(rolling, "maxSurge", "25%");
        }
    }
    template::default(spec);
}

pub(super) fn replica_set(set: &mut Value) {
    let Some(spec) = object(set, "spec") else { return };
    fill(spec, "replicas", 1);
    template::default(spec);
}

pub(super) fn replication_controller(controller: &mut Value) {
    let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() && !controller["metadata"].has("labels") {
        crate::meta::set(controller, "labels", labels.clone());
    }
    let Some(spec) = object(controller, "spec") else { return };
    if labels.is_object() && !spec.has("selector") {
        put(spec, "selector", labels);
    }
    fill(spec, "replicas", 1);
    template::default(spec);
}
