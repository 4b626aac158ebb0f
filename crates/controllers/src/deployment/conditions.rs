//! A Deployment's status: counts, and the conditions Available, Progressing and ReplicaFailure. Pure.

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use kube::ResourceExt as _;

use super::plan;

/// What happened to the newest set in this look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newest {
    /// It had to be made.
    Created,
    /// It was there.
    Found,
}

/// The status as it should be, and when the progress deadline will have to be looked at.
pub(crate) fn status(
    deployment: &Deployment,
    new: Option<&ReplicaSet>,
    old: &[ReplicaSet],
    newest: Newest,
    now: Timestamp,
) -> (DeploymentStatus, Option<Timestamp>) {
    let all: Vec<&ReplicaSet> = new.into_iter().chain(old).collect();
    let sum = |count: fn(&ReplicaSet) -> i32| all.iter().map(|set| count(set)).sum::<i32>();
    let held = deployment.status.clone().unwrap_or_default();
    let available = sum(plan::available);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: Some(sum(running)),
        updated_replicas: Some(new.map_or(0, running)),
        ready_replicas: Some(sum(ready)),
        available_replicas: Some(available),
        unavailable_replicas: Some((all.iter().map(|set| plan::size(set)).sum::<i32>() - available).max(0)),
        terminating_replicas: Some(sum(terminating)),
        collision_count: held.collision_count,
        conditions: held.conditions.clone(),
    };
    let mut conditions = Conditions { all: held.conditions.unwrap_or_default(), now };
    conditions.set_available(deployment, available);
    conditions.set_failure(new);
    let deadline = conditions.set_progress(deployment, new, &status, deployment.status.as_ref(), newest);
    status.conditions = (!conditions.all.is_empty()).then_some(conditions.all);
    (status, deadline)
}

fn running(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

fn ready(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default()
}

fn terminating(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.terminating_replicas).unwrap_or_default()
}

/// Whether everything asked for runs, is new, and is available.
pub(crate) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = Some(plan::wanted(deployment));
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.metadata.generation
}

fn advanced(status: &DeploymentStatus, was: Option<&DeploymentStatus>) -> bool {
    let Some(was) = was else { return true };
    let old =
        |status: &DeploymentStatus| status.replicas.unwrap_or_default() - status.updated_replicas.unwrap_or_default();
    status.updated_replicas > was.updated_replicas
        || old(status) < old(was)
        || status.ready_replicas > was.ready_replicas
        || status.available_replicas > was.available_replicas
}

struct Conditions {
    all: Vec<DeploymentCondition>,
    now: Timestamp,
}

impl Conditions {
    fn get(&self, type_: &str) -> Option<&DeploymentCondition> {
        self.all.iter().find(|condition| condition.type_ == type_)
    }

