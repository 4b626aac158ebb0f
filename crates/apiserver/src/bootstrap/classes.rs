//! The PriorityClasses of the cluster's own pods, the range that Services get their addresses from, and
//! the levels and schemas of flow control that every cluster has.

use serde_json::{Value, json};

use super::Plan;
use crate::error::Error;

const FLOW: &str = "flowcontrol.apiserver.k8s.io";

/// All of them.
pub(super) fn plan(plan: &mut Plan<'_>) -> Result<(), Error> {
    for (name, value, what) in [
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    ] {
        let class = json!({"metadata": {"name": name}, "value": value, "description": what});
        plan.ensure("scheduling.k8s.io", "priorityclasses", class)?;
    }
    let range = plan.state.config.service_cidr.to_string();
    plan.ensure(
        "networking.k8s.io",
        "servicecidrs",
        json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [range]}}),
    )?;
    flow(plan)
}

/// What upstream calls mandatory: masters pass, and everybody else shares what there is.
fn flow(plan: &mut Plan<'_>) -> Result<(), Error> {
    let metadata = |name: &str| json!({"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}});
    let levels = [
        ("exempt", json!({"type": "Exempt", "exempt": {}})),
        (
            "catch-all",
            json!({"type": "Limited", "limited": {
                "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}}),
        ),
    ];
    for (name, spec) in levels {
        plan.ensure(FLOW, "prioritylevelconfigurations", json!({"metadata": metadata(name), "spec": spec}))?;
    }
    let group = |name: &str| json!({"kind": "Group", "group": {"name": name}});
    let everybody = json!([group("system:unauthenticated"), group("system:authenticated")]);
    let schemas = [
        ("exempt", 1, Value::Null, json!([group("system:masters")])),
        ("catch-all", 10000, json!({"type": "ByUser"}), everybody),
    ];
    for (name, precedence, method, subjects) in schemas {
        let mut spec = json!({
            "matchingPrecedence": precedence,
            "priorityLevelConfiguration": {"name": name},
            "rules": [{
                "subjects": subjects,
                "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true,
                    "namespaces": ["*"]}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }],
        });
        if method.is_object() {
            spec["distinguisherMethod"] = method;
        }
        plan.ensure(FLOW, "flowschemas", json!({"metadata": metadata(name), "spec": spec}))?;
    }
    Ok(())
}
