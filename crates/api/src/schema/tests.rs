//! Tables of documents: what decoding says about each, and that no document makes it panic.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const POD: &str = "io.k8s.api.core.v1.Pod";
const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";
const SERVICE: &str = "io.k8s.api.core.v1.Service";

fn read(name: &str, text: &str) -> Result<Decoded, DecodeError> {
    decode(name, &mut serde_json::Deserializer::from_str(text))
}

#[test]
fn every_type_of_the_table_parses_and_refers_to_known_types() {
    fn check(of: &Of, at: &str) {
        match of {
            Of::Type(name) => assert!(name.find().is_some(), "{at}: {name:?}"),
            Of::List(of) | Of::Map(of) => check(of, at),
            _ => {}
        }
    }
    for line in &table().lines {
        let of = lookup(line.name).unwrap();
        assert!(std::ptr::eq(find(&of.name).unwrap(), of));
        for field in &of.fields {
            check(&field.of, &format!("{}.{}", of.name, field.name));
        }
    }
    let spec = find("io.k8s.api.core.v1.PodSpec").unwrap();
    let volumes = spec.field("volumes").unwrap();
    assert_eq!((volumes.merge, volumes.retain_keys), (Some("name"), true));
    assert_eq!(volumes.list, ListType::Map(vec!["name"]));
    assert_eq!(find(POD).unwrap().kind, Some(["", "v1", "Pod"]));
}

#[test]
fn unknown_and_duplicate_fields_are_named_in_the_order_of_the_document() {
    let text = r#"{"kind":"Pod","foo":1,"metadata":{"name":"a","name":"b","labels":{"x":"1","x":"2"}},
        "spec":{"containers":[{"name":"a"},{"nam":"b","env":[{"value":"v","vale":{}}]}],"foo":[{"bar":1}]}}"#;
    let decoded = read(POD, text).unwrap();
    assert_eq!(
        decoded.strict,
        [
            r#"unknown field "foo""#,
            r#"duplicate field "metadata.name""#,
            r#"duplicate field "metadata.labels.x""#,
            r#"unknown field "spec.containers[1].nam""#,
            r#"unknown field "spec.containers[1].env[0].vale""#,
            r#"unknown field "spec.foo""#,
        ]
    );
    assert_eq!(decoded.object["metadata"], json!({"name": "b", "labels": {"x": "2"}}));
    assert_eq!(decoded.object["spec"]["containers"][1], json!({"env": [{"value": "v"}]}));
}

#[test]
fn wrong_types_are_explained_as_kubernetes_does() {
    let table = [
        (
            DEPLOYMENT,
            json!({"spec": {"replicas": "three"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            json!({"spec": {"template": {"spec": {"containers": {"name": "a"}}}}}),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type \
             []v1.Container",
        ),
        (
            POD,
            json!({"spec": {"containers": [{"ports": [{"containerPort": 1.5}]}]}}),
            "json: cannot unmarshal number 1.5 into Go struct field \
             ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            SERVICE,
            json!({"spec": {"selector": {"app": 1}}}),
            "json: cannot unmarshal number into Go struct field ServiceSpec.spec.selector of type string",
        ),
        (
            POD,
            json!({"metadata": {"labels": ["a"]}}),
            "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (POD, json!({"spec": "x"}), "json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec"),
        (POD, json!([]), "json: cannot unmarshal array into Go value of type v1.Pod"),
        (
            POD,
            json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ("io.k8s.api.core.v1.Secret", json!({"data": {"a": "not base64!"}}), "illegal base64 data at input byte 3"),
        (
            SERVICE,
            json!({"spec": {"ports": [{"port": 99_999_999_999_i64}]}}),
            "json: cannot unmarshal number 99999999999 into Go struct field ServicePort.spec.ports.port of type int32",
        ),
    ];
    for (name, document, message) in table {
        assert_eq!(decode(name, &document).unwrap_err(), DecodeError::Type(message.to_owned()));
    }
}

#[test]
fn values_come_out_in_their_normal_form() {
    let decoded = decode(
        POD,
        json!({
            "metadata": {"creationTimestamp": null, "labels": {"a": null}, "managedFields": [{"fieldsV1": {"f:x": {}}}]},
            "spec": {"containers": [{
                "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
                "livenessProbe": {"httpGet": {"port": "web"}}
            }], "nodeName": null},
            "status": {"startTime": "2026-01-02T03:04:05.5+01:00"}
        }),
    );
    let object = decoded.unwrap().object;
    assert_eq!(object["metadata"], json!({"labels": {"a": ""}, "managedFields": [{"fieldsV1": {"f:x": {}}}]}));
    let container = &object["spec"]["containers"][0];
    assert_eq!(container["resources"]["limits"], json!({"cpu": "500m", "memory": "1Gi"}));
    assert_eq!(container["livenessProbe"]["httpGet"]["port"], "web");
    assert!(object["spec"].get("nodeName").is_none());
    assert_eq!(object["status"]["startTime"], "2026-01-02T02:04:05Z");
}

#[test]
fn syntax_and_depth_are_bounded() {
    assert!(matches!(read(POD, "{"), Err(DecodeError::Syntax(_))));
    let deep = format!("{{\"foo\":{}{}}}", "[".repeat(500), "]".repeat(500));
    assert!(matches!(read(POD, &deep), Err(DecodeError::Syntax(_))));
}

pub(crate) fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let key = "spec|metadata|containers|name|ports|labels|env|volumes|status|x|\\$patch|\\$retainKeys";
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        "[a-z0-9]{0,3}|delete|replace".prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| json!(v)),
            prop::collection::btree_map(key, inner, 0..5).prop_map(|m| json!(m)),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_makes_decoding_panic(document in any_json()) {
        drop(decode(POD, &document));
        drop(read(DEPLOYMENT, &document.to_string()));
    }
}
