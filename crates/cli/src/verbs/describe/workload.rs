//! The pages of deployments and replica sets.

use serde_json::Value;

use super::{
    page::{Page, joined, list, text, time},
    pod::{conditions, inside, owner, selector, tolerations, volumes},
};

/// A deployment with the replica sets of its namespace.
pub(super) fn deployment(page: &mut Page, deployment: &Value, sets: &Value) {
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    page.name(deployment);
    page.line(0, "CreationTimestamp", &time(&deployment["metadata"]["creationTimestamp"]));
    page.marks(deployment);
    page.line(0, "Selector", &selector(&spec["selector"]));
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let replicas = format!(
        "{} desired | {} updated | {} total | {} available | {} unavailable",
        spec["replicas"].as_i64().unwrap_or(1),
        number("updatedReplicas"),
        number("replicas"),
        number("availableReplicas"),
        number("unavailableReplicas")
    );
    page.line(0, "Replicas", &replicas);
    page.line(0, "StrategyType", &text(&spec["strategy"]["type"]));
    page.line(0, "MinReadySeconds", &spec["minReadySeconds"].as_i64().unwrap_or(0).to_string());
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        let (unavailable, surge) = (text(&rolling["maxUnavailable"]), text(&rolling["maxSurge"]));
        page.line(0, "RollingUpdateStrategy", &format!("{unavailable} max unavailable, {surge} max surge"));
    }
    pod_template(page, &spec["template"]);
    conditions(page, &status["conditions"], &["Type", "Status", "Reason"]);
    let uid = &deployment["metadata"]["uid"];
    let own = |set: &&Value| list(&set["metadata"]["ownerReferences"]).any(|owner| owner["uid"] == *uid);
    let current = deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
    let is_new = |set: &Value| set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str() == current;
    let told = |set: &Value| {
        let (made, wanted) = (set["status"]["replicas"].as_i64().unwrap_or(0), set["spec"]["replicas"].as_i64());
        format!("{} ({made}/{} replicas created)", text(&set["metadata"]["name"]), wanted.unwrap_or(0))
    };
    let (new, old): (Vec<&Value>, Vec<&Value>) = list(&sets["items"]).filter(own).partition(|set| is_new(set));
    for (label, sets) in [("OldReplicaSets", old), ("NewReplicaSet", new)] {
        let all: Vec<String> = sets.into_iter().map(told).collect();
        let text = all.join(", ");
        page.line(0, label, if text.is_empty() { "<none>" } else { &text });
    }
}

/// A replica set with the pods of its namespace.
pub(super) fn replica_set(page: &mut Page, set: &Value, pods: &Value) {
    page.name(set);
    page.line(0, "Selector", &selector(&set["spec"]["selector"]));
    page.marks(set);
    owner(page, set);
    let (made, wanted) =
        (set["status"]["replicas"].as_i64().unwrap_or(0), set["spec"]["replicas"].as_i64().unwrap_or(1));
    page.line(0, "Replicas", &format!("{made} current / {wanted} desired"));
    let uid = &set["metadata"]["uid"];
    let own = |pod: &&Value| list(&pod["metadata"]["ownerReferences"]).any(|owner| owner["uid"] == *uid);
    let in_phase = |phase: &str| list(&pods["items"]).filter(own).filter(|pod| pod["status"]["phase"] == phase).count();
    let counted = format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        in_phase("Running"),
        in_phase("Pending"),
        in_phase("Succeeded"),
        in_phase("Failed")
    );
    page.line(0, "Pods Status", &counted);
    pod_template(page, &set["spec"]["template"]);
    conditions(page, &set["status"]["conditions"], &["Type", "Status", "Reason"]);
}

fn pod_template(page: &mut Page, template: &Value) {
    page.raw(0, "Pod Template:");
    page.map(1, "Labels", &template["metadata"]["labels"], "=");
    if template["metadata"]["annotations"].as_object().is_some_and(|map| !map.is_empty()) {
        page.map(1, "Annotations", &template["metadata"]["annotations"], ": ");
    }
    if let Some(account) = template["spec"]["serviceAccountName"].as_str() {
        page.line(1, "Service Account", account);
    }
    inside(page, 1, &template["spec"], None);
    volumes(page, 1, &template["spec"]["volumes"]);
    page.line(1, "Node-Selectors", &joined(&template["spec"]["nodeSelector"]));
    tolerations(page, 1, &template["spec"]["tolerations"]);
}

/// The page of a pod template alone.
pub(crate) fn template(template: &Value) -> String {
    let mut page = Page::default();
    pod_template(&mut page, template);
    page.finish()
}
