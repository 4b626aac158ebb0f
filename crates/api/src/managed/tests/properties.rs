//! What holds for any configuration.

use proptest::prelude::*;

use super::*;

type Container = (String, (String, Option<Value>, Option<Vec<String>>));

fn containers() -> impl Strategy<Value = Value> {
    let ports = prop::collection::btree_map(1..4_u16, prop::option::of("[ab]"), 0..3).prop_map(|ports| {
        let port = |(port, name): (u16, Option<String>)| match name {
            Some(name) => json!({"containerPort": port, "name": name}),
            None => json!({ "containerPort": port }),
        };
        Value::Array(ports.into_iter().map(port).collect())
    });
    let one = ("[xy]", prop::option::of(ports), prop::option::of(prop::collection::vec("[ab]", 0..3)));
    prop::collection::btree_map("[abc]", one, 0..4).prop_map(|all| {
        let container = |(name, (image, ports, args)): Container| {
            let mut container = json!({"name": name, "image": image});
            for (field, value) in [("ports", ports), ("args", args.map(|args| json!(args)))] {
                if let Some(value) = value {
                    container[field] = value;
                }
            }
            container
        };
        Value::Array(all.into_iter().map(container).collect())
    })
}

fn config() -> impl Strategy<Value = Value> {
    let labels = prop::option::of(prop::collection::btree_map("[ab]", "[xy]", 0..3));
    let finalizers = prop::option::of(prop::sample::subsequence(vec!["a", "b", "c"], 0..3));
    (labels, finalizers, prop::option::of(containers())).prop_map(|(labels, finalizers, containers)| {
        let mut object = json!({"metadata": {"name": "a"}});
        if let Some(labels) = labels {
            object["metadata"]["labels"] = json!(labels);
        }
        if let Some(finalizers) = finalizers {
            object["metadata"]["finalizers"] = json!(finalizers);
        }
        if let Some(containers) = containers {
            object["spec"]["containers"] = containers;
        }
        object
    })
}

/// The list of owners is readable, and everything owned is there.
fn owners_are_sound(scene: &Scene<'_>) {
    let mut object = scene.object().clone();
    let list = super::super::update::take(&mut object).unwrap_or(json!([]));
    let there = fields::fields(scene.schema, &object).with_named_fields(Some(scene.schema));
    for entry in list.as_array().unwrap() {
        let set = Set::from_json(&entry["fieldsV1"]).unwrap();
        assert_eq!(set.to_json(), entry["fieldsV1"]);
        for path in set.paths() {
            // An empty object or list that an applier mentions may have been filled or taken away by others.
            let is_item = matches!(path.last(), Some(Element::Key(_) | Element::Value(_)));
            assert!(!is_item || there.has(&path), "{} of {entry} is not in {object}", show(&path));
        }
    }
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(first in config(), second in config()) {
        let mut scene = Scene::of(POD);
        scene.apply("me", first).force("you", second.clone());
        let once = scene.object().clone();
        // What nobody owns is found to have been there before.
        prop_assume!(once["metadata"].get("managedFields").is_some());
        scene.apply("you", second);
        prop_assert_eq!(scene.object(), &once);
    }

    #[test]
    fn a_lonely_applier_gets_what_it_wants(first in config(), second in config()) {
        let mut one = Scene::of(POD);
        one.apply("me", first).apply("me", second.clone());
        let owned = one.fields("me");
        let mut other = Scene::of(POD);
        other.apply("me", second);
        prop_assert_eq!(owned, other.fields("me"));
        let images = |scene: &Scene<'_>| scene.object()["spec"]["containers"].as_array().map(Vec::len).unwrap_or_default();
        prop_assert_eq!(images(&one), images(&other));
    }

    #[test]
    fn owners_own_what_is_there(steps in prop::collection::vec((0..3_u8, any::<bool>(), config()), 1..8)) {
        let mut scene = Scene::of(POD);
        for (who, applies, config) in steps {
            let manager = ["a", "b", "c"][usize::from(who)];
            if applies {
                scene.force(manager, config);
            } else {
                scene.update(manager, |object| {
                    for field in ["labels", "finalizers"] {
                        object["metadata"][field] = config["metadata"][field].clone();
                    }
                    object["spec"] = config["spec"].clone();
                    let list = object["metadata"].get("managedFields").cloned();
                    *object = clean(object.clone());
                    if let Some(list) = list {
                        object["metadata"]["managedFields"] = list;
                    }
                });
            }
            owners_are_sound(&scene);
        }
    }

    #[test]
    fn sets_obey_the_laws(a in config(), b in config()) {
        let schema = Schema::of_type(POD);
        let (a, b) = (fields::fields(schema, &a), fields::fields(schema, &b));
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        prop_assert_eq!(Set::from_json(&a.to_json()).unwrap(), a);
    }

    #[test]
    fn no_document_is_too_strange(text in "[a-z:.{}\"\\[\\]0-9]{0,12}", depth in 0..300_usize) {
        let mut fields = json!({});
        for _ in 0..depth {
            fields = json!({ "f:a": fields });
        }
        let mut object = json!({"metadata": {"name": "a", "managedFields": [
            {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "fieldsV1": {text: fields}}]}, "data": {"a": "b"}});
        let old = object.clone();
        object["data"]["a"] = json!("c");
        let author = Author { manager: "x", api_version: "v1", subresource: "", time: NOON };
        let scene = Scene::of(CONFIG_MAP);
        update(scene.rules(), Some(&old), &mut object, &author).unwrap();
        let _ = apply(scene.rules(), Some(&old), &data(&[("a", "d")]), &author, false);
    }
}
