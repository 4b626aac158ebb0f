//! What a Deployment or a ReplicaSet does not say.

use serde_json::Value;

use crate::kinds::pod;
use crate::value::{Read as _, existing, fill, object};

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
    template(spec);
}

pub(super) fn replica_set(set: &mut Value) {
    let Some(spec) = object(set, "spec") else { return };
    fill(spec, "replicas", 1);
    template(spec);
}

fn template(spec: &mut Value) {
    if let Some(template) = existing(spec, "template")
        && let Some(spec) = object(template, "spec")
    {
        pod::default_spec(spec);
    }
}
