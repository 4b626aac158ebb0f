//! The rows of workloads, storage and policies, in all columns.

use serde_json::{Value, json};

use crate::kind;

const NOW: &str = "2026-01-02T03:23:00Z";

fn row(name: &str, mut object: Value) -> Vec<String> {
    object["metadata"] = json!({"name": "x", "creationTimestamp": NOW, "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": true}]});
    let cells = kind(name).cells(&object, NOW.parse().unwrap());
    cells.iter().map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
}

fn columns(name: &str) -> Vec<&'static str> {
    kind(name).columns.iter().map(|column| column.name).collect()
}

fn pods() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

#[test]
fn workloads_have_their_rows() {
    let selector = json!({"matchLabels": {"a": "b"}});
    let table = [
        (
            "ReplicationController",
            json!({"spec": {"replicas": 2, "selector": {"a": "b"}, "template": pods()}, "status": {"replicas": 1}}),
            vec!["x", "2", "1", "0", "0s", "c", "i", "a=b"],
        ),
        (
            "DaemonSet",
            json!({"spec": {"selector": selector, "template": pods()}, "status": {"desiredNumberScheduled": 3,
                "currentNumberScheduled": 2, "numberReady": 1, "updatedNumberScheduled": 2, "numberAvailable": 1}}),
            vec!["x", "3", "2", "1", "2", "1", "<none>", "0s", "c", "i", "a=b"],
        ),
        (
            "StatefulSet",
            json!({"spec": {"replicas": 3, "template": pods()}, "status": {"readyReplicas": 2}}),
            vec!["x", "2/3", "0s", "c", "i"],
        ),
        ("ControllerRevision", json!({"revision": 4, "data": {}}), vec!["x", "daemonset.apps/d", "4", "0s"]),
        ("PodTemplate", json!({"template": pods()}), vec!["x", "c", "i", "a=b"]),
        (
            "Job",
            json!({"spec": {"completions": 3, "template": pods(), "selector": selector},
                   "status": {"succeeded": 1, "startTime": "2026-01-02T03:22:30Z"}}),
            vec!["x", "Running", "1/3", "30s", "0s", "c", "i", "a=b"],
        ),
        (
            "Job",
            json!({"spec": {"parallelism": 2, "template": pods()}, "status": {"succeeded": 1,
                "startTime": "2026-01-02T03:22:30Z", "completionTime": "2026-01-02T03:22:40Z",
                "conditions": [{"type": "Complete", "status": "True"}]}}),
            vec!["x", "Complete", "1/1 of 2", "10s", "0s", "c", "i", "<none>"],
        ),
        (
            "CronJob",
            json!({"spec": {"schedule": "@daily", "suspend": false, "jobTemplate": {"spec": {"template": pods()}}},
                   "status": {"active": [{}], "lastScheduleTime": "2026-01-02T03:22:50Z"}}),
            vec!["x", "@daily", "<none>", "False", "1", "10s", "0s", "c", "i", "<none>"],
        ),
    ];
    for (name, object, expected) in table {
        assert_eq!(row(name, object), expected, "{name}");
    }
}

#[test]
fn storage_and_policies_have_their_rows() {
    let metrics = json!([
        {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
        {"type": "Pods", "pods": {"target": {"averageValue": "10"}}},
        {"type": "External", "external": {"target": {"averageValue": "3"}}},
    ]);
    let current = json!([{"resource": {"current": {"averageUtilization": 7}}}]);
    let table = [
        (
            "PersistentVolume",
            json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "s", "volumeMode": "Filesystem",
                "claimRef": {"namespace": "n", "name": "c"}}, "status": {"phase": "Bound"}}),
            vec!["x", "1Gi", "RWO,RWX", "Retain", "Bound", "n/c", "s", "<unset>", "", "0s", "Filesystem"],
        ),
        (
            "PersistentVolumeClaim",
            json!({"spec": {"volumeName": "v", "volumeMode": "Block"}, "status": {"phase": "Bound",
                "capacity": {"storage": "2Gi"}, "accessModes": ["ReadOnlyMany"]}}),
            vec!["x", "Bound", "v", "2Gi", "ROX", "", "<unset>", "0s", "Block"],
        ),
        (
            "PersistentVolumeClaim",
            json!({"spec": {}, "status": {"phase": "Pending"}}),
            vec!["x", "Pending", "", "", "", "", "<unset>", "0s", "<unset>"],
        ),
        (
            "ResourceQuota",
            json!({"status": {"hard": {"pods": "5", "limits.cpu": "2"}, "used": {"pods": "1"}}}),
            vec!["x", "pods: 1/5", "limits.cpu: 0/2", "0s"],
        ),
        ("LimitRange", json!({}), vec!["x", NOW]),
        (
            "PodDisruptionBudget",
            json!({"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}}),
            vec!["x", "50%", "N/A", "1", "0s"],
        ),
        (
            "HorizontalPodAutoscaler",
            json!({"spec": {"minReplicas": 1, "maxReplicas": 3, "metrics": metrics,
                "scaleTargetRef": {"kind": "Deployment", "name": "d"}},
                "status": {"currentReplicas": 2, "currentMetrics": current}}),
            vec!["x", "Deployment/d", "cpu: 7%/80%, <unknown>/10 + 1 more...", "1", "3", "2", "0s"],
        ),
    ];
    for (name, object, expected) in table {
        assert_eq!(row(name, object), expected, "{name}");
    }
}

#[test]
fn columns_have_the_names_that_kubectl_shows() {
    assert_eq!(
        columns("Job"),
        ["Name", "Status", "Completions", "Duration", "Age", "Containers", "Images", "Selector"]
    );
    assert_eq!(
        columns("PersistentVolume"),
        [
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "VolumeMode"
        ]
    );
    assert_eq!(
        columns("CronJob"),
        [
            "Name",
            "Schedule",
            "Timezone",
            "Suspend",
            "Active",
            "Last Schedule",
            "Age",
            "Containers",
            "Images",
            "Selector"
        ]
    );
    assert_eq!(columns("PodDisruptionBudget")[1..4], ["Min Available", "Max Unavailable", "Allowed Disruptions"]);
    assert_eq!(columns("LimitRange"), ["Name", "Created At"]);
}
