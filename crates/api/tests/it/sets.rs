//! DaemonSets, StatefulSets, ReplicationControllers, budgets and autoscalers.

use serde_json::{Value, json};

use crate::{made, problems, updated};

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}})
}

fn set(kind: &str) -> Value {
    let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template()});
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec})
}

fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

/// Each change of a good object is refused with that message.
fn refused(kind: &str, good: &Value, table: &[(&str, Value, &str)]) {
    assert_eq!(problems(kind, good), [""; 0], "{kind}");
    for (pointer, value, message) in table {
        let found = problems(kind, &with(good, pointer, value.clone()));
        assert!(found.iter().any(|p| p.starts_with(message)), "{kind} {pointer}: {found:#?}");
    }
}

#[test]
fn a_daemon_set_is_completed_and_checked() {
    let new = made("DaemonSet", &set("DaemonSet"));
    assert_eq!(
        new["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}})
    );
    assert_eq!(new["metadata"]["annotations"], json!({"deprecated.daemonset.template.generation": "1"}));
    assert_eq!((&new["spec"]["revisionHistoryLimit"], &new["status"]["numberReady"]), (&json!(10), &json!(0)));
    refused(
        "DaemonSet",
        &set("DaemonSet"),
        &[
            ("/spec/selector", json!({}), "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"),
            (
                "/spec/updateStrategy",
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
            ),
            (
                "/spec/updateStrategy",
                json!({"type": "x"}),
                "spec.updateStrategy.type: Unsupported value: \"x\": supported values: \"RollingUpdate\", \"OnDelete\"",
            ),
        ],
    );
    let (changed, found) = updated("DaemonSet", &new, |set| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("j:1");
    });
    assert_eq!(found, [""; 0]);
    assert_eq!(changed["metadata"]["generation"], 2);
    assert_eq!(changed["metadata"]["annotations"]["deprecated.daemonset.template.generation"], "2");
}

#[test]
fn a_stateful_set_is_completed_and_checked() {
    let mut document = set("StatefulSet");
    document["spec"]["serviceName"] = json!("s");
    document["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "d"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
    let new = made("StatefulSet", &document);
    let spec = &new["spec"];
    assert_eq!(spec["podManagementPolicy"], "OrderedReady");
    assert_eq!(spec["persistentVolumeClaimRetentionPolicy"], json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
    assert_eq!(spec["updateStrategy"], json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}));
    assert_eq!(spec["volumeClaimTemplates"][0]["kind"], "PersistentVolumeClaim");
    assert_eq!(spec["volumeClaimTemplates"][0]["status"], json!({"phase": "Pending"}));
    refused(
        "StatefulSet",
        &document,
        &[
            (
                "/spec/podManagementPolicy",
                json!("x"),
                "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'",
            ),
            (
                "/spec/selector",
                json!({"matchLabels": {"app": "b"}}),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("Never"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
        ],
    );
    let (_, found) = updated("StatefulSet", &new, |set| set["spec"]["replicas"] = json!(3));
    assert_eq!(found, [""; 0]);
    let (_, found) = updated("StatefulSet", &new, |set| set["spec"]["serviceName"] = json!("other"));
    assert_eq!(
        found,
        ["spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
          'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are \
          forbidden"]
    );
}

#[test]
fn a_replication_controller_takes_what_its_template_says() {
    let document = json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "a"},
        "spec": {"template": template()}});
    let new = made("ReplicationController", &document);
    assert_eq!((&new["spec"]["selector"], &new["metadata"]["labels"]), (&json!({"app": "a"}), &json!({"app": "a"})));
    assert_eq!((&new["spec"]["replicas"], &new["status"]), (&json!(1), &json!({"replicas": 0})));
    refused(
        "ReplicationController",
        &document,
        &[
            ("/spec/template", json!(null), "spec.selector: Required value"),
            ("/spec/template", json!(null), "spec.template: Required value"),
            ("/spec/replicas", json!(-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ],
    );
}

#[test]
fn budgets_and_revisions_are_checked() {
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}});
    let both = "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1,\"selector\":{\"matchLabels\":\
                {\"app\":\"a\"}}}: minAvailable and maxUnavailable cannot be both set";
    refused(
        "PodDisruptionBudget",
        &budget,
        &[
            ("/spec/maxUnavailable", json!(1), both),
            ("/spec/minAvailable", json!(-1), "spec.minAvailable: Invalid value: -1: must be greater than or equal"),
            ("/spec/minAvailable", json!("101%"), "spec.minAvailable: Invalid value: \"101%\": must not be greater"),
        ],
    );
    let revision = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "a"},
        "data": {"a": 1}, "revision": 1});
    refused("ControllerRevision", &revision, &[("/data", json!(null), "data: Required value: data is mandatory")]);
    let (_, found) = updated("ControllerRevision", &made("ControllerRevision", &revision), |r| r["data"] = json!({}));
    assert_eq!(found, ["data: Invalid value: {}: field is immutable"]);
}

#[test]
fn an_autoscaler_is_completed_and_checked() {
    let document = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                 "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}});
    let new = made("HorizontalPodAutoscaler", &document);
    assert_eq!(new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
    assert_eq!(new["spec"]["behavior"]["scaleUp"]["policies"][0]["value"], 4);
    assert_eq!(new["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"], 5);
    refused(
        "HorizontalPodAutoscaler",
        &document,
        &[
            ("/spec/maxReplicas", json!(0), "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
            (
                "/spec/minReplicas",
                json!(4),
                "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
            ),
            ("/spec/scaleTargetRef", json!({"kind": "a", "name": ""}), "spec.scaleTargetRef.name: Required value"),
            (
                "/spec/metrics",
                json!([{"type": "Pods"}]),
                "spec.metrics[0].pods: Required value: must populate information for the given metric source",
            ),
        ],
    );
}
