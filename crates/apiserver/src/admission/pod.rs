//! What every pod gets that does not say otherwise: a priority, and five minutes on a node that is
//! not there any more.

use serde_json::{Value, json};
use skiff_api::{
    meta,
    status::{Qualified, Status},
};

/// How long a pod stays on a node that is not ready or not reachable.
const STAYS: i64 = 300;
/// The priority classes that every cluster has.
const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// Admits a pod.
pub(super) fn admit(pod: &mut Value) -> Result<(), Status> {
    set_priority(pod)?;
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        tolerate(pod, key);
    }
    Ok(())
}

fn set_priority(pod: &mut Value) -> Result<(), Status> {
    let refuse = |pod: &Value, why: &str| Err(Status::forbidden(Qualified::new("", "pods"), meta::name(pod), why));
    let class = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let priority = if class.is_empty() {
        0
    } else {
        match SYSTEM_CLASSES.iter().find(|(name, _)| *name == class) {
            Some((_, priority)) => *priority,
            None => return refuse(pod, &format!("no PriorityClass with name {class} was found")),
        }
    };
    if pod["spec"]["priority"].as_i64().is_some_and(|given| given != priority) {
        let why = "the integer value of priority must not be provided in pod spec; priority admission controller \
                   computed";
        return refuse(pod, &format!("{why} {priority} from the given PriorityClass name"));
    }
    pod["spec"]["priority"] = json!(priority);
    if pod["spec"]["preemptionPolicy"].is_null() {
        pod["spec"]["preemptionPolicy"] = json!("PreemptLowerPriority");
    }
    Ok(())
}

fn tolerate(pod: &mut Value, key: &str) {
    let given = pod["spec"]["tolerations"].as_array().into_iter().flatten();
    let text = |toleration: &Value, field: &str| toleration[field].as_str().unwrap_or_default().to_owned();
    let mut effective = given.filter(|toleration| matches!(text(toleration, "effect").as_str(), "" | "NoExecute"));
    if effective.any(|toleration| matches!(text(toleration, "key").as_str(), "") || text(toleration, "key") == key) {
        return;
    }
    if !pod["spec"]["tolerations"].is_array() {
        pod["spec"]["tolerations"] = json!([]);
    }
    if let Some(tolerations) = pod["spec"]["tolerations"].as_array_mut() {
        tolerations.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": STAYS}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_gets_priority_and_tolerations_once() {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]}});
        admit(&mut pod).unwrap();
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
        assert_eq!(pod["spec"]["priority"], 0);
        let again = pod.clone();
        admit(&mut pod).unwrap();
        assert_eq!(pod, again);
    }

    #[test]
    fn an_unknown_priority_class_is_refused() {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"priorityClassName": "high"}});
        let status = admit(&mut pod).unwrap_err();
        assert_eq!(status.message, "pods \"p\" is forbidden: no PriorityClass with name high was found");
        let mut pod = json!({"spec": {"priorityClassName": "system-node-critical"}});
        admit(&mut pod).unwrap();
        assert_eq!(pod["spec"]["priority"], 2_000_001_000);
    }
}
