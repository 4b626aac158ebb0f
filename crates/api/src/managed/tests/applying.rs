//! Applying: what comes, what goes, and what is refused.

use super::*;

fn ports(list: Value) -> Value {
    named("a", json!({"spec": {"ports": list}}))
}

#[test]
fn an_applier_owns_what_it_mentions() {
    let mut scene = Scene::of(DEPLOYMENT);
    scene.apply(
        "me",
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "labels": {"x": "y"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"x": "y"}}, "template": {"spec": {"containers": [
            {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "args": ["a"]}]}}}}),
    );
    assert_eq!(
        scene.fields("me"),
        json!({
            "f:metadata": {"f:labels": {"f:x": {}}},
            "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"c\"}": {".": {}, "f:name": {}, "f:image": {}, "f:args": {}, "f:ports": {
                    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}
        })
    );
    assert_eq!(scene.managers(), [("me".to_owned(), "Apply".to_owned())]);
}

#[test]
fn what_nobody_wants_any_more_goes() {
    let mut scene = Scene::of(CONFIG_MAP);
    scene.apply("me", data(&[("a", "1"), ("b", "2"), ("c", "3")]));
    scene.apply("you", data(&[("b", "2")]));
    scene.update("it", |object| object["data"]["d"] = json!("4"));
    scene.apply("me", data(&[("a", "1")]));
    assert_eq!(scene.object()["data"], json!({"a": "1", "b": "2", "d": "4"}));
    assert_eq!(scene.fields("me"), json!({"f:data": {"f:a": {}}}));
    scene.apply("me", data(&[]));
    scene.apply("you", data(&[]));
    assert_eq!(scene.object()["data"], json!({"d": "4"}));
    assert_eq!(scene.fields("me"), json!({"f:data": {}}));
}

#[test]
fn a_removed_field_can_come_back() {
    let mut scene = Scene::of(CONFIG_MAP);
    for entries in [&[("a", "1"), ("b", "2")][..], &[("a", "1")], &[("a", "1"), ("b", "3")]] {
        scene.apply("me", data(entries));
        assert_eq!(scene.object()["data"], data(entries)["data"]);
    }
}

#[test]
fn conflicts_are_told_as_kubernetes_tells_them() {
    let mut scene = Scene::of(DEPLOYMENT);
    scene.update("kubectl-client-side-apply", |object| {
        object["spec"] = json!({"replicas": 3, "paused": true, "minReadySeconds": 1});
    });
    let error = scene.try_apply("me", &named("a", json!({"spec": {"replicas": 5}})), false).unwrap_err();
    let status = error.status();
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas"
    );
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let causes = &status.details.unwrap().causes;
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].message, "conflict with \"kubectl-client-side-apply\" using apps/v1");
    assert_eq!(causes[0].field, ".spec.replicas");
    scene.apply("you", named("a", json!({"spec": {"minReadySeconds": 1}})));
    let wanted = named("a", json!({"spec": {"replicas": 5, "paused": false, "minReadySeconds": 2}}));
    assert_eq!(
        scene.try_apply("me", &wanted, false).unwrap_err().to_string(),
        "Apply failed with 4 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n\
         - .spec.minReadySeconds\n- .spec.paused\n- .spec.replicas\nconflicts with \"you\":\n- .spec.minReadySeconds"
    );
    scene.force("me", wanted.clone());
    assert_eq!(scene.object()["spec"], wanted["spec"]);
    assert_eq!(scene.managers(), [("me".to_owned(), "Apply".to_owned())]);
}

#[test]
fn the_same_value_is_shared_and_no_conflict() {
    let mut scene = Scene::of(CONFIG_MAP);
    scene.apply("me", data(&[("a", "1")])).apply("you", data(&[("a", "1")]));
    assert!(scene.try_apply("you", &data(&[("a", "2")]), false).is_err());
    scene.apply("me", data(&[]));
    assert_eq!(scene.object()["data"], json!({"a": "1"}));
    scene.apply("you", data(&[("a", "2")]));
    assert_eq!(scene.object()["data"], json!({"a": "2"}));
}

