//! The decision about one pod: a node, or why there is none. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::{
    SCHEDULER,
    filter::{Reason, reasons},
    index::Place,
    resources,
    score::score,
};

/// What a decision comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The name of the node.
    Bind(String),
    /// What users read in the `FailedScheduling` event.
    Unschedulable(String),
}

/// Whether the pod waits for this scheduler.
pub(crate) fn is_ours(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    spec.node_name.as_deref().unwrap_or_default().is_empty()
        && spec.scheduler_name.as_deref().is_none_or(|name| name == SCHEDULER)
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
        && pod.metadata.deletion_timestamp.is_none()
}

/// Decides about a pod, given all nodes.
pub(crate) fn decide(pod: &Pod, places: &[Place]) -> Decision {
    let asked = resources::of_pod(pod);
    let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
    let mut best: Option<(i64, String)> = None;
    for place in places {
        let against = reasons(pod, &asked, place);
        if against.is_empty() {
            let score = score(pod, &asked, place);
            if best.as_ref().is_none_or(|(held, _)| score > *held) {
                best = Some((score, place.node.name_any()));
            }
        }
        against.into_iter().for_each(|reason| *counts.entry(reason).or_default() += 1);
    }
    best.map_or_else(|| Decision::Unschedulable(message(places.len(), &counts)), |(_, node)| Decision::Bind(node))
}

fn message(nodes: usize, counts: &BTreeMap<Reason, usize>) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut told: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    told.sort();
    format!("0/{nodes} nodes are available: {}.", told.join(", "))
}

#[cfg(test)]
mod tests;
