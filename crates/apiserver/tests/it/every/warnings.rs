//! Whoever writes an object that nothing acts on is told so, whatever the way of writing, and only then.

use serde_json::json;

use super::{Case, each, kept};
use crate::support::{Answer, Server, with};

/// The kinds that are stored and do nothing, or not all that they promise.
const UNHEEDED: &[&str] = &[
    "/limitranges",
    "/persistentvolumeclaims",
    "/persistentvolumes",
    "/resourcequotas",
    "admissionregistration.k8s.io/mutatingadmissionpolicies",
    "admissionregistration.k8s.io/mutatingadmissionpolicybindings",
    "admissionregistration.k8s.io/mutatingwebhookconfigurations",
    "admissionregistration.k8s.io/validatingadmissionpolicies",
    "admissionregistration.k8s.io/validatingadmissionpolicybindings",
    "admissionregistration.k8s.io/validatingwebhookconfigurations",
    "apiregistration.k8s.io/apiservices",
    "apps/daemonsets",
    "apps/statefulsets",
    "autoscaling/horizontalpodautoscalers",
    "batch/cronjobs",
    "batch/jobs",
    "certificates.k8s.io/certificatesigningrequests",
    "flowcontrol.apiserver.k8s.io/flowschemas",
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations",
    "networking.k8s.io/ingressclasses",
    "networking.k8s.io/ingresses",
    "networking.k8s.io/ipaddresses",
    "networking.k8s.io/networkpolicies",
    "networking.k8s.io/servicecidrs",
    "node.k8s.io/runtimeclasses",
    "policy/poddisruptionbudgets",
    "resource.k8s.io/deviceclasses",
    "resource.k8s.io/resourceclaims",
    "resource.k8s.io/resourceclaimtemplates",
    "resource.k8s.io/resourceslices",
    "scheduling.k8s.io/priorityclasses",
    "storage.k8s.io/csidrivers",
    "storage.k8s.io/csinodes",
    "storage.k8s.io/csistoragecapacities",
    "storage.k8s.io/storageclasses",
    "storage.k8s.io/volumeattachments",
    "storage.k8s.io/volumeattributesclasses",
];

/// The warnings of an answer that something has no effect.
fn told(answer: &Answer) -> Vec<&str> {
    let all = answer.headers.get_all("warning").iter().map(|value| value.to_str().unwrap());
    all.filter(|text| text.contains(" is stored, but ")).collect()
}

#[test]
fn the_kinds_without_effect_are_these() {
    let mut marked: Vec<String> =
        kept().filter(|case| case.resource.unheeded.is_some()).map(|case| case.key()).collect();
    marked.sort_unstable();
    marked.dedup();
    assert_eq!(marked, UNHEEDED);
}

#[tokio::test]
async fn what_has_no_effect_says_so() {
    each(async |server, case| {
        let expected = usize::from(case.resource.unheeded.is_some());
        let check = |what: &str, answer: &Answer, expected: usize| {
            case.expect(what, answer, if what.ends_with("create") { 201 } else { 200 });
            assert_eq!(told(answer).len(), expected, "{what} {}: {:?}", case.key(), answer.headers);
        };
        let dry = server.post(&format!("{}?dryRun=All", case.collection()), &case.minimal.object).await;
        check("dry create", &dry, expected);
        check("apply to create", &apply(&server, &case).await, expected);
        check("create", &server.post(&case.collection(), &case.minimal.object).await, expected);
        let merge = "merge-patch+json";
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        check("label", &server.patch(&case.path(), merge, &label).await, 0);
        if !case.minimal.status.is_null() {
            let status = json!({"status": case.minimal.status});
            check("status", &server.patch(&format!("{}/status", case.path()), merge, &status).await, 0);
        }
        if !case.minimal.change.is_null() {
            check("change", &server.patch(&case.path(), merge, &case.minimal.change).await, expected);
            check("same", &server.patch(&case.path(), merge, &case.minimal.change).await, 0);
        }
        let options = json!({"propagationPolicy": "Background", "gracePeriodSeconds": 0});
        case.expect("delete", &server.delete_with(&case.path(), &options).await, 200);
    })
    .await;
}

