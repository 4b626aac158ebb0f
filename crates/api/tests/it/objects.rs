//! The smaller kinds: defaults and refusals.

use serde_json::{Value, json};

use crate::{kind, made, problems, updated};

fn named(mut object: Value) -> Value {
    if object["metadata"].is_null() {
        object["metadata"] = json!({"name": "x"});
    }
    object
}

#[test]
fn namespaces_carry_their_name_and_a_finalizer() {
    let new = made("Namespace", &named(json!({})));
    assert_eq!(new["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "x"}));
    assert_eq!((&new["spec"], &new["status"]), (&json!({"finalizers": ["kubernetes"]}), &json!({"phase": "Active"})));
    let found = problems("Namespace", &json!({"metadata": {"name": "a.b"}}));
    assert_eq!(found, ["metadata.name: Invalid value: \"a.b\": must not contain dots"]);
}

#[test]
fn secrets_take_plain_text_and_keep_their_type() {
    let new = made("Secret", &named(json!({"data": {"a": "YQ=="}, "stringData": {"b": "b"}})));
    assert_eq!((&new["type"], &new["data"]), (&json!("Opaque"), &json!({"a": "YQ==", "b": "Yg=="})));
    assert!(new.get("stringData").is_none());
    let (_, found) = updated("Secret", &new, |s| s["type"] = json!("other"));
    assert_eq!(found, ["type: Invalid value: \"other\": field is immutable"]);
    assert_eq!(
        problems("Secret", &named(json!({"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}))),
        ["data[tls.key]: Required value"]
    );
    let found = problems("Secret", &named(json!({"data": {"a/b": ""}})));
    assert!(found[0].starts_with("data[a/b]: Invalid value: \"a/b\": a valid config key must consist of"));
}

#[test]
fn immutable_config_maps_stay_as_they_are() {
    let old = made("ConfigMap", &named(json!({"immutable": true, "data": {"a": "b"}})));
    let (_, found) = updated("ConfigMap", &old, |map| map["data"]["a"] = json!("c"));
    assert_eq!(found, ["data: Forbidden: field is immutable when `immutable` is set"]);
    let (_, found) = updated("ConfigMap", &old, |map| map["immutable"] = json!(false));
    assert_eq!(found, ["immutable: Forbidden: field is immutable when `immutable` is set"]);
    let (_, found) = updated("ConfigMap", &old, |map| map["metadata"]["labels"] = json!({"a": "b"}));
    assert_eq!(found, [""; 0]);
    let large = json!({"data": {"a": "x".repeat(1024 * 1024 + 1)}});
    assert_eq!(problems("ConfigMap", &named(large)), [": Too long: may not be more than 1048576 bytes"]);
}

#[test]
fn the_smaller_kinds_are_checked() {
    let binding = |role: Value| named(json!({"roleRef": role, "subjects": [{"kind": "User", "name": "u"}]}));
    let table = [
        (
            "Node",
            named(json!({"spec": {"taints": [{"key": "a", "effect": "Sometimes"}]}})),
            "spec.taints[0].effect: Unsupported value: \"Sometimes\": supported values: \"NoSchedule\", \
             \"PreferNoSchedule\", \"NoExecute\"",
        ),
        (
            "Event",
            named(json!({"involvedObject": {"namespace": "other"}})),
            "involvedObject.namespace: Invalid value: \"other\": does not match event.namespace",
        ),
        (
            "EndpointSlice",
            named(json!({"addressType": "IPv4", "endpoints": [{"addresses": ["fd00::1"]}]})),
            "endpoints[0].addresses[0]: Invalid value: \"fd00::1\": must be an IPv4 address",
        ),
        (
            "Endpoints",
            named(json!({"subsets": [{"ports": [{"port": 1}]}]})),
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
        ),
        (
            "Endpoints",
            named(json!({"subsets": [{"addresses": [{"ip": "127.0.0.1"}]}]})),
            "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range",
        ),
        (
            "Lease",
            named(json!({"spec": {"leaseDurationSeconds": 0}})),
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        ),
        (
            "Role",
            named(json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": []}]})),
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            "RoleBinding",
            binding(json!({"kind": "Thing", "name": "x"})),
            "roleRef.kind: Unsupported value: \"Thing\": supported values: \"ClusterRole\", \"Role\"",
        ),
        ("Binding", named(json!({"target": {"kind": "Node"}})), "target.name: Required value"),
    ];
    for (kind, object, message) in table {
        let found = problems(kind, &object);
        assert!(found.iter().any(|p| p.starts_with(message)), "{kind}: {found:#?}");
    }
    let new = made("RoleBinding", &binding(json!({"kind": "Role", "name": "x"})));
    assert_eq!(new["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(kind("RoleBinding").validate(&new), []);
    let (_, found) = updated("RoleBinding", &new, |b| b["roleRef"]["name"] = json!("y"));
    assert!(found[0].starts_with("roleRef: Invalid value: {") && found[0].ends_with("cannot change roleRef"));
}

#[test]
fn metadata_is_checked_for_every_kind() {
    let table = [
        (json!({}), "metadata.name: Required value: name or generateName is required"),
        (json!({"name": "A"}), "metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must"),
        (json!({"name": "a", "labels": {"a": "b c"}}), "metadata.labels: Invalid value: \"b c\": a valid label must"),
        (json!({"name": "a", "annotations": {"/a": ""}}), "metadata.annotations: Invalid value: \"/a\": prefix part"),
        (
            json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]}),
            "metadata.ownerReferences[0].uid: Required value: must not be empty",
        ),
        (json!({"name": "a", "finalizers": ["a b"]}), "metadata.finalizers: Invalid value: \"a b\": name part must"),
    ];
    for (metadata, message) in table {
        let found = problems("ConfigMap", &json!({"metadata": metadata}));
        assert!(found.iter().any(|p| p.starts_with(message)), "{metadata}: {found:#?}");
    }
    let old = made("ConfigMap", &named(json!({})));
    let (_, found) = updated("ConfigMap", &old, |map| map["metadata"]["uid"] = json!("u2"));
    assert_eq!(found, ["metadata.uid: Invalid value: \"u2\": field is immutable"]);
}
