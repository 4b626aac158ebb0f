//! Messages put together by hand, and noise.

mod fixtures;
mod generated;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    out.extend_from_slice(bytes);
    out
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
}

#[test]
fn a_service_is_read() {
    let target = [number(1, 0), number(2, 80), field(3, b"")].concat();
    let port = [field(1, b""), field(2, b"TCP"), number(3, 80), field(4, &target), number(5, 0)].concat();
    let pair = [field(1, b"app"), field(2, b"web")].concat();
    let spec = [field(1, &port), field(2, &pair), field(3, b""), field(4, b"NodePort")].concat();
    let label = [field(1, b"a"), field(2, b"")].concat();
    let metadata = [field(1, b"web"), field(2, b""), field(8, b""), field(11, &label)].concat();
    let service = [field(1, &metadata), field(2, &spec), field(3, &field(1, b""))].concat();
    let read = to_json(&body("v1", "Service", &service), "io.k8s.api.core.v1.Service").unwrap();
    assert_eq!(
        read,
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "labels": {"a": ""}},
            "spec": {
                "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
                "selector": {"app": "web"},
                "type": "NodePort",
            },
            "status": {"loadBalancer": {}},
        })
    );
}

#[test]
fn zeros_that_mean_something_stay() {
    let scaled = field(2, &number(1, 0));
    let read = to_json(&body("apps/v1", "Deployment", &scaled), "io.k8s.api.apps.v1.Deployment").unwrap();
    assert_eq!(read["spec"], json!({"replicas": 0}));
}

#[test]
fn inlined_structs_are_taken_apart() {
    let volume = [field(1, b"v"), field(2, &field(2, b""))].concat();
    let pod = field(2, &field(1, &volume));
    let read = to_json(&body("v1", "Pod", &pod), "io.k8s.api.core.v1.Pod").unwrap();
    assert_eq!(read["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
}

#[test]
fn bytes_and_times_have_their_form_in_json() {
    let pair = [field(1, b"k"), field(2, b"\x00\x01")].concat();
    let metadata = field(8, &[number(1, 5), number(2, 0)].concat());
    let secret = [field(1, &metadata), field(2, &pair)].concat();
    let read = to_json(&body("v1", "Secret", &secret), "io.k8s.api.core.v1.Secret").unwrap();
    assert_eq!(read["data"], json!({"k": "AAE="}));
    assert_eq!(read["metadata"]["creationTimestamp"], "1970-01-01T00:00:05Z");
}

/// Metrics are no part of Kubernetes' own protobuf: those who ask for them get JSON.
fn is_text_only(type_name: &str) -> bool {
    type_name.starts_with("io.k8s.metrics.")
}

#[test]
fn every_kind_has_numbers() {
    for resource in skiff_api::resource::all().iter().filter(|resource| !is_text_only(resource.type_name)) {
        let empty = body(&resource.api_version(), resource.kind, b"");
        assert!(to_json(&empty, resource.type_name).is_ok(), "{}", resource.type_name);
        for part in resource.subresources.iter().filter(|part| !part.type_name.is_empty()) {
            assert!(to_json(&empty, part.type_name).is_ok(), "{}", part.type_name);
        }
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let pod = "io.k8s.api.core.v1.Pod";
    assert_eq!(to_json(b"{}", pod), Err(ProtobufError::Prefix));
    assert_eq!(to_json(b"k8s\0\x0a\xff", pod), Err(ProtobufError::Malformed));
    assert_eq!(to_json(&body("v1", "Pod", b"\x0a\x05a"), pod), Err(ProtobufError::Malformed));
}

#[test]
fn events_have_their_length_before_them() {
    let mut out = Vec::new();
    frame(&mut out, "ADDED", b"k8s\0").unwrap();
    assert_eq!(out, b"\0\0\0\x0f\x0a\x05ADDED\x12\x06\x0a\x04k8s\0");
}

#[test]
fn long_messages_move_up() {
    for length in [0, 100, 127, 128, 16_383, 16_384, 70_000] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v".repeat(length)}});
        let name = "io.k8s.api.core.v1.ConfigMap";
        let body = super::object(object.to_string().as_bytes(), name, None).unwrap();
        assert_eq!(to_json(&body, name).unwrap(), object, "{length}");
    }
}

#[test]
fn only_metadata_is_taken_where_no_more_is_wanted() {
    let pod = br#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{}},"spec":{"x":[1,"}",{}]}}"#;
    let name = Name { api_version: "meta.k8s.io/v1", kind: "PartialObjectMetadata" };
    let body = super::object(pod, PARTIAL_METADATA, Some(name)).unwrap();
    let read = to_json(&body, "io.k8s.api.core.v1.Pod").unwrap();
    let expected = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "p"}});
    assert_eq!(read, expected);
}

#[test]
fn broken_json_is_an_error() {
    let name = "io.k8s.api.core.v1.Pod";
    for text in ["", "{", "[]", "{\"metadata\"", "{\"metadata\":{\"name\":\"", "{\"x\":[1,", "{\"x\":}", "{,}"] {
        assert!(super::object(text.as_bytes(), name, None).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn noise_is_never_taken_for_json(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = super::object(&noise, "io.k8s.api.core.v1.Pod", None);
        let _ = super::object(&[b"{\"metadata\":", &*noise].concat(), "io.k8s.api.core.v1.Pod", None);
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let raw = &noise[..noise.len().min(100)];
        let _ = to_json(&body("v1", "Pod", raw), "io.k8s.api.core.v1.Pod");
        let _ = to_json(&[MAGIC, &noise].concat(), "io.k8s.api.core.v1.Pod");
    }
}
