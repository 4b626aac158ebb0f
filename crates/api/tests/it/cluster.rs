//! The kinds of networking, storage, scheduling, nodes, certificates, admission, flow control and devices.

use serde_json::{Value, json};
use skiff_api::resource::{self, Durability, Resource};

use crate::{kind, made, problems, updated};

const NOW: &str = "2026-01-01T00:01:00Z";

/// The least that makes a good object, of each kind that is stored.
fn least() -> serde_json::Map<String, Value> {
    let minimal: Value = serde_json::from_str(include_str!("minimal.json")).unwrap();
    let kinds = resource::all().iter().filter(|one| one.durability == Durability::Disk && !one.is_view());
    let object = |one: &Resource| minimal[format!("{}/{}", one.group, one.plural)]["object"].clone();
    kinds.map(|one| (one.kind.to_owned(), object(one))).collect()
}

/// The least object of a kind with something else in it.
fn with(name: &str, pointer: &str, value: Value) -> Value {
    let mut object = least()[name].clone();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

#[test]
fn the_least_is_enough_and_stays_good_when_nothing_changes() {
    for (name, document) in &least() {
        assert_eq!(problems(name, document), Vec::<String>::new(), "{name}");
        let stored = made(name, document);
        let (again, wrong) = updated(name, &stored, |_| {});
        assert_eq!(wrong, Vec::<String>::new(), "{name}");
        assert_eq!(again["metadata"]["generation"], stored["metadata"]["generation"], "{name}");
        let cells = kind(name).cells(&stored, NOW.parse().unwrap());
        assert_eq!(cells.len(), kind(name).columns.len(), "{name}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_path() {
    let table: Vec<(String, String, Value, String)> =
        serde_json::from_str(include_str!("cluster/problems.json")).unwrap();
    for (name, pointer, value, expected) in table {
        assert_eq!(problems(&name, &with(&name, &pointer, value)), [expected], "{name} {pointer}");
    }
}

#[test]
fn some_fields_never_change() {
    let table = [
        (
            "StorageClass",
            "/provisioner",
            json!("other"),
            "provisioner: Forbidden: updates to provisioner are forbidden.",
        ),
        ("PriorityClass", "/value", json!(6), "value: Forbidden: may not be changed in an update."),
        (
            "IngressClass",
            "/spec/controller",
            json!("a.b/c"),
            "spec.controller: Invalid value: \"a.b/c\": field is immutable",
        ),
        ("RuntimeClass", "/handler", json!("i"), "handler: Invalid value: \"i\": field is immutable"),
        (
            "VolumeAttributesClass",
            "/driverName",
            json!("e.f"),
            "driverName: Invalid value: \"e.f\": field is immutable",
        ),
        (
            "CSIDriver",
            "/spec/attachRequired",
            json!(false),
            "spec.attachRequired: Invalid value: false: field is immutable",
        ),
        (
            "CSIStorageCapacity",
            "/storageClassName",
            json!("d"),
            "storageClassName: Invalid value: \"d\": field is immutable",
        ),
    ];
    for (name, pointer, value, expected) in table {
        let old = made(name, &least()[name]);
        let (_, wrong) = updated(name, &old, |new| *new.pointer_mut(pointer).unwrap() = value.clone());
        assert_eq!(wrong, [expected], "{name}");
    }
    let old = made("CertificateSigningRequest", &with("CertificateSigningRequest", "/metadata/name", json!("x")));
    let (new, wrong) = updated("CertificateSigningRequest", &old, |new| new["spec"]["signerName"] = json!("d.e/f"));
    assert_eq!((new["spec"]["signerName"].as_str(), wrong.len()), (Some("kubernetes.io/kube-apiserver-client"), 0));
}

#[test]
fn what_is_not_said_has_its_default() {
    let pick = |name: &str, pointer: &str| made(name, &least()[name]).pointer(pointer).cloned().unwrap_or_default();
    for (name, pointer, expected) in [
        ("NetworkPolicy", "/spec/policyTypes", json!(["Ingress"])),
        ("StorageClass", "/volumeBindingMode", json!("Immediate")),
        ("PriorityClass", "/preemptionPolicy", json!("PreemptLowerPriority")),
        ("CSIDriver", "/spec/volumeLifecycleModes", json!(["Persistent"])),
        ("ValidatingWebhookConfiguration", "/webhooks/0/failurePolicy", json!("Fail")),
        ("ValidatingWebhookConfiguration", "/webhooks/0/clientConfig/service/port", json!(443)),
        ("MutatingWebhookConfiguration", "/webhooks/0/reinvocationPolicy", json!("Never")),
        ("ValidatingAdmissionPolicy", "/spec/matchConstraints/matchPolicy", json!("Equivalent")),
        ("FlowSchema", "/spec/matchingPrecedence", json!(1000)),
        ("PriorityLevelConfiguration", "/spec/limited/limitResponse/queuing/handSize", json!(8)),
        ("ResourceClaim", "/spec/devices/requests/0/exactly/count", json!(1)),
        ("APIService", "/status/conditions/0/status", json!("False")),
        ("Ingress", "/status", json!({"loadBalancer": {}})),
        ("Ingress", "/metadata/generation", json!(1)),
    ] {
        assert_eq!(pick(name, pointer), expected, "{name} {pointer}");
    }
}

fn shown(name: &str, object: &Value) -> Vec<String> {
    let mut object = object.clone();
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let cells = kind(name).cells(&object, NOW.parse().unwrap());
    cells.iter().map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
}

#[test]
fn they_have_their_rows() {
    let ingress = json!({"metadata": {"name": "x"}, "spec": {"ingressClassName": "c", "tls": [{}],
            "rules": [{"host": "a.b", "http": {"paths": []}}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "h"}]}}});
    let class = json!({"metadata": {"name": "x", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"});
    let request = json!({"metadata": {"name": "x"}, "spec": {"signerName": "a.b/c", "username": "u", "expirationSeconds": 600},
        "status": {"conditions": [{"type": "Approved"}], "certificate": "eA=="}});
    let service = json!({"metadata": {"name": "v1.a"}, "spec": {"service": {"namespace": "n", "name": "s"}},
        "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Why"}]}});
    let address = json!({"metadata": {"name": "10.0.0.1"},
        "spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}});
    let claim = json!({"metadata": {"name": "x"}, "status": {"allocation": {}, "reservedFor": [{}]}});
    let table: Vec<(&str, Value, Vec<&str>)> = vec![
        ("Ingress", ingress, vec!["x", "c", "a.b", "10.0.0.1,h", "80, 443", "60s"]),
        ("StorageClass", class, vec!["x (default)", "p", "Delete", "Immediate", "false", "60s"]),
        ("CertificateSigningRequest", request, vec!["x", "60s", "a.b/c", "u", "10m", "Approved,Issued"]),
        ("APIService", service, vec!["v1.a", "n/s", "False (Why)", "60s"]),
        ("IPAddress", address, vec!["10.0.0.1", "services/n/s", "60s"]),
        ("ResourceClaim", claim, vec!["x", "allocated,reserved", "60s"]),
    ];
    for (name, object, expected) in table {
        assert_eq!(shown(name, &object), expected, "{name}");
    }
}

#[test]
fn approval_and_certificate_keep_apart() {
    let requests = kind("CertificateSigningRequest");
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let old = made("CertificateSigningRequest", &with("CertificateSigningRequest", "/metadata/name", json!("x")));
    let mut approved = old.clone();
    approved["status"] = json!({"certificate": "eA==", "conditions": [{"type": "Approved", "status": "True"}]});
    requests.prepare_part_update("approval", &mut approved, &old, now);
    assert_eq!(
        approved["status"],
        json!({"conditions": [{"type": "Approved", "status": "True", "lastUpdateTime": NOW, "lastTransitionTime": NOW}]})
    );
    let mut issued = approved.clone();
    issued["status"] = json!({"certificate": "eA=="});
    requests.prepare_part_update("status", &mut issued, &approved, now);
    assert_eq!(issued["status"]["conditions"], approved["status"]["conditions"]);
    assert_eq!(issued["status"]["certificate"], "eA==");
    issued["metadata"]["resourceVersion"] = json!("1");
    assert!(requests.validate_part_update("status", &issued, &approved).is_empty());
    let mut both = approved.clone();
    both["status"]["conditions"].as_array_mut().unwrap().push(json!({"type": "Denied", "status": "True"}));
    let wrong = requests.validate_part_update("approval", &both, &approved);
    assert!(wrong.iter().any(|error| error.detail.contains("mutually exclusive")));
}

#[test]
fn events_are_the_same_by_both_groups() {
    let events: &Resource = resource::find("events.k8s.io", "v1", "events").unwrap();
    let event = json!({"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "e", "namespace": "default"},
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}, "note": "n", "reason": "r", "type": "Normal",
        "action": "a", "reportingController": "c", "reportingInstance": "i", "eventTime": "2026-01-01T00:00:00.000000Z"});
    let mut stored = event.clone();
    events.to_stored(&mut stored);
    assert_eq!(stored["apiVersion"], "v1");
    assert_eq!((stored["message"].as_str(), stored["involvedObject"]["name"].as_str()), (Some("n"), Some("p")));
    assert!(stored.get("note").is_none());
    let mut shown = stored.clone();
    events.from_stored(&mut shown);
    assert_eq!(shown, event);
    let mut new = event.clone();
    events.prepare_create(&mut new, "u", NOW.parse().unwrap());
    assert_eq!(events.validate(&new), []);
    new["eventTime"] = Value::Null;
    new["deprecatedCount"] = json!(1);
    let wrong: Vec<String> = events.validate(&new).iter().map(|error| error.field.clone()).collect();
    assert_eq!(wrong, ["eventTime", "count"]);
}
