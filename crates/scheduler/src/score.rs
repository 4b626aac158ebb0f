//! Which of the possible nodes is best: the one with most room left, evenly used, that the pod
//! prefers and whose soft taints it tolerates. Pure.

use k8s_openapi::api::core::v1::{Pod, Toleration};

use crate::{filter::term_fits, index::Place, resources::Amounts};

/// A node's score for a pod; more is better.
pub(crate) fn score(pod: &Pod, asked: &Amounts, place: &Place) -> i64 {
    room(asked, place) + preferred(pod, place) - soft_taints(pod, place) * 10
}

/// The mean share of CPU and memory left, in percent (kube-scheduler's LeastAllocated).
fn room(asked: &Amounts, place: &Place) -> i64 {
    let left = |name: &str| {
        let offered = place.offered.get(name).copied().unwrap_or_default().max(1);
        let taken = place.asked.get(name).copied().unwrap_or_default() + asked.get(name).copied().unwrap_or_default();
        (offered - taken).max(0).saturating_mul(100) / offered
    };
    // Pods that ask for nothing still spread.
    let crowd = i64::try_from(place.pods).unwrap_or(i64::MAX).min(100);
    left("cpu") + left("memory") - crowd
}

fn preferred(pod: &Pod, place: &Place) -> i64 {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref());
    let terms = affinity.and_then(|node| node.preferred_during_scheduling_ignored_during_execution.as_ref());
    let fitting = terms.into_iter().flatten().filter(|term| term_fits(&term.preference, &place.node));
    fitting.map(|term| i64::from(term.weight)).sum()
}

fn soft_taints(pod: &Pod, place: &Place) -> i64 {
    let taints = place.node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let tolerated =
        |key: &str| tolerations.iter().any(|one: &Toleration| one.key.as_deref().is_none_or(|own| own == key));
    let soft = taints.iter().filter(|taint| taint.effect == "PreferNoSchedule" && !tolerated(&taint.key));
    i64::try_from(soft.count()).unwrap_or(i64::MAX)
}
