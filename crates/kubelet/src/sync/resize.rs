//! Changed resources of containers that run: their control groups follow, or they are started again where their
//! `resizePolicy` wants that. What they have, not what they are to have, is what their status shows.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use skiff_runtime::Cgroups;

use super::{
    launch::limits,
    shared::Shared,
    state::{Role, Run, Track},
    worker::{Done, Worker},
};
use crate::pod::{self, resources};

/// How long a change that the kernel refused is left alone, unless something happens.
const RETRY: SignedDuration = SignedDuration::from_secs(10);

/// Why resources are not yet what they are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The node is too small.
    Infeasible(String),
    /// The kernel refused, or it would have harmed the container.
    Failed(String),
}

/// One container that is to be limited anew.
#[derive(Debug)]
pub(super) struct Change {
    name: String,
    attempt: u32,
    wanted: ResourceRequirements,
}

/// What came of the changes: the containers that have what they are to have, and what went wrong.
pub(super) struct Resized {
    done: Vec<Change>,
    failed: Option<String>,
}

impl Worker {
    /// Brings what running containers have closer to what they are to have.
    pub(super) fn resize(&mut self, now: Timestamp) {
        if self.resizing {
            return;
        }
        if let Some(at) = self.resize_at.filter(|at| *at > now) {
            return self.look_again(at);
        }
        self.resize_at = None;
        let pod = Arc::clone(&self.pod);
        let changed: Vec<(Change, bool)> = self.tracks.iter_mut().filter_map(|track| change(&pod, track)).collect();
        if changed.is_empty() {
            self.trouble = None;
            return;
        }
        if let Some(message) = infeasible(&pod, &self.shared.allocatable) {
            self.trouble = Some(Trouble::Infeasible(message));
            return;
        }
        let (restarted, in_place): (Vec<_>, Vec<_>) = changed.into_iter().partition(|(_, restarts)| *restarts);
        for (change, _) in restarted {
            self.stop(&change.name, format!("Container {} resize requires restart", change.name), None);
        }
        let changes: Vec<Change> = in_place.into_iter().map(|(change, _)| change).collect();
        if !changes.is_empty() {
            self.resizing = true;
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn(async move { Done::Resized(apply(shared, pod, changes).await) });
        }
    }

    pub(super) fn resized(&mut self, resized: Resized, now: Timestamp) {
        self.resizing = false;
        for Change { name, attempt, wanted } in resized.done {
            let Some(track) = self.track(&name) else { continue };
            if track.run.as_ref().is_some_and(|run| run.attempt() == attempt) {
                track.resources = Some(wanted);
            }
        }
        let trouble = resized.failed.map(Trouble::Failed);
        if let Some(Trouble::Failed(message)) = &trouble {
            self.resize_at = now.saturating_add(RETRY).ok();
            if self.trouble != trouble {
                self.shared.warning(&self.pod, "ResizeError", message.clone());
            }
        }
        self.trouble = trouble;
    }
}

/// What is to change about a container, and whether it has to be started again for that.
fn change(pod: &Pod, track: &mut Track) -> Option<(Change, bool)> {
    let Some(Run::Running { attempt, .. }) = track.run else { return None };
    if track.is(Role::Ephemeral) {
        return None;
    }
    let container = pod::container(pod, &track.name)?;
    let wanted = container.resources.clone().unwrap_or_default();
    // What an earlier server did not note is taken for what it did.
    let held = track.resources.get_or_insert_with(|| wanted.clone());
    let changed = differences(held, &wanted);
    if changed.is_empty() {
        return None;
    }
    let restarts = changed.iter().any(|resource| restarts(&container, resource));
    Some((Change { name: track.name.clone(), attempt, wanted }, restarts))
}

/// The resources that the two do not agree on.
fn differences(held: &ResourceRequirements, wanted: &ResourceRequirements) -> Vec<&'static str> {
    let amount = |list: &Option<BTreeMap<String, Quantity>>, name: &str| resources::amount(list.as_ref()?.get(name)?);
    let differs = |name: &&str| {
        amount(&held.limits, name) != amount(&wanted.limits, name)
            || amount(&held.requests, name) != amount(&wanted.requests, name)
    };
    ["cpu", "memory"].into_iter().filter(differs).collect()
}

