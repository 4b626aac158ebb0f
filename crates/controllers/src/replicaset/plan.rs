//! How many pods are missing or too many, which go, and what the status says. Pure.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::{OwnerReference, Time},
    jiff::Timestamp,
};
use kube::ResourceExt as _;

use crate::{ownership::matches, pods};

/// At most so many pods are made or deleted for one look at a set.
const BURST: usize = 500;

/// What is to be done about the pods of a set.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    Nothing,
    Create(usize),
    Delete(Vec<Arc<Pod>>),
}

/// Compares the pods of a set with what it asks.
pub(crate) fn change(set: &ReplicaSet, owned: &[Arc<Pod>]) -> Change {
    if set.metadata.deletion_timestamp.is_some() {
        return Change::Nothing;
    }
    let mut active: Vec<_> = owned.iter().filter(|pod| pods::is_active(pod)).cloned().collect();
    let wanted = wanted(set);
    if active.len() < wanted {
        return Change::Create((wanted - active.len()).min(BURST));
    }
    let surplus = (active.len() - wanted).min(BURST);
    if surplus == 0 {
        return Change::Nothing;
    }
    active.sort_by_key(|pod| pods::removal_rank(pod));
    active.truncate(surplus);
    Change::Delete(active)
}

fn wanted(set: &ReplicaSet) -> usize {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    usize::try_from(replicas).unwrap_or(0)
}

/// The status of a set, and when it changes by itself (a pod becomes available).
pub(crate) fn status(
    set: &ReplicaSet,
    owned: &[Arc<Pod>],
    failure: Option<String>,
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Timestamp>) {
    let spec = set.spec.clone().unwrap_or_default();
    let min_ready = spec.min_ready_seconds.unwrap_or_default();
    let template_labels =
        spec.template.and_then(|template| template.metadata).and_then(|meta| meta.labels).unwrap_or_default();
    let labelled = k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
        match_labels: Some(template_labels),
        ..Default::default()
    };
    let active: Vec<_> = owned.iter().filter(|pod| pods::is_active(pod)).collect();
    let terminating = owned.iter().filter(|pod| !pods::is_finished(pod) && pod.metadata.deletion_timestamp.is_some());
    let available: Vec<_> = active.iter().filter_map(|pod| pods::available_at(pod, min_ready)).collect();
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let status = ReplicaSetStatus {
        replicas: count(active.len()),
        fully_labeled_replicas: Some(count(active.iter().filter(|pod| matches(&labelled, pod.labels())).count())),
        ready_replicas: Some(count(active.iter().filter(|pod| pods::is_ready(pod)).count())),
        available_replicas: Some(count(available.iter().filter(|at| **at <= now).count())),
        terminating_replicas: Some(count(terminating.count())),
        observed_generation: set.metadata.generation,
        conditions: conditions(set, failure, now),
    };
    (status, available.into_iter().filter(|at| *at > now).min())
}

fn conditions(set: &ReplicaSet, failure: Option<String>, now: Timestamp) -> Option<Vec<ReplicaSetCondition>> {
    let held = set.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let mut kept: Vec<_> = held.iter().filter(|condition| condition.type_ != "ReplicaFailure").cloned().collect();
    if let Some(message) = failure {
        let since = held.iter().find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
        kept.push(ReplicaSetCondition {
            type_: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            reason: Some("FailedCreate".to_owned()),
            message: Some(message),
            last_transition_time: Some(since.and_then(|one| one.last_transition_time.clone()).unwrap_or(Time(now))),
        });
    }
    (!kept.is_empty()).then_some(kept)
}

/// The pod of a set, by its template, for the set's `owner` to own.
pub(crate) fn pod(set: &ReplicaSet, owner: OwnerReference) -> Pod {
    let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    let prefix = set.name_any();
    Pod {
        metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
            generate_name: Some(format!("{prefix}-")),
            namespace: set.namespace(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![owner]),
            ..Default::default()
        },
        spec: template.spec,
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(replicas: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "d", "uid": "u", "generation": 3},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}, "minReadySeconds": 10,
                     "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}}
        }))
        .unwrap()
    }

    fn pod_at(name: &str, phase: &str, ready: Option<&str>, going: bool) -> Arc<Pod> {
        let conditions: Vec<_> =
            ready.into_iter().map(|at| json!({"type": "Ready", "status": "True", "lastTransitionTime": at})).collect();
        let mut value = json!({
            "metadata": {"name": name, "labels": {"app": "a"}},
            "spec": {"nodeName": "n", "containers": []}, "status": {"phase": phase, "conditions": conditions}
        });
        if going {
            value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn pods_that_go_or_are_finished_do_not_count() {
        let pods = [
            pod_at("a", "Running", None, true),
            pod_at("b", "Failed", None, false),
            pod_at("c", "Running", None, false),
        ];
        assert_eq!(change(&set(3), &pods), Change::Create(2));
        assert_eq!(change(&set(1), &pods), Change::Nothing);
    }

    #[test]
    fn the_least_useful_pods_go_first() {
        let ready = pod_at("ready", "Running", Some("2026-01-01T00:00:00Z"), false);
        let young = pod_at("young", "Running", Some("2026-01-01T00:01:00Z"), false);
        let pending = pod_at("pending", "Pending", None, false);
        let all = [ready, Arc::clone(&young), Arc::clone(&pending)];
        assert_eq!(change(&set(1), &all), Change::Delete(vec![pending, young]));
    }

    #[test]
    fn a_pod_becomes_available_after_min_ready_seconds() {
        let pods = [pod_at("a", "Running", Some("2026-01-01T00:00:00Z"), false)];
        let now: Timestamp = "2026-01-01T00:00:04Z".parse().unwrap();
        let (status, wake) = status(&set(1), &pods, None, now);
        assert_eq!((status.ready_replicas, status.available_replicas), (Some(1), Some(0)));
        assert_eq!(wake, Some("2026-01-01T00:00:10Z".parse().unwrap()));
    }
}
