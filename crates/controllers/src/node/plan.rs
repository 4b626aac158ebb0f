//! What a node's Lease and conditions mean for its taints, and for the pods on it. Pure.

use std::time::Duration;

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, NodeCondition, Pod, Taint},
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::{SignedDuration, Timestamp},
};
use skiff_api::toleration::tolerates;

pub(crate) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(crate) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const UNKNOWN: &str = "Kubelet stopped posting node status.";

/// A node's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Ready,
    NotReady,
    /// Nothing was heard of it for longer than the grace.
    Unreachable,
}

/// Judges a node; also says when a silent node will have been silent for too long.
pub(crate) fn health(
    node: &Node,
    lease: Option<&Lease>,
    since: Timestamp,
    grace: Duration,
    now: Timestamp,
) -> (Health, Timestamp) {
    let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref()).map(|time| time.0);
    // A controller that has just started gives every node the whole grace.
    let heard = renewed.unwrap_or(since).max(since);
    let grace = SignedDuration::try_from(grace).unwrap_or(SignedDuration::MAX);
    let deadline = heard.checked_add(grace).unwrap_or(Timestamp::MAX);
    if now >= deadline {
        return (Health::Unreachable, Timestamp::MAX);
    }
    let ready = ready(node).is_some_and(|condition| condition.status == "True");
    (if ready { Health::Ready } else { Health::NotReady }, deadline)
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready")
}

/// The taints that the node should have; `None` where it has them.
pub(crate) fn taints(node: &Node, health: Health, now: Timestamp) -> Option<Vec<Taint>> {
    let spec = node.spec.clone().unwrap_or_default();
    let held = spec.taints.unwrap_or_default();
    let key = match health {
        Health::Ready => None,
        Health::NotReady => Some(NOT_READY),
        Health::Unreachable => Some(UNREACHABLE),
    };
    let mut wanted: Vec<(&str, &str)> =
        key.into_iter().flat_map(|key| [(key, "NoSchedule"), (key, "NoExecute")]).collect();
    if spec.unschedulable == Some(true) {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let ours = |taint: &Taint| [NOT_READY, UNREACHABLE, UNSCHEDULABLE].contains(&taint.key.as_str());
    let mut next: Vec<Taint> = held.iter().filter(|taint| !ours(taint)).cloned().collect();
    for (key, effect) in wanted {
        let same = held.iter().find(|taint| taint.key == key && taint.effect == effect);
        next.push(same.cloned().unwrap_or_else(|| Taint {
            key: key.to_owned(),
            effect: effect.to_owned(),
            time_added: (effect == "NoExecute").then_some(Time(now)),
            value: None,
        }));
    }
    let same = next.len() == held.len() && next.iter().all(|taint| held.contains(taint));
    (!same).then_some(next)
}

/// The conditions of a node that is silent: all Unknown. `None` where they say so already.
pub(crate) fn unknown(node: &Node, now: Timestamp) -> Option<Vec<NodeCondition>> {
    let held = node.status.as_ref()?.conditions.clone()?;
    let mut next = held.clone();
    for condition in next.iter_mut().filter(|condition| condition.status != "Unknown") {
        condition.status = "Unknown".to_owned();
        condition.reason = Some("NodeStatusUnknown".to_owned());
        condition.message = Some(UNKNOWN.to_owned());
        condition.last_transition_time = Some(Time(now));
    }
    (next != held).then_some(next)
}

/// When a pod has to leave its node because of `NoExecute` taints; `None`: it may stay.
pub(crate) fn eviction(pod: &Pod, node: &Node) -> Option<Timestamp> {
    let taints = node.spec.as_ref()?.taints.as_ref()?;
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.clone()).unwrap_or_default();
    let mut leaves: Option<Timestamp> = None;
    for taint in taints.iter().filter(|taint| taint.effect == "NoExecute") {
        let from = taint.time_added.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let tolerated: Vec<_> = tolerations.iter().filter(|one| tolerates(one, taint)).collect();
        if tolerated.is_empty() {
            return Some(from);
        }
        let limit = tolerated.iter().filter_map(|one| one.toleration_seconds).min();
        let at = limit.and_then(|seconds| from.checked_add(SignedDuration::from_secs(seconds.max(0))).ok());
        leaves = [leaves, at].into_iter().flatten().min();
    }
    leaves
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn node(ready: &str, taints: serde_json::Value) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": "n"}, "spec": {"taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}
        }))
        .unwrap()
    }

    #[test]
    fn a_silent_node_becomes_unreachable_after_the_grace() {
        let lease: Lease =
            serde_json::from_value(json!({"metadata": {}, "spec": {"renewTime": "1970-01-01T00:01:40.000000Z"}}))
                .unwrap();
        let grace = Duration::from_secs(40);
        let judge = |now| health(&node("True", json!([])), Some(&lease), at(0), grace, at(now)).0;
        assert_eq!(judge(139), Health::Ready);
        assert_eq!(judge(140), Health::Unreachable);
        assert_eq!(health(&node("True", json!([])), Some(&lease), at(139), grace, at(141)).0, Health::Ready);
    }

    #[test]
    fn taints_follow_health_and_leave_others_alone() {
        let other = json!([{"key": "mine", "effect": "NoSchedule"}]);
        let tainted = taints(&node("False", other.clone()), Health::NotReady, at(5)).unwrap();
        assert_eq!(tainted.iter().map(|taint| taint.key.as_str()).collect::<Vec<_>>(), ["mine", NOT_READY, NOT_READY]);
        let again = node("False", json!(tainted));
        assert_eq!(taints(&again, Health::NotReady, at(9)), None);
        assert_eq!(taints(&again, Health::Ready, at(9)).unwrap().len(), 1);
    }

    #[test]
    fn pods_leave_when_their_toleration_ends() {
        let tainted =
            node("Unknown", json!([{"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": "1970-01-01T00:00:10Z"}]));
        let pod = |tolerations: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}}))
                .unwrap()
        };
        assert_eq!(eviction(&pod(json!([])), &tainted), Some(at(10)));
        let limited =
            json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]);
        assert_eq!(eviction(&pod(limited), &tainted), Some(at(310)));
        assert_eq!(eviction(&pod(json!([{"operator": "Exists"}])), &tainted), None);
    }
}