    /// Sets a condition; the transition time moves only with the status.
    fn set(&mut self, type_: &str, status: bool, reason: &str, message: String) {
        let status = if status { "True" } else { "False" };
        let held = self.get(type_).cloned();
        if held.as_ref().is_some_and(|held| held.status == status && held.reason.as_deref() == Some(reason)) {
            return;
        }
        let since = held.filter(|held| held.status == status).and_then(|held| held.last_transition_time);
        self.all.retain(|condition| condition.type_ != type_);
        self.all.push(DeploymentCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_update_time: Some(Time(self.now)),
            last_transition_time: Some(since.unwrap_or(Time(self.now))),
        });
    }

    fn set_available(&mut self, deployment: &Deployment, available: i32) {
        if available >= plan::wanted(deployment) - plan::limits(deployment).unavailable {
            let message = "Deployment has minimum availability.".to_owned();
            self.set("Available", true, "MinimumReplicasAvailable", message);
        } else {
            let message = "Deployment does not have minimum availability.".to_owned();
            self.set("Available", false, "MinimumReplicasUnavailable", message);
        }
    }

    fn set_failure(&mut self, new: Option<&ReplicaSet>) {
        let mut of_set = new.and_then(|set| set.status.as_ref()?.conditions.as_ref()).into_iter().flatten();
        let failure = of_set.rfind(|one| one.type_ == "ReplicaFailure" && one.status == "True");
        match failure.cloned() {
            Some(failure) => {
                let reason = failure.reason.unwrap_or_default();
                self.set("ReplicaFailure", true, &reason, failure.message.unwrap_or_default());
            }
            None => self.all.retain(|condition| condition.type_ != "ReplicaFailure"),
        }
    }

    /// Returns when the deadline passes, while it is counting.
    fn set_progress(
        &mut self,
        deployment: &Deployment,
        new: Option<&ReplicaSet>,
        status: &DeploymentStatus,
        was: Option<&DeploymentStatus>,
        newest: Newest,
    ) -> Option<Timestamp> {
        let spec = deployment.spec.as_ref()?;
        let set = new.map_or_else(|| deployment.name_any(), |set| set.name_any());
        let reason = self.get("Progressing").and_then(|held| held.reason.clone());
        if spec.paused == Some(true) {
            self.set("Progressing", true, "DeploymentPaused", "Deployment is paused".to_owned());
            self.all
                .iter_mut()
                .filter(|one| one.type_ == "Progressing")
                .for_each(|one| one.status = "Unknown".to_owned());
            return None;
        }
        if reason.as_deref() == Some("DeploymentPaused") {
            self.all.retain(|one| one.type_ != "Progressing");
            self.set("Progressing", true, "DeploymentResumed", "Deployment is resumed".to_owned());
        }
        if is_complete(deployment, status) {
            let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
            self.set("Progressing", true, "NewReplicaSetAvailable", message);
            return None;
        }
        if newest == Newest::Created {
            self.set("Progressing", true, "NewReplicaSetCreated", format!("Created new replica set \"{set}\""));
        } else if reason.is_none() {
            self.set("Progressing", true, "FoundNewReplicaSet", format!("Found new replica set \"{set}\""));
        } else if advanced(status, was) {
            self.touch(format!("ReplicaSet \"{set}\" is progressing."));
        }
        self.check_deadline(spec.progress_deadline_seconds.unwrap_or(600), &set)
    }

    /// Progress was made: the deadline counts from now on.
    fn touch(&mut self, message: String) {
        self.set("Progressing", true, "ReplicaSetUpdated", message);
        let now = Time(self.now);
        self.all
            .iter_mut()
            .filter(|one| one.type_ == "Progressing")
            .for_each(|one| one.last_update_time = Some(now.clone()));
    }

    fn check_deadline(&mut self, seconds: i32, set: &str) -> Option<Timestamp> {
        let held = self.get("Progressing")?;
        if seconds == i32::MAX
            || matches!(held.reason.as_deref(), Some("ProgressDeadlineExceeded" | "NewReplicaSetAvailable"))
        {
            return None;
        }
        let since = held.last_update_time.as_ref()?.0;
        let deadline = since.checked_add(SignedDuration::from_secs(seconds.into())).ok()?;
        if self.now < deadline {
            return Some(deadline);
        }
        self.set(
            "Progressing",
            false,
            "ProgressDeadlineExceeded",
            format!("ReplicaSet \"{set}\" has timed out progressing."),
        );
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: serde_json::Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": 2, "progressDeadlineSeconds": 10, "selector": {}, "template": {}}, "status": status
        }))
        .unwrap()
    }

    fn set(size: i32, available: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": "web-1"}, "spec": {"replicas": size, "selector": {}},
            "status": {"replicas": size, "readyReplicas": available, "availableReplicas": available}
        }))
        .unwrap()
    }

    fn reasons(status: &DeploymentStatus) -> Vec<(String, String)> {
        let conditions = status.conditions.iter().flatten();
        conditions.map(|one| (one.status.clone(), one.reason.clone().unwrap_or_default())).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn a_rollout_goes_from_created_to_available() {
        let (first, deadline) = status(&deployment(json!({})), Some(&set(2, 0)), &[], Newest::Created, at(0));
        assert_eq!(deadline, Some(at(10)));
        assert!(reasons(&first).contains(&("True".into(), "NewReplicaSetCreated".into())));
        assert!(reasons(&first).contains(&("False".into(), "MinimumReplicasUnavailable".into())));
        let next = deployment(json!(first));
        let (done, deadline) = status(&next, Some(&set(2, 2)), &[], Newest::Found, at(1));
        assert_eq!(deadline, None);
        assert!(reasons(&done).contains(&("True".into(), "NewReplicaSetAvailable".into())));
        assert!(reasons(&done).contains(&("True".into(), "MinimumReplicasAvailable".into())));
    }

    #[test]
    fn a_rollout_that_stands_still_exceeds_its_deadline() {
        let (first, _) = status(&deployment(json!({})), Some(&set(2, 0)), &[], Newest::Created, at(0));
        let (late, _) = status(&deployment(json!(first)), Some(&set(2, 0)), &[], Newest::Found, at(11));
        assert!(reasons(&late).contains(&("False".into(), "ProgressDeadlineExceeded".into())));
    }

    #[test]
    fn nothing_changes_without_a_cause() {
        let (first, _) = status(&deployment(json!({})), Some(&set(2, 1)), &[], Newest::Created, at(0));
        let (second, _) = status(&deployment(json!(first)), Some(&set(2, 1)), &[], Newest::Found, at(3));
        assert_eq!(first, second);
    }
}
