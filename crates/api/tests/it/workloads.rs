//! Deployments and ReplicaSets: what they become, what is refused, what counts as a new generation.

use serde_json::{Value, json};

use crate::{made, problems, updated};

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "httpenv"}]},
            },
        },
    })
}

#[test]
fn a_deployment_says_what_it_was_not_told() {
    let new = made("Deployment", &deployment());
    let mut spec = new["spec"].clone();
    let template = spec.as_object_mut().unwrap().remove("template").unwrap();
    assert_eq!(
        spec,
        json!({
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
        })
    );
    assert_eq!(template["spec"]["restartPolicy"], "Always");
    assert_eq!(template["spec"]["containers"][0]["imagePullPolicy"], "Always");
    assert!(template["spec"].get("enableServiceLinks").is_none());
    assert_eq!((&new["status"], &new["metadata"]["generation"]), (&json!({}), &json!(1)));
    assert_eq!(problems("Deployment", &deployment()), [""; 0]);
}

#[test]
fn bad_deployments_are_refused() {
    let table: [(&str, Value, &str); 9] = [
        ("/spec/replicas", json!(-1), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            "/spec/selector",
            json!({"matchLabels": {"app": "api"}}),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        ),
        ("/spec/selector", json!({}), "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        ("/spec/selector", json!(null), "spec.selector: Required value"),
        (
            "/spec/template/spec/restartPolicy",
            json!("Never"),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
        (
            "/spec/template/spec/containers",
            json!([{"name": "c"}]),
            "spec.template.spec.containers[0].image: Required value",
        ),
        (
            "/spec/strategy",
            json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            "/spec/strategy",
            json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
        ),
        (
            "/spec/progressDeadlineSeconds",
            json!(0),
            "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds",
        ),
    ];
    for (pointer, value, message) in table {
        let mut bad = deployment();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[field] = value;
        let found = problems("Deployment", &bad);
        assert!(found.iter().any(|p| p.starts_with(message)), "{pointer}: {found:#?}");
    }
}

#[test]
fn a_change_of_what_is_wanted_is_a_new_generation() {
    let old = made("Deployment", &deployment());
    let generation = |change: fn(&mut Value)| {
        let (new, found) = updated("Deployment", &old, change);
        assert_eq!(found, [""; 0]);
        new["metadata"]["generation"].as_i64().unwrap()
    };
    assert_eq!(generation(|_| {}), 1);
    assert_eq!(generation(|d| d["metadata"]["labels"] = json!({"a": "b"})), 1);
    assert_eq!(generation(|d| d["status"] = json!({"replicas": 5})), 1);
    assert_eq!(generation(|d| d["spec"]["replicas"] = json!(2)), 2);
    assert_eq!(generation(|d| d["metadata"]["annotations"] = json!({"a": "b"})), 2);
    let (_, found) = updated("Deployment", &old, |d| {
        d["spec"]["selector"] = json!({"matchLabels": {"app": "x"}});
        d["spec"]["template"]["metadata"]["labels"] = json!({"app": "x"});
    });
    assert_eq!(found, ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"x\"}}: field is immutable"]);
}
