//! Three-way patches: what they say, and what they make of an object.

use serde_json::{Value, json};

use super::three_way;

const POD: &str = "io.k8s.api.core.v1.Pod";
const SERVICE: &str = "io.k8s.api.core.v1.Service";
const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";

/// The patch, and the object after it.
fn patched(last: &Value, new: &Value, live: &Value, name: &str) -> (Value, Value) {
    let patch = three_way(last, new, live, Some(name));
    let after = skiff_api::patch::strategic(live, &patch, name).unwrap();
    (patch, after)
}

#[test]
fn fields_come_change_and_go() {
    let last = json!({ "metadata": { "labels": { "a": "1", "b": "2" } }, "spec": { "nodeName": "n" } });
    let new = json!({ "metadata": { "labels": { "a": "3", "c": "4" } }, "spec": {} });
    let live = json!({ "metadata": { "labels": { "a": "1", "b": "2", "own": "x" }, "uid": "u" }, "spec": { "nodeName": "n", "hostname": "h" } });
    let (patch, after) = patched(&last, &new, &live, POD);
    assert_eq!(
        patch,
        json!({ "metadata": { "labels": { "a": "3", "b": null, "c": "4" } }, "spec": { "nodeName": null } })
    );
    assert_eq!(
        after,
        json!({ "metadata": { "labels": { "a": "3", "c": "4", "own": "x" }, "uid": "u" }, "spec": { "hostname": "h" } })
    );
}

#[test]
fn nothing_to_do_is_an_empty_patch() {
    let new = json!({ "spec": { "containers": [{ "name": "a", "image": "i", "ports": [{ "containerPort": 80 }] }] }, "status": {} });
    let live = json!({ "spec": { "containers": [{ "name": "a", "image": "i", "imagePullPolicy": "Always", "ports": [{ "containerPort": 80, "protocol": "TCP" }] }] } });
    assert_eq!(three_way(&new, &new, &live, Some(POD)), json!({}));
    let times = json!({ "metadata": { "creationTimestamp": null } });
    let created = json!({ "metadata": { "creationTimestamp": "2024-01-01T00:00:00Z" } });
    assert_eq!(three_way(&times, &times, &created, Some(POD)), json!({}));
}

#[test]
fn lists_are_merged_by_their_keys() {
    let container = |name: &str, image: &str| json!({ "name": name, "image": image });
    let last = json!({ "spec": { "containers": [container("a", "1"), container("b", "1")] } });
    let new = json!({ "spec": { "containers": [container("c", "1"), container("a", "2")] } });
    let live = json!({ "spec": { "containers": [
        { "name": "a", "image": "1", "imagePullPolicy": "Always" }, container("b", "1"), container("side", "car"),
    ] } });
    let (patch, after) = patched(&last, &new, &live, POD);
    assert_eq!(
        patch["spec"]["containers"],
        json!([container("c", "1"), container("a", "2"), { "$patch": "delete", "name": "b" }])
    );
    assert_eq!(patch["spec"]["$setElementOrder/containers"], json!([{ "name": "c" }, { "name": "a" }]));
    let names: Vec<&str> =
        after["spec"]["containers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3, "{after}");
    assert!(names.contains(&"side") && !names.contains(&"b"), "{names:?}");
    let a = after["spec"]["containers"].as_array().unwrap().iter().find(|one| one["name"] == "a").unwrap();
    assert_eq!(a, &json!({ "name": "a", "image": "2", "imagePullPolicy": "Always" }));
}

#[test]
fn ports_with_one_number_are_replaced_together() {
    let port = |protocol: &str| json!({ "name": protocol.to_lowercase(), "port": 53, "protocol": protocol });
    let new = json!({ "spec": { "ports": [port("TCP"), port("UDP")] } });
    let live = json!({ "spec": { "ports": [
        { "name": "tcp", "port": 53, "protocol": "TCP", "targetPort": 53 },
        { "name": "udp", "port": 53, "protocol": "UDP", "targetPort": 53 },
    ] } });
    assert_eq!(three_way(&new, &new, &live, Some(SERVICE)), json!({}));
    let one = json!({ "spec": { "ports": [port("UDP")] } });
    let (_, after) = patched(&new, &one, &live, SERVICE);
    assert_eq!(after["spec"]["ports"], json!([port("UDP")]));
}

#[test]
fn values_come_and_go() {
    let with = |all: &[&str]| json!({ "metadata": { "finalizers": all } });
    let (patch, after) = patched(&with(&["a/a", "b/b"]), &with(&["c/c", "a/a"]), &with(&["a/a", "b/b", "x/x"]), POD);
    assert_eq!(patch["metadata"]["$deleteFromPrimitiveList/finalizers"], json!(["b/b"]));
    let mut left: Vec<String> = serde_json::from_value(after["metadata"]["finalizers"].clone()).unwrap();
    left.sort();
    assert_eq!(left, ["a/a", "c/c", "x/x"]);
}

#[test]
fn a_strategy_keeps_only_its_own_keys() {
    let new = json!({ "spec": { "strategy": { "type": "Recreate" } } });
    let live = json!({ "spec": { "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } } } });
    let (_, after) = patched(&json!({}), &new, &live, DEPLOYMENT);
    assert_eq!(after, new);
}

#[test]
fn unknown_types_are_patched_as_plain_json() {
    let (last, new, live) = (json!({ "a": [1], "b": 1 }), json!({ "a": [1, 2] }), json!({ "a": [1], "b": 1, "c": 3 }));
    assert_eq!(three_way(&last, &new, &live, None), json!({ "a": [1, 2], "b": null }));
}
