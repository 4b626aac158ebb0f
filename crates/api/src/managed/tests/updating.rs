//! Updates: what changed belongs to who changed it.

use super::*;

#[test]
fn a_creator_owns_the_object_but_for_what_is_always_there() {
    let mut scene = Scene::of(DEPLOYMENT);
    scene.reset = Set::of_fields(&[&["status"]]);
    scene.update("kubectl-create", |object| {
        *object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "namespace": "d", "labels": {"app": "a"}, "creationTimestamp": NOON},
            "spec": {"replicas": 1, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
                "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"restartPolicy": "Always", "containers": [
                    {"name": "c", "image": "i", "resources": {}, "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}}},
            "status": {"replicas": 7}});
    });
    assert_eq!(
        scene.fields("kubectl-create"),
        json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {},
                        "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {},
                            "f:containerPort": {}, "f:protocol": {}}},
                        "f:resources": {}}}, "f:restartPolicy": {}}}}
        })
    );
}

#[test]
fn ownership_moves_with_the_change() {
    let mut scene = Scene::of(CONFIG_MAP);
    scene.update("one", |object| object["data"] = json!({"a": "1", "b": "2", "c": "3"}));
    scene.update("two", |object| {
        object["data"] = json!({"a": "1", "b": "5", "d": "4"});
    });
    assert_eq!(scene.fields("one"), json!({"f:data": {".": {}, "f:a": {}}}));
    assert_eq!(scene.fields("two"), json!({"f:data": {"f:b": {}, "f:d": {}}}));
    let before = scene.object().clone();
    scene.update("three", |_| {});
    assert_eq!(*scene.object(), before);
    scene.update("two", |object| object["data"] = json!({"a": "2", "b": "2", "d": "2"}));
    assert_eq!(scene.fields("one"), json!({"f:data": {}}));
}

#[test]
fn an_update_takes_from_an_applier() {
    let mut scene = Scene::of(CONFIG_MAP);
    scene.apply("me", data(&[("a", "1"), ("b", "2")]));
    scene.update("it", |object| object["data"]["a"] = json!("9"));
    assert_eq!(scene.fields("me"), json!({"f:data": {"f:b": {}}}));
    assert!(scene.try_apply("me", &data(&[("a", "1"), ("b", "2")]), false).is_err());
    // What it lost it does not take away when it mentions it no more.
    scene.apply("me", data(&[("b", "2")]));
    assert_eq!(scene.object()["data"], json!({"a": "9", "b": "2"}));
}

#[test]
fn owners_can_be_cleared_and_rewritten_but_not_lost() {
    let mut scene = Scene::of(CONFIG_MAP);
    scene.update("one", |object| object["data"] = json!({"a": "1"}));
    let kept = scene.object()["metadata"]["managedFields"].clone();
    scene.update("two", |object| meta::unset(object, "managedFields"));
    assert_eq!(scene.object()["metadata"]["managedFields"], kept);
    scene.update("two", |object| meta::set(object, "managedFields", json!([{"manager": "x", "operation": "Eat"}])));
    assert_eq!(scene.object()["metadata"]["managedFields"], kept);
    scene.update("two", |object| object["metadata"]["managedFields"][0]["manager"] = json!("renamed"));
    assert_eq!(scene.fields("renamed"), json!({"f:data": {".": {}, "f:a": {}}}));
    for cleared in [json!([{}]), json!([])] {
        let mut scene = Scene::of(CONFIG_MAP);
        scene.update("one", |object| object["data"] = json!({"a": "1"}));
        scene.update("two", |object| meta::set(object, "managedFields", cleared));
        assert!(scene.object()["metadata"].get("managedFields").is_none());
        scene.update("two", |object| object["data"]["b"] = json!("2"));
        assert!(scene.object()["metadata"].get("managedFields").is_none());
    }
}

#[test]
fn of_many_updaters_the_oldest_are_taken_together() {
    let mut scene = Scene::of(CONFIG_MAP);
    scene.apply("applier", data(&[("z", "1")]));
    for n in 0..15 {
        let mut new = scene.object().clone();
        new["data"][format!("k{n:02}")] = json!("v");
        let time = format!("2026-01-01T12:00:{n:02}Z");
        let manager = format!("m{n:02}");
        let author = Author { time: &time, ..scene.author(&manager) };
        let old = scene.object.take();
        update(scene.rules(), old.as_ref(), &mut new, &author).unwrap();
        scene.object = Some(new);
    }
    let managers = scene.managers();
    assert_eq!(managers.len(), 11);
    assert_eq!(managers[0].0, "applier");
    assert_eq!(managers[1].0, "ancient-changes");
    assert_eq!(managers[2].0, "m06");
    assert_eq!(scene.fields("ancient-changes")["f:data"].as_object().unwrap().len(), 6);
}

#[test]
fn parts_have_entries_of_their_own() {
    let mut scene = Scene::of(DEPLOYMENT);
    scene.update("it", |object| object["spec"] = json!({"replicas": 1}));
    let old = scene.object().clone();
    let mut new = old.clone();
    new["status"] = json!({"replicas": 2});
    new["metadata"]["managedFields"] = json!([]);
    let author = Author { subresource: "status", time: LATER, ..scene.author("it") };
    let reset = Set::of_fields(&[&["spec"]]);
    update(Rules { reset: &reset, ..scene.rules() }, Some(&old), &mut new, &author).unwrap();
    let list = new["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[1]["subresource"], "status");
    assert_eq!(list[1]["time"], LATER);
    assert_eq!(list[1]["fieldsV1"], json!({"f:status": {"f:replicas": {}}}));
}

#[test]
fn a_write_that_changes_only_times_changes_nothing() {
    let mut scene = Scene::of(CONFIG_MAP);
    scene.apply("me", data(&[("a", "1")]));
    let old = scene.object().clone();
    let mut new = old.clone();
    new["metadata"]["managedFields"][0]["time"] = json!(LATER);
    let mut changed = new.clone();
    changed["data"]["a"] = json!("2");
    keep_times(&mut new, &old);
    assert_eq!(new, old);
    keep_times(&mut changed, &old);
    assert_eq!(changed["metadata"]["managedFields"][0]["time"], LATER);
}

#[test]
fn items_that_are_there_twice_are_compared_together() {
    let ports = |list: Value| json!({"spec": {"containers": [{"name": "c", "ports": list}]}});
    let schema = Schema::of_type(POD);
    let (one, two) = (json!({"containerPort": 1, "name": "a"}), json!({"containerPort": 1, "name": "b"}));
    let found = compare(schema, &ports(json!([one])), &ports(json!([one, two])));
    let port = ".spec.containers[name=\"c\"].ports[containerPort=1,protocol=\"TCP\"]";
    let shown = |set: &Set| set.paths().iter().map(|path| show(path)).collect::<Vec<_>>();
    assert_eq!(shown(&found.added), [port]);
    assert_eq!(shown(&found.removed), [port.to_owned(), format!("{port}.containerPort"), format!("{port}.name")]);
    let found = compare(schema, &ports(json!([one, two])), &ports(json!([two, one])));
    assert_eq!(shown(&found.modified), [port]);
}