fn restarts(container: &Container, resource: &str) -> bool {
    let policies = container.resize_policy.iter().flatten();
    policies.into_iter().any(|policy| policy.resource_name == resource && policy.restart_policy == "RestartContainer")
}

/// Why the node can never give what the pod asks for.
fn infeasible(pod: &Pod, allocatable: &BTreeMap<String, Quantity>) -> Option<String> {
    let requested = |container: &Container, name: &str| {
        let requests = container.resources.as_ref()?.requests.as_ref()?;
        resources::amount(requests.get(name)?)
    };
    ["cpu", "memory"].into_iter().find_map(|name| {
        let in_unit = |amount: resources::Amount| if name == "cpu" { amount.milli() } else { amount.units() };
        let containers = pod::spec(pod).containers.iter();
        let all: i64 = containers.filter_map(|container| requested(container, name)).map(in_unit).sum();
        let capacity = in_unit(resources::amount(allocatable.get(name)?)?);
        (all > capacity)
            .then(|| format!("Node didn't have enough capacity: {name}, requested: {all}, capacity: {capacity}"))
    })
}

async fn apply(shared: Arc<Shared>, pod: Arc<Pod>, changes: Vec<Change>) -> Resized {
    let cgroups = match shared.runtime.cgroups() {
        Ok(cgroups) => cgroups,
        Err(error) => return Resized { done: Vec::new(), failed: Some(error.to_string()) },
    };
    let work = move || {
        let mut resized = Resized { done: Vec::new(), failed: None };
        for change in changes {
            match one(&cgroups, &pod, &change) {
                Ok(()) => resized.done.push(change),
                Err(error) => resized.failed = Some(error),
            }
        }
        resized
    };
    let failed = |error: tokio::task::JoinError| Resized { done: Vec::new(), failed: Some(error.to_string()) };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(failed)
}

/// More is given to the pod first, and less to the container.
fn one(cgroups: &Cgroups, pod: &Pod, change: &Change) -> Result<(), String> {
    let uid = pod::uid(pod);
    let Some(container) = pod::container(pod, &change.name) else { return Ok(()) };
    let numbers = resources::of_container(&container);
    let usage = cgroups.usage(uid, &change.name, change.attempt).memory.map_or(0, |memory| memory.working_set);
    if let Some(limit) = numbers.memory.filter(|limit| *limit < usage) {
        return Err(format!("attempting to set memory limit ({limit}) below current usage ({usage})"));
    }
    let of_pod = limits(&resources::of_pod(pod));
    let given = cgroups.limit_pod(uid, &of_pod);
    let limited = cgroups.limit_container(uid, &change.name, change.attempt, &limits(&numbers));
    limited.map_err(|error| error.to_string())?;
    given.or_else(|_| cgroups.limit_pod(uid, &of_pod)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(container: serde_json::Value) -> Pod {
        let pod = json!({"metadata": {"uid": "u"}, "spec": {"containers": [container]}});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn what_differs_is_changed() {
        let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
        let with = |cpu: &str, memory: &str| {
            of(json!({"name": "c", "resizePolicy": policy, "resources": {"limits": {"cpu": cpu, "memory": memory}}}))
        };
        let mut track = Track::new("c", Role::App);
        assert!(change(&with("1", "1Gi"), &mut track).is_none(), "it does not run");
        track.begin(3, Timestamp::UNIX_EPOCH);
        assert!(change(&with("1", "1Gi"), &mut track).is_none(), "nothing was noted");
        assert!(change(&with("1000m", "1024Mi"), &mut track).is_none(), "the same in other words");
        let (changed, restarts) = change(&with("2", "1Gi"), &mut track).unwrap();
        assert_eq!((changed.attempt, restarts), (3, false));
        assert!(change(&with("2", "2Gi"), &mut track).unwrap().1);
    }

    #[test]
    fn what_a_node_does_not_have_it_cannot_give() {
        let pod = of(json!({"name": "c", "resources": {"requests": {"cpu": "3", "memory": "1Gi"}}}));
        let node = |cpu: &str| {
            [("cpu", cpu), ("memory", "2Gi")]
                .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
                .into()
        };
        assert_eq!(infeasible(&pod, &node("4")), None);
        let message = "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000";
        assert_eq!(infeasible(&pod, &node("2")).as_deref(), Some(message));
    }
}