#[test]
fn items_are_told_apart_by_their_keys() {
    let mut scene = Scene::of(SERVICE);
    scene.apply("me", ports(json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "name": "tcp"}])));
    scene.apply("you", ports(json!([{"port": 80, "name": "web"}])));
    assert_eq!(scene.object()["spec"]["ports"].as_array().unwrap().len(), 3);
    scene.apply("me", ports(json!([{"port": 53, "protocol": "TCP", "name": "dns"}])));
    assert_eq!(
        scene.object()["spec"]["ports"],
        json!([{"port": 53, "protocol": "TCP", "name": "dns"}, {"port": 80, "name": "web"}])
    );
    let twice = scene.try_apply("me", &ports(json!([{"port": 1}, {"port": 1, "protocol": "TCP"}])), false);
    assert!(
        twice.unwrap_err().to_string().ends_with(".spec.ports: duplicate entries for key [port=1,protocol=\"TCP\"]")
    );
}

#[test]
fn items_of_two_appliers_keep_their_orders() {
    let table = [
        (json!(["a", "b", "c"]), json!(["c", "a"]), json!(["b", "c", "a"])),
        (json!(["a", "b"]), json!(["x", "b", "y"]), json!(["a", "x", "b", "y"])),
        (json!(["a", "b"]), json!([]), json!(["a", "b"])),
        (json!([]), json!(["b", "a"]), json!(["b", "a"])),
        (json!(["a", "b", "c", "d"]), json!(["d", "e", "b"]), json!(["a", "c", "d", "e", "b"])),
    ];
    for (live, config, merged) in table {
        let object = |list: &Value| named("a", json!({"metadata": {"name": "a", "finalizers": list}}));
        let found = super::super::merge::merge(Schema::of_type(POD), &object(&live), &object(&config)).unwrap();
        assert_eq!(found["metadata"]["finalizers"], merged, "{live} {config}");
    }
}

#[test]
fn an_atomic_value_has_one_owner() {
    let selector = |labels: Value| named("a", json!({"spec": {"selector": {"matchLabels": labels}}}));
    let mut scene = Scene::of(DEPLOYMENT);
    scene.apply("me", selector(json!({"a": "b"})));
    let refused = scene.try_apply("you", &selector(json!({"c": "d"})), false).unwrap_err();
    assert!(refused.to_string().ends_with("conflict with \"me\": .spec.selector"), "{refused}");
    scene.force("you", selector(json!({"c": "d"})));
    assert_eq!(scene.object()["spec"]["selector"], json!({"matchLabels": {"c": "d"}}));
}

#[test]
fn a_configuration_must_fit_the_schema() {
    let table = [
        (json!({"spec": {"replica": 1}}), ".spec.replica: field not declared in schema"),
        (json!({"spec": {"replicas": "1"}}), ".spec.replicas: expected numeric (int or float), got string"),
        (json!({"spec": {"selector": {"matchLabel": {}}}}), ".spec.selector.matchLabel: field not declared in schema"),
        (
            json!({"spec": {"template": {"spec": {"containers": [{"image": "i"}, {"image": "i"}]}}}}),
            ".spec.template.spec.containers: duplicate entries for key [name=\"\"]",
        ),
        (
            json!({"spec": {"template": {"spec": {"containers": {}}}}}),
            ".spec.template.spec.containers: expected list, got {}",
        ),
        (
            json!({"spec": {"template": {"spec": {"containers": [1]}}}}),
            ".spec.template.spec.containers: element 0: associative list with keys may not have non-map elements",
        ),
    ];
    for (wrong, message) in table {
        let mut config = named("a", wrong);
        config["apiVersion"] = json!("apps/v1");
        config["kind"] = json!("Deployment");
        let error = Scene::of(DEPLOYMENT).try_apply("me", &config, false).unwrap_err();
        let expected = format!("failed to create typed patch object (/a; apps/v1, Kind=Deployment): {message}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.status().code, 400);
    }
}

#[test]
fn an_object_of_no_owner_belongs_to_those_before() {
    let mut scene = Scene::of(CONFIG_MAP);
    let mut old = data(&[("a", "1"), ("b", "2")]);
    meta::set(&mut old, "uid", "u");
    scene.object = Some(old);
    assert!(scene.try_apply("me", &data(&[("a", "2")]), false).is_err());
    scene.apply("me", data(&[("a", "1")]));
    assert_eq!(scene.fields("before-first-apply"), json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}}));
}