/// An apply that would create the object.
async fn apply(server: &Server, case: &Case) -> Answer {
    let mut config = case.minimal.object.clone();
    config["apiVersion"] = json!(case.resource.api_version());
    config["kind"] = json!(case.resource.kind);
    let path = format!("{}?fieldManager=tests&dryRun=All", case.path());
    server.send(with("PATCH", &path, "application/apply-patch+yaml", config.to_string())).await
}

#[tokio::test]
async fn a_warning_names_the_kind_and_what_is_missing() {
    let server = Server::start().await;
    let sets = "/apis/apps/v1/namespaces/default/statefulsets";
    let case = kept().find(|case| case.resource.kind == "StatefulSet").unwrap();
    let made = server.post(sets, &case.minimal.object).await;
    let text = "StatefulSet is stored, but nothing acts on it: skiff has no StatefulSet controller yet";
    assert_eq!(made.headers["warning"], format!("299 - \"{text}\""));
    let scale = json!({"spec": {"replicas": 2}});
    let scaled = server.patch(&format!("{sets}/one/scale"), "merge-patch+json", &scale).await;
    scaled.expect(200);
    assert_eq!(told(&scaled).len(), 1);
    let mut read = server.get(&format!("{sets}/one")).await.expect(200);
    read["spec"]["replicas"] = json!(3);
    assert_eq!(told(&server.put(&format!("{sets}/one"), &read).await).len(), 1);
    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let mut request = kept().find(|case| case.resource.plural == "certificatesigningrequests").unwrap().minimal.object;
    request["spec"]["signerName"] = json!("example.com/own");
    let made = server.post(requests, &request).await;
    made.expect(201);
    assert_eq!(told(&made), Vec::<&str>::new(), "it is not for this cluster to sign it");
}

#[tokio::test]
async fn a_name_that_is_used_in_others_says_so_once() {
    let server = Server::start().await;
    for kind in ["Pod", "Deployment", "ReplicaSet", "ReplicationController", "Job", "CronJob"] {
        let case = kept().find(|case| case.resource.kind == kind).unwrap();
        let mut object = case.minimal.object.clone();
        object["metadata"]["name"] = json!("a.b");
        let made = server.post(&case.collection(), &object).await;
        case.expect("create", &made, 201);
        let all: Vec<&str> = made.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
        let of = if kind == "Pod" { "the Pod's hostname" } else { "Pod names and hostnames" };
        let expected = format!(
            "299 - \"metadata.name: this is used in {of}, which can result in surprising behavior; a DNS label is \
             recommended: [must not contain dots]\""
        );
        assert!(all.contains(&expected.as_str()), "{kind}: {all:?}");
        let path = format!("{}/a.b", case.collection());
        let changed = server.patch(&path, "merge-patch+json", &case.minimal.change).await;
        case.expect("change", &changed, 200);
        let again = changed.headers.get_all("warning").iter().any(|value| value.to_str().unwrap() == expected);
        assert!(!again, "{kind}");
    }
}

#[tokio::test]
async fn templates_are_looked_at_wherever_they_are() {
    let server = Server::start().await;
    let odd = json!({"topologySpreadConstraints": [{"topologyKey": "x", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]});
    for (kind, pointer) in [
        ("PodTemplate", "/template/spec"),
        ("CronJob", "/spec/jobTemplate/spec/template/spec"),
        ("Deployment", "/spec/template/spec"),
    ] {
        let case = kept().find(|case| case.resource.kind == kind).unwrap();
        let mut object = case.minimal.object.clone();
        let spec = object.pointer_mut(pointer).unwrap();
        spec["topologySpreadConstraints"] = odd["topologySpreadConstraints"].clone();
        let made = server.post(&case.collection(), &object).await;
        case.expect("create", &made, 201);
        let at = pointer[1..].replace('/', ".");
        let expected = format!(
            "299 - \"{at}.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod\""
        );
        let all: Vec<&str> = made.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(all.contains(&expected.as_str()), "{kind}: {all:?}");
    }
}
