//! Persistent volumes and claims, quotas and limits, and the volumes of pods.

use serde_json::{Value, json};

use crate::{made, problems, updated};

fn volume() -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}}})
}

fn claim() -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
}

fn refused(kind: &str, good: &Value, table: &[(&str, Value, &str)]) {
    assert_eq!(problems(kind, good), [""; 0], "{kind}");
    for (pointer, value, message) in table {
        let mut bad = good.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[field] = value.clone();
        let found = problems(kind, &bad);
        assert!(found.iter().any(|p| p.starts_with(message)), "{kind} {pointer}: {found:#?}");
    }
}

#[test]
fn volumes_are_completed_and_checked() {
    let new = made("PersistentVolume", &volume());
    assert_eq!(new["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    assert_eq!((&new["spec"]["volumeMode"], &new["status"]["phase"]), (&json!("Filesystem"), &json!("Pending")));
    refused(
        "PersistentVolume",
        &volume(),
        &[
            ("/spec/accessModes", json!([]), "spec.accessModes: Required value"),
            (
                "/spec/accessModes",
                json!(["x"]),
                "spec.accessModes: Unsupported value: \"x\": supported values: \"ReadOn",
            ),
            (
                "/spec/capacity",
                json!({"storage": "0"}),
                "spec.capacity[storage]: Invalid value: \"0\": must be greater",
            ),
            ("/spec/hostPath", json!(null), "spec: Required value: must specify a volume type"),
            (
                "/spec/nfs",
                json!({"server": "s", "path": "/"}),
                "spec.nfs: Forbidden: may not specify more than 1 volume",
            ),
        ],
    );
    let (_, found) = updated("PersistentVolume", &new, |v| v["spec"]["hostPath"]["path"] = json!("/b"));
    assert_eq!(
        found,
        ["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"]
    );
}

#[test]
fn claims_may_only_grow_once_they_are_bound() {
    let new = made("PersistentVolumeClaim", &claim());
    assert_eq!((&new["spec"]["volumeMode"], &new["status"]), (&json!("Filesystem"), &json!({"phase": "Pending"})));
    refused(
        "PersistentVolumeClaim",
        &claim(),
        &[
            ("/spec/accessModes", json!([]), "spec.accessModes: Required value: at least 1 access mode is required"),
            ("/spec/resources", json!({}), "spec.resources[storage]: Required value"),
            ("/spec/volumeMode", json!("x"), "spec.volumeMode: Unsupported value: \"x\""),
        ],
    );
    let grow = |claim: &mut Value| claim["spec"]["resources"]["requests"]["storage"] = json!("2Gi");
    let (_, found) = updated("PersistentVolumeClaim", &new, grow);
    assert!(found[0].starts_with("spec: Forbidden: spec is immutable after creation except resources.requests"));
    let mut bound = new.clone();
    bound["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}});
    assert_eq!(updated("PersistentVolumeClaim", &bound, grow).1, [""; 0]);
    let (_, found) = updated("PersistentVolumeClaim", &bound, |claim| {
        claim["spec"]["resources"]["requests"]["storage"] = json!("1Mi");
    });
    assert_eq!(found, ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]);
}

#[test]
fn quotas_and_limits_are_checked() {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "5", "requests.cpu": "1", "count/deployments.apps": "2"}}});
    refused(
        "ResourceQuota",
        &quota,
        &[
            (
                "/spec/hard",
                json!({"x": "1"}),
                "spec.hard[x]: Invalid value: \"x\": must be a standard resource for quota",
            ),
            ("/spec/hard", json!({"pods": "500m"}), "spec.hard[pods]: Invalid value: \"500m\": must be an integer"),
            (
                "/spec/scopes",
                json!(["BestEffort"]),
                "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope appl",
            ),
        ],
    );
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}}]}});
    let new = made("LimitRange", &range);
    assert_eq!(new["spec"]["limits"][0]["default"], json!({"cpu": "2"}));
    assert_eq!(new["spec"]["limits"][0]["defaultRequest"], json!({"cpu": "2"}));
    refused(
        "LimitRange",
        &range,
        &[
            (
                "/spec/limits/0/min",
                json!({"cpu": "3"}),
                "spec.limits[0].min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 2",
            ),
            (
                "/spec/limits",
                json!([{"type": "Pod", "default": {"cpu": "1"}}]),
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
            ),
        ],
    );
}

fn pod(volume: &Value) -> Value {
    let mut volume = volume.clone();
    volume["name"] = json!("v");
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"volumes": [volume], "containers": [{"name": "c", "image": "i:1"}]}})
}

#[test]
fn every_sort_of_volume_is_known() {
    let template = json!({"spec": claim()["spec"]});
    let good = [
        json!({"emptyDir": {}}),
        json!({"hostPath": {"path": "/a"}}),
        json!({"nfs": {"server": "s", "path": "/a"}}),
        json!({"iscsi": {"targetPortal": "p", "iqn": "iqn.2001-04.com.example:storage", "lun": 0}}),
        json!({"csi": {"driver": "d"}}),
        json!({"persistentVolumeClaim": {"claimName": "c"}}),
        json!({"ephemeral": {"volumeClaimTemplate": template}}),
        json!({"image": {"reference": "i:1"}}),
        json!({"projected": {"sources": [{"configMap": {"name": "c"}}]}}),
        json!({"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}}),
        json!({"fc": {"targetWWNs": ["a"], "lun": 1}}),
        json!({"rbd": {"monitors": ["m"], "image": "i"}}),
        json!({"gcePersistentDisk": {"pdName": "p"}}),
        json!({"azureFile": {"secretName": "s", "shareName": "n"}}),
    ];
    for volume in good {
        assert_eq!(problems("Pod", &pod(&volume)), [""; 0], "{volume}");
    }
    let bad = [
        (
            json!({"nfs": {"server": "s", "path": "a"}}),
            "spec.volumes[0].nfs.path: Invalid value: \"a\": must be an abs",
        ),
        (json!({"csi": {}}), "spec.volumes[0].csi.driver: Required value"),
        (json!({"image": {}}), "spec.volumes[0].image.reference: Required value"),
        (json!({"ephemeral": {}}), "spec.volumes[0].ephemeral.volumeClaimTemplate: Required value"),
        (json!({"fc": {}}), "spec.volumes[0].fc.targetWWNs: Required value: must specify either targetWWNs or wwids"),
    ];
    for (volume, message) in bad {
        let found = problems("Pod", &pod(&volume));
        assert!(found.iter().any(|p| p.starts_with(message)), "{volume}: {found:#?}");
    }
}

#[test]
fn where_a_pod_wants_to_be_is_checked() {
    let good = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i:1"}],
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}],
                 "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}]}},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}}]},
        },
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        "securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}}});
    let node = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let pods = "/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/0";
    refused(
        "Pod",
        &good,
        &[
            (
                node,
                json!([]),
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTe",
            ),
            (
                &format!("{pods}/weight"),
                json!(0),
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringEx",
            ),
            (
                "/spec/topologySpreadConstraints/0/maxSkew",
                json!(0),
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            ),
            (
                "/spec/securityContext/sysctls",
                json!([{"name": "A", "value": "1"}]),
                "spec.securityContext.sysctls[0].name: Invalid value: \"A\": must have at most 253 characters and match",
            ),
            (
                "/spec/ephemeralContainers",
                json!([{"name": "e", "image": "i"}]),
                "spec.ephemeralContainers: Forbidden: cann",
            ),
        ],
    );
}