#[test]
fn kubectl_takes_over_what_it_applied_itself() {
    let last =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "1", "b": "2"}});
    let mut scene = Scene::of(CONFIG_MAP);
    scene.update("kubectl-client-side-apply", |object| {
        object["data"] = json!({"a": "1", "b": "2"});
        meta::set_annotation(object, "kubectl.kubernetes.io/last-applied-configuration", Some(&last.to_string()));
    });
    assert!(scene.try_apply("other", &data(&[("a", "5")]), false).is_err());
    let mut wanted = data(&[("a", "5"), ("b", "2")]);
    wanted["apiVersion"] = json!("v1");
    scene.apply("kubectl", wanted.clone());
    assert_eq!(scene.object()["data"]["a"], "5");
    let annotation = meta::annotation(scene.object(), "kubectl.kubernetes.io/last-applied-configuration").unwrap();
    assert_eq!(serde_json::from_str::<Value>(annotation).unwrap(), wanted);
    scene.update("other", |object| object["data"]["b"] = json!("3"));
    assert!(scene.try_apply("kubectl", &data(&[("b", "4")]), false).is_err());
}

#[test]
fn custom_resources_follow_their_schema() {
    let schema = CustomSchema::parse(
        &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "list": {"type": "array", "items": {"type": "string"}},
            "keyed": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"],
                "items": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": "x"}}}},
            "atom": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }}}}),
    );
    let mut scene = Scene::custom(&schema);
    let spec = |spec: Value| named("a", json!({ "spec": spec }));
    scene.apply(
        "me",
        spec(json!({"set": ["a"], "list": ["b"], "keyed": [{"a": "1"}], "atom": {"k": "v"}, "any": {"x": {"y": [1]}}})),
    );
    assert_eq!(
        scene.fields("me")["f:spec"],
        json!({"f:set": {"v:\"a\"": {}}, "f:list": {}, "f:atom": {}, "f:any": {"f:x": {".": {}, "f:y": {}}},
            "f:keyed": {"k:{\"a\":\"1\",\"b\":\"x\"}": {".": {}, "f:a": {}}}})
    );
    scene.apply("you", spec(json!({"set": ["z"], "any": {"x": {"w": 1}}})));
    assert_eq!(scene.object()["spec"]["set"], json!(["a", "z"]));
    assert_eq!(scene.object()["spec"]["any"], json!({"x": {"y": [1], "w": 1}}));
    let error = scene.try_apply("you", &spec(json!({"nope": 1})), false).unwrap_err();
    assert!(error.to_string().ends_with(".spec.nope: field not declared in schema"));
}

#[test]
fn custom_resources_without_a_schema_are_merged_by_field() {
    let none = CustomSchema::parse(&Value::Null);
    let mut scene = Scene::custom(&none);
    let spec = |spec: Value| named("a", json!({ "spec": spec }));
    scene.apply("me", spec(json!({"a": {"b": 1}, "l": [1, {"c": 2}]}))).apply("you", spec(json!({"a": {"d": 2}})));
    assert_eq!(scene.object()["spec"], json!({"a": {"b": 1, "d": 2}, "l": [1, {"c": 2}]}));
    scene.force("you", spec(json!({"a": "now text"})));
    assert_eq!(scene.object()["spec"]["a"], "now text");
    assert_eq!(scene.fields("me")["f:spec"]["f:a"], Value::Null);
}
