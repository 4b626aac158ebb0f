//! Kinds that do something of their own on their way through the server, or that several groups show.

use serde_json::{Value, json};
use skiff_apiserver::User;

use crate::support::{PODS, Server, pod, with};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const NEW_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

#[tokio::test]
async fn an_event_is_one_object_in_two_groups() {
    let server = Server::start().await;
    let event = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "note": "n", "reason": "r", "type": "Normal", "action": "a", "reportingController": "c",
        "reportingInstance": "i", "eventTime": "2026-01-01T00:00:00.000000Z"});
    let made = server.post(NEW_EVENTS, &event).await.expect(201);
    assert_eq!((made["apiVersion"].as_str(), made["note"].as_str()), (Some("events.k8s.io/v1"), Some("n")));
    let core = server.get(&format!("{EVENTS}/e")).await.expect(200);
    assert_eq!((core["apiVersion"].as_str(), core["message"].as_str()), (Some("v1"), Some("n")));
    assert_eq!(core["metadata"], made["metadata"]);
    let selected = server.get(&format!("{NEW_EVENTS}?fieldSelector=regarding.name%3Dp")).await.expect(200);
    assert_eq!(selected["items"][0]["regarding"]["name"], "p");
    let patch = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    let patched = server.patch(&format!("{NEW_EVENTS}/e"), "merge-patch+json", &patch).await.expect(200);
    assert_eq!(patched["series"]["count"], 2);
    let table = server.get_as(NEW_EVENTS, "application/json;as=Table;v=v1;g=meta.k8s.io").await.expect(200);
    assert_eq!(table["rows"][0]["cells"][3], "pod/p");
    let watched = server.get(&format!("{NEW_EVENTS}?watch=true&timeoutSeconds=1")).await;
    let line: Value = serde_json::from_slice(watched.bytes.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!((line["type"].as_str(), line["object"]["note"].as_str()), (Some("ADDED"), Some("n")));
    server.delete(NEW_EVENTS).await.expect(200);
    assert_eq!(server.get(EVENTS).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_signing_request_says_who_asks_and_is_approved_by_those_who_may() {
    let server = Server::start().await;
    let request =
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUFBPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K";
    let body = json!({"metadata": {"name": "r"}, "status": {"certificate": "eA=="},
        "spec": {"request": request, "signerName": "a.b/c", "usages": ["client auth"], "username": "somebody"}});
    let made = server.post(REQUESTS, &body).await.expect(201);
    assert_eq!(made["spec"]["username"], "system:test");
    assert_eq!(made["status"], json!({}));
    let mut approved = made.clone();
    approved["status"] =
        json!({"conditions": [{"type": "Approved", "status": "True", "reason": "Why", "message": ""}]});
    let path = format!("{REQUESTS}/r/approval");
    let jane = User::new("jane", []);
    server.as_user(jane, with("PUT", &path, "application/json", approved.to_string())).await.expect(403);
    let approved = server.put(&path, &approved).await.expect(200);
    assert_eq!(approved["status"]["conditions"][0]["type"], "Approved");
    assert!(approved["status"]["conditions"][0]["lastUpdateTime"].is_string());
    let patch = json!({"status": {"certificate": "eA=="}});
    let issued = server.patch(&format!("{REQUESTS}/r/status"), "merge-patch+json", &patch).await.expect(200);
    assert_eq!(issued["status"]["certificate"], "eA==");
    assert_eq!(issued["status"]["conditions"], approved["status"]["conditions"]);
    let selected = server.get(&format!("{REQUESTS}?fieldSelector=spec.signerName%3Da.b/c")).await.expect(200);
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_pod_has_the_priority_of_its_class() {
    let server = Server::start().await;
    assert_eq!(server.get(&format!("{CLASSES}/system-node-critical")).await.expect(200)["value"], 2_000_001_000);
    let mut wanted = pod("p");
    wanted["spec"]["priorityClassName"] = json!("high");
    let refused = server.post(PODS, &wanted).await;
    refused.expect(403);
    assert_eq!(refused.message(), "pods \"p\" is forbidden: no PriorityClass with name high was found");
    server.post(CLASSES, &json!({"metadata": {"name": "high"}, "value": 7, "globalDefault": true})).await.expect(201);
    assert_eq!(server.post(PODS, &wanted).await.expect(201)["spec"]["priority"], 7);
    let plain = server.post(PODS, &pod("q")).await.expect(201);
    assert_eq!(plain["spec"]["priorityClassName"], "high");
    let second = json!({"metadata": {"name": "higher"}, "value": 8, "globalDefault": true});
    server.post(CLASSES, &second).await.expect(403);
    let mut ran = pod("r");
    ran["spec"]["runtimeClassName"] = json!("sandboxed");
    let refused = server.post(PODS, &ran).await;
    refused.expect(403);
    assert_eq!(refused.message(), "pods \"r\" is forbidden: pod rejected: RuntimeClass \"sandboxed\" not found");
}

#[tokio::test]
async fn an_ingress_gets_the_default_class() {
    let server = Server::start().await;
    let class = json!({"metadata": {"name": "c", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"controller": "a.b/c"}});
    server.post("/apis/networking.k8s.io/v1/ingressclasses", &class).await.expect(201);
    let ingress = json!({"metadata": {"name": "i"}, "spec": {"rules": [{"host": "a.b"}]}});
    let made = server.post("/apis/networking.k8s.io/v1/namespaces/default/ingresses", &ingress).await.expect(201);
    assert_eq!(made["spec"]["ingressClassName"], "c");
}

#[tokio::test]
async fn a_token_is_reviewed_as_it_would_be_accepted() {
    let server = Server::start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let ask = |audiences: Value| json!({"spec": {"audiences": audiences}});
    let token = server.post(accounts, &ask(json!([]))).await.expect(201)["status"]["token"].clone();
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let review = server.post(path, &json!({"spec": {"token": token}})).await.expect(201);
    assert_eq!(review["status"]["authenticated"], true);
    assert_eq!(review["status"]["user"]["username"], "system:serviceaccount:default:default");
    let other = server.post(accounts, &ask(json!(["vault"]))).await.expect(201)["status"]["token"].clone();
    let refused = server.post(path, &json!({"spec": {"token": other}})).await.expect(201);
    assert_ne!(refused["status"]["authenticated"], true);
    assert!(refused["status"]["error"].as_str().unwrap().contains("invalid bearer token"));
    let meant = server.post(path, &json!({"spec": {"token": other, "audiences": ["vault", "x"]}})).await.expect(201);
    assert_eq!(meant["status"]["audiences"], json!(["vault"]));
    server.post(path, &json!({"spec": {}})).await.expect(400);
}

#[tokio::test]
async fn others_may_be_asked_about() {
    let server = Server::start().await;
    let of = "/apis/authorization.k8s.io/v1";
    let pods = json!({"verb": "list", "resource": "pods", "namespace": "default"});
    let ask = json!({"spec": {"user": "jane", "resourceAttributes": pods}});
    let answer = server.post(&format!("{of}/subjectaccessreviews"), &ask).await.expect(201);
    assert_eq!(answer["status"]["allowed"], false);
    let ask = json!({"spec": {"groups": ["system:masters"], "resourceAttributes": pods}});
    let answer = server.post(&format!("{of}/namespaces/default/localsubjectaccessreviews"), &ask).await.expect(201);
    assert_eq!(answer["status"]["allowed"], true);
    server.post(&format!("{of}/namespaces/kube-system/localsubjectaccessreviews"), &ask).await.expect(400);
    server
        .post(&format!("{of}/subjectaccessreviews"), &json!({"spec": {"resourceAttributes": pods}}))
        .await
        .expect(422);
    let rules = json!({"spec": {"namespace": "default"}});
    let rules = server.post(&format!("{of}/selfsubjectrulesreviews"), &rules).await.expect(201);
    assert!(rules["status"]["resourceRules"].as_array().unwrap().iter().any(|rule| rule["verbs"] == json!(["*"])));
    server.post(&format!("{of}/selfsubjectrulesreviews"), &json!({"spec": {}})).await.expect(400);
}

#[tokio::test]
async fn the_issuer_describes_itself() {
    let server = Server::start().await;
    let about = server.get("/.well-known/openid-configuration").await.expect(200);
    assert_eq!(about["issuer"], "https://kubernetes.default.svc.cluster.local");
    assert_eq!(about["jwks_uri"], "https://127.0.0.1:6443/openid/v1/jwks");
    let keys = server.get("/openid/v1/jwks").await;
    assert_eq!(keys.headers["content-type"], "application/jwk-set+json");
    let key = keys.expect(200)["keys"][0].clone();
    assert_eq!((key["kty"].as_str(), key["alg"].as_str()), (Some("EC"), Some("ES256")));
    assert_eq!((key["x"].as_str().unwrap().len(), key["y"].as_str().unwrap().len()), (43, 43));
}

#[tokio::test]
async fn every_group_has_its_api_service() {
    let server = Server::start().await;
    let path = "/apis/apiregistration.k8s.io/v1/apiservices";
    let services = server.get(path).await.expect(200);
    let names: Vec<&str> =
        services["items"].as_array().unwrap().iter().filter_map(|one| one["metadata"]["name"].as_str()).collect();
    assert!(names.contains(&"v1.") && names.contains(&"v1.apps") && names.contains(&"v1.events.k8s.io"), "{names:?}");
    assert_eq!(services["items"][0]["status"]["conditions"][0]["reason"], "Local");
    let other = json!({"metadata": {"name": "v1.a.b"}, "spec": {"group": "a.b", "version": "v1",
        "groupPriorityMinimum": 1, "versionPriority": 1, "service": {"namespace": "default", "name": "s"}}});
    let made = server.post(path, &other).await;
    assert!(made.headers["warning"].to_str().unwrap().contains("does not pass requests on to other API servers"));
    assert_eq!(made.expect(201)["status"]["conditions"][0]["status"], "False");
}
