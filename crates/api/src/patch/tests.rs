//! Tables of patches: what each does to an object, and that none makes a patch panic.

use proptest::prelude::*;
use serde_json::json as j;

use super::*;
use crate::schema::tests::any_json;

const POD: &str = "io.k8s.api.core.v1.Pod";
const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";

#[test]
fn content_types_are_told_apart() {
    assert_eq!(PatchType::of_content_type("application/json-patch+json; charset=utf-8"), Some(PatchType::Json));
    for text in CONTENT_TYPES.iter().filter(|text| **text != APPLY) {
        assert!(PatchType::of_content_type(text).is_some());
    }
    assert_eq!(PatchType::of_content_type("application/json"), None);
}

#[test]
fn json_patches_apply_or_say_why_not() {
    let object = j!({"a": {"b": [1, 2]}});
    let patched = json(&object, &j!([{"op": "add", "path": "/a/b/-", "value": 3}, {"op": "remove", "path": "/a/b/0"}]));
    assert_eq!(patched.unwrap(), j!({"a": {"b": [2, 3]}}));
    let missing = json(&object, &j!([{"op": "remove", "path": "/x"}])).unwrap_err();
    assert_eq!(missing.status().code, 422);
    assert_eq!(json(&object, &j!({})).unwrap_err().status().code, 400);
    assert_eq!(json(&object, &j!([{"op": "jump", "path": "/x"}])).unwrap_err().status().code, 400);
}

#[test]
fn merge_patches_replace_and_take_away() {
    let table = [
        (j!({"a": {"b": 1, "c": 2}}), j!({"a": {"b": null, "d": 3}}), j!({"a": {"c": 2, "d": 3}})),
        (j!({"a": [1, 2]}), j!({"a": [3]}), j!({"a": [3]})),
        (j!({"a": 1}), j!({"a": {"b": null, "c": 1}}), j!({"a": {"c": 1}})),
    ];
    for (object, patch, expected) in table {
        assert_eq!(merge(&object, &patch).unwrap(), expected);
    }
    assert!(merge(&j!({}), &j!([])).is_err());
}

fn pod(spec: serde_json::Value) -> serde_json::Value {
    j!({"spec": spec})
}

#[test]
fn strategic_patches_merge_lists_by_their_keys() {
    let original = pod(j!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}));
    let table = [
        // An item is merged, another is added behind it.
        (
            j!({"containers": [{"name": "b", "image": "2"}, {"name": "c"}]}),
            j!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c"}]}),
        ),
        // An item is taken away.
        (j!({"containers": [{"name": "a", "$patch": "delete"}]}), j!({"containers": [{"name": "b", "image": "1"}]})),
        // All items are replaced.
        (j!({"containers": [{"$patch": "replace"}, {"name": "z"}]}), j!({"containers": [{"name": "z"}]})),
        // The order is said.
        (
            j!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
            j!({"containers": [{"name": "b", "image": "1"}, {"name": "a", "image": "1"}]}),
        ),
        (
            j!({
                "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
                "containers": [{"name": "c", "image": "3"}],
            }),
            j!({"containers": [{"name": "c", "image": "3"}, {"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}),
        ),
        // Atomic lists are replaced.
        (
            j!({"containers": [{"name": "a", "command": ["x"]}]}),
            j!({"containers": [{"name": "a", "image": "1", "command": ["x"]}, {"name": "b", "image": "1"}]}),
        ),
        // Nothing of a null remains.
        (j!({"containers": null, "nodeName": "n", "hostname": null}), j!({"nodeName": "n"})),
    ];
    for (patch, expected) in table {
        assert_eq!(strategic(&original, &pod(patch.clone()), POD).unwrap(), pod(expected), "{patch}");
    }
}

#[test]
fn strategic_patches_obey_directives_for_maps_and_values() {
    let table = [
        (
            j!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
            j!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
            j!({"strategy": {"type": "Recreate"}}),
        ),
        (
            j!({"selector": {"matchLabels": {"a": "1"}}}),
            j!({"selector": {"$patch": "replace", "matchLabels": {"b": "2"}}}),
            j!({"selector": {"matchLabels": {"b": "2"}}}),
        ),
        (
            j!({"template": {"metadata": {"labels": {"a": "1", "b": "2"}}}}),
            j!({"template": {"metadata": {"labels": {"a": null, "c": "3"}}}}),
            j!({"template": {"metadata": {"labels": {"b": "2", "c": "3"}}}}),
        ),
        (
            j!({"template": {"metadata": {"finalizers": ["a/1", "b/2"]}}}),
            j!({"template": {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/1"], "finalizers": ["c/3"]}}}),
            j!({"template": {"metadata": {"finalizers": ["c/3", "b/2"]}}}),
        ),
        (
            j!({"template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}}),
            j!({"template": {"spec": {"volumes": [
                {"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}},
            ]}}}),
            j!({"template": {"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}}}),
        ),
        (
            j!({"template": {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}}}),
            j!({"template": {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 81, "name": "x"}]}]}}}),
            j!({"template": {"spec": {"containers": [
                {"name": "a", "ports": [{"containerPort": 81, "name": "x"}, {"containerPort": 80}]},
            ]}}}),
        ),
    ];
    for (object, patch, expected) in table {
        let (object, patch) = (j!({"spec": object}), j!({"spec": patch}));
        assert_eq!(strategic(&object, &patch, DEPLOYMENT).unwrap(), j!({"spec": expected}), "{patch}");
    }
}

#[test]
fn malformed_strategic_patches_are_refused() {
    let original = pod(j!({"containers": [{"name": "a"}], "volumes": []}));
    let table = [
        (j!({"containers": [{"image": "x"}]}), 422),
        (j!({"containers": [{"name": "a", "$patch": "explode"}]}), 400),
        (j!({"$patch": "explode"}), 400),
        (j!({"$retainKeys": "x"}), 400),
        (j!({"$retainKeys": ["nodeName"], "hostname": "x"}), 400),
        (j!({"$setElementOrder/containers": "x"}), 400),
        (j!({"$deleteFromPrimitiveList/containers": "x"}), 400),
        (j!({"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]}), 400),
        (j!({"containers": ["a"]}), 422),
    ];
    for (patch, code) in table {
        let error = strategic(&original, &pod(patch.clone()), POD).unwrap_err();
        assert_eq!(error.status().code, code, "{patch}: {error}");
    }
}

#[test]
fn kubectl_apply_of_a_changed_port_keeps_the_other() {
    let service = j!({"spec": {"ports": [{"port": 80, "targetPort": 80}, {"port": 443, "targetPort": 443}]}});
    let patch = j!({"spec": {
        "$setElementOrder/ports": [{"port": 80}, {"port": 443}],
        "ports": [{"port": 80, "targetPort": 8080}],
    }});
    let patched = strategic(&service, &patch, "io.k8s.api.core.v1.Service").unwrap();
    assert_eq!(patched["spec"]["ports"], j!([{"port": 80, "targetPort": 8080}, {"port": 443, "targetPort": 443}]));
}

proptest! {
    #[test]
    fn no_patch_panics(object in any_json(), patch in any_json()) {
        drop(strategic(&object, &patch, POD));
        drop(strategic(&j!({"spec": object}), &j!({"spec": patch}), POD));
        drop(merge(&object, &patch));
        drop(json(&object, &patch));
    }

    #[test]
    fn an_empty_patch_changes_nothing(object in any_json()) {
        prop_assume!(object.is_object());
        prop_assert_eq!(strategic(&object, &j!({}), POD).unwrap(), object.clone());
        prop_assert_eq!(merge(&object, &j!({})).unwrap(), object);
    }
}
