//! What every pod gets that does not say otherwise: what its classes say, and five minutes on a node
//! that is not there any more.

use serde_json::{Value, json};
use skiff_api::status::Status;

use super::classes;
use crate::state::State;

/// How long a pod stays on a node that is not ready or not reachable.
const STAYS: i64 = 300;
/// Admits a pod.
pub(super) fn admit(state: &State, pod: &mut Value) -> Result<(), Status> {
    let (priority, runtime) = (classes::priority(state, pod)?, classes::runtime(state, pod)?);
    classes::set_priority(pod, priority.as_ref())?;
    classes::set_runtime(pod, runtime.as_ref())?;
    tolerate_all(pod);
    Ok(())
}

fn tolerate_all(pod: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        tolerate(pod, key);
    }
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
    fn a_pod_gets_its_tolerations_once() {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]}});
        tolerate_all(&mut pod);
        assert_eq!(pod["spec"]["tolerations"].as_array().unwrap().len(), 2);
        let again = pod.clone();
        tolerate_all(&mut pod);
        assert_eq!(pod, again);
    }
}
