//! The two kinds that ask for so many pods of a template, as the one that everything is planned for.

use std::borrow::Cow;

use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus},
        core::v1::{ReplicationController, ReplicationControllerStatus},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{Resource, core::NamespaceResourceScope};
use skiff_client::Watched;

/// A kind that asks for so many pods of a template.
pub(super) trait Replicated: Watched + Resource<Scope = NamespaceResourceScope> {
    /// Who says so in Events.
    const COMPONENT: &'static str;

    /// What it asks for, as a ReplicaSet.
    fn set(&self) -> Cow<'_, ReplicaSet>;

    /// What of a ReplicaSet's status the kind has.
    fn shown(status: ReplicaSetStatus) -> ReplicaSetStatus {
        status
    }
}

impl Replicated for ReplicaSet {
    const COMPONENT: &'static str = "replicaset-controller";

    fn set(&self) -> Cow<'_, ReplicaSet> {
        Cow::Borrowed(self)
    }
}

impl Replicated for ReplicationController {
    const COMPONENT: &'static str = "replication-controller";

    fn set(&self) -> Cow<'_, ReplicaSet> {
        let spec = self.spec.as_ref().map(|spec| ReplicaSetSpec {
            min_ready_seconds: spec.min_ready_seconds,
            replicas: spec.replicas,
            selector: LabelSelector { match_labels: spec.selector.clone(), match_expressions: None },
            template: spec.template.clone(),
        });
        Cow::Owned(ReplicaSet { metadata: self.metadata.clone(), spec, status: self.status.as_ref().map(status) })
    }

    fn shown(status: ReplicaSetStatus) -> ReplicaSetStatus {
        ReplicaSetStatus { terminating_replicas: None, ..status }
    }
}

fn status(of: &ReplicationControllerStatus) -> ReplicaSetStatus {
    let conditions = of.conditions.iter().flatten().map(|one| ReplicaSetCondition {
        last_transition_time: one.last_transition_time.clone(),
        message: one.message.clone(),
        reason: one.reason.clone(),
        status: one.status.clone(),
        type_: one.type_.clone(),
    });
    ReplicaSetStatus {
        available_replicas: of.available_replicas,
        conditions: of.conditions.is_some().then(|| conditions.collect()),
        fully_labeled_replicas: of.fully_labeled_replicas,
        observed_generation: of.observed_generation,
        ready_replicas: of.ready_replicas,
        replicas: of.replicas,
        terminating_replicas: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_replication_controller_asks_for_what_a_set_asks_for() {
        let own: ReplicationController = serde_json::from_value(json!({
            "metadata": {"name": "web", "uid": "u"},
            "spec": {"replicas": 2, "minReadySeconds": 3, "selector": {"app": "a"},
                     "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}},
            "status": {"replicas": 1, "observedGeneration": 4,
                       "conditions": [{"type": "ReplicaFailure", "status": "True"}]},
        }))
        .unwrap();
        let set: ReplicaSet = serde_json::from_value(json!({
            "metadata": {"name": "web", "uid": "u"},
            "spec": {"replicas": 2, "minReadySeconds": 3, "selector": {"matchLabels": {"app": "a"}},
                     "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}},
            "status": {"replicas": 1, "observedGeneration": 4,
                       "conditions": [{"type": "ReplicaFailure", "status": "True"}]},
        }))
        .unwrap();
        assert_eq!(own.set().as_ref(), &set);
    }
}
