//! The way of an object: decoded, defaulted, made, changed, its status written.

use proptest::prelude::*;
use serde_json::{Value, json};
use skiff_api::resource::{self, FieldValidation};
use skiff_api::selector::FieldSelector;

use crate::{kind, made};

const NOW: &str = "2026-01-01T00:00:00Z";

#[test]
fn bodies_are_read_with_the_field_validation_asked_for() {
    let body = br#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"foo":1,"containers":[]}}"#;
    let pod = kind("Pod");
    let (object, warnings) = pod.decode(body, FieldValidation::Warn).unwrap();
    assert_eq!(warnings, [r#"unknown field "spec.foo""#]);
    assert!(object["spec"].get("foo").is_none());
    assert_eq!(pod.decode(body, FieldValidation::Ignore).unwrap().1, [""; 0]);
    let error = pod.decode(body, FieldValidation::Strict).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (400, r#"Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.foo""#)
    );
    assert!(FieldValidation::parse("Loose").is_err());
}

#[test]
fn bodies_of_something_else_are_refused() {
    let table: [(&str, &str); 5] = [
        (
            r#"{"kind":"Deployment","apiVersion":"apps/v1"}"#,
            "the API version in the data (apps/v1) does not match the expected API version (v1)",
        ),
        (
            r#"{"kind":"Service","apiVersion":"v1"}"#,
            "the kind in the data (Service) does not match the expected kind (Pod)",
        ),
        (
            r#"{"spec":{"containers":{}}}"#,
            r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"#,
        ),
        ("", "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error"),
        ("{} {}", "the object provided is unrecognized (must be of type Pod)"),
    ];
    for (body, message) in table {
        let error = kind("Pod").decode(body.as_bytes(), FieldValidation::Warn).unwrap_err();
        assert_eq!(error.code, 400);
        assert!(error.message.starts_with(message), "{body}: {}", error.message);
    }
}

#[test]
fn an_update_keeps_what_clients_cannot_change() {
    let deployment = kind("Deployment");
    let mut old = json!({
        "metadata": {"name": "a", "namespace": "default", "uid": "u1", "generation": 3, "creationTimestamp": NOW,
                     "resourceVersion": "5"},
        "spec": {"replicas": 1},
        "status": {"replicas": 1},
    });
    let mut new = json!({
        "metadata": {"name": "a", "generation": 9, "creationTimestamp": "2020-01-01T00:00:00Z", "resourceVersion": "5"},
        "spec": {"replicas": 2},
        "status": {"replicas": 7},
    });
    deployment.prepare_update(&mut new, &old);
    assert_eq!(new["metadata"], {
        old["metadata"]["generation"] = json!(4);
        old["metadata"].clone()
    });
    assert_eq!(new["status"], json!({"replicas": 1}));
    let mut status = json!({"metadata": {"name": "a", "resourceVersion": "5", "labels": {"a": "b"}},
        "spec": {"replicas": 9}, "status": {"replicas": 2}});
    deployment.prepare_part_update("status", &mut status, &new, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!((&status["spec"], &status["status"]), (&json!({"replicas": 2}), &json!({"replicas": 2})));
    assert_eq!(status["metadata"]["generation"], 4);
    assert!(status["metadata"].get("labels").is_none());
}

#[test]
fn field_selectors_know_the_fields_of_a_kind() {
    let mut pod = made(
        "Pod",
        &json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "x"}], "nodeName": "n"}}),
    );
    pod["status"]["phase"] = json!("Running");
    let matches = |text: &str| {
        let selector: FieldSelector = text.parse().unwrap();
        kind("Pod").check_field_selector(&selector).map(|()| kind("Pod").matches_fields(&selector, &pod))
    };
    assert_eq!(matches("spec.nodeName=n,status.phase!=Failed,metadata.name=a"), Ok(true));
    assert_eq!(matches("spec.hostNetwork=true"), Ok(false));
    assert_eq!(matches("spec.hostNetwork=false"), Ok(true));
    assert_eq!(matches("spec.foo=1").unwrap_err().message, "field label not supported: spec.foo");
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = "spec|metadata|containers|name|ports|port|labels|env|volumes|status|x|template|selector|strategy|subsets";
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        "[a-z0-9%]{0,3}".prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(6, 80, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| json!(v)),
            prop::collection::btree_map(key, inner, 0..5).prop_map(|m| json!(m)),
        ]
    })
}

proptest! {
    /// Even what no schema has looked at does not make a kind panic.
    #[test]
    fn no_object_makes_a_kind_panic(object in any_json(), other in any_json()) {
        let now: jiff::Timestamp = NOW.parse().unwrap();
        for resource in resource::all() {
            let mut object = object.clone();
            resource.default(&mut object);
            resource.prepare_create(&mut object, "u", now);
            drop(resource.validate(&object));
            let mut new = other.clone();
            resource.default(&mut new);
            resource.prepare_update(&mut new, &object);
            drop(resource.validate_update(&new, &object));
            resource.prepare_part_update("status", &mut new, &object, jiff::Timestamp::UNIX_EPOCH);
            prop_assert_eq!(resource.cells(&new, now).len(), resource.columns.len());
        }
    }
}
