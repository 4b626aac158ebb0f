//! Who may do what: masters, service accounts with tokens, nodes, and nobody in particular.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use skiff_apiserver::User;

use crate::support::{PODS, Server, pod, with};

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn anonymous() -> User {
    User {
        name: "system:anonymous".to_owned(),
        uid: None,
        groups: vec!["system:unauthenticated".to_owned()],
        extra: Default::default(),
    }
}

#[tokio::test]
async fn anonymous_gets_health_and_version_only() {
    let server = Server::start().await;
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(server.as_user(anonymous(), get(path)).await.code, 200, "{path}");
    }
    let refused = server.as_user(anonymous(), get(PODS)).await;
    refused.expect(403);
    assert_eq!(
        refused.message(),
        "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the namespace \
         \"default\""
    );
    let refused = server.as_user(anonymous(), get("/apis")).await;
    refused.expect(403);
    assert_eq!(refused.message(), "forbidden: User \"system:anonymous\" cannot get path \"/apis\"");
}

#[tokio::test]
async fn a_role_takes_effect_with_its_write() {
    let server = Server::start().await;
    let jane = || User::new("jane", []);
    server.as_user(jane(), get(PODS)).await.expect(403);
    let binding = json!({"metadata": {"name": "jane"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole", "name": "view"}, "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}]});
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    server.post(path, &binding).await.expect(201);
    server.as_user(jane(), get(PODS)).await.expect(200);
    server.as_user(jane(), get("/api/v1/pods")).await.expect(403);
    server.as_user(jane(), get("/api/v1/namespaces/default/secrets")).await.expect(403);
    server.as_user(jane(), Request::delete(PODS).body(Body::empty()).unwrap()).await.expect(403);
    server.delete(&format!("{path}/jane")).await.expect(200);
    server.as_user(jane(), get(PODS)).await.expect(403);
}

#[tokio::test]
async fn who_am_i_and_may_i() {
    let server = Server::start().await;
    let review = |path: &str, body: Value| with("POST", path, "application/json", body.to_string());
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let me = server.as_user(User::new("jane", []), review(path, json!({}))).await.expect(201);
    assert_eq!(me["status"]["userInfo"]["username"], "jane");
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let ask = json!({"spec": {"resourceAttributes": {"namespace": "default", "verb": "list", "resource": "pods"}}});
    let no = server.as_user(User::new("jane", []), review(path, ask.clone())).await.expect(201);
    assert_eq!(no["status"]["allowed"], false);
    assert_eq!(server.post(path, &ask).await.expect(201)["status"]["allowed"], true);
    server.post(path, &json!({"spec": {}})).await.expect(422);
}

#[tokio::test]
async fn a_token_speaks_for_its_account_while_its_pod_lives() {
    let server = Server::start().await;
    let made = server.post(PODS, &pod("p")).await.expect(201);
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let bound = json!({"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": made["metadata"]["uid"]});
    let asked = json!({"spec": {"audiences": [], "expirationSeconds": 3607, "boundObjectRef": bound}});
    let issued = server.post(path, &asked).await.expect(201);
    let token = issued["status"]["token"].as_str().unwrap().to_owned();
    assert!(issued["status"]["expirationTimestamp"].is_string());
    let short = server.post(path, &json!({"spec": {"expirationSeconds": 10}})).await;
    short.expect(422);
    assert!(short.message().contains("may not specify a duration less than 10 minutes"), "{}", short.message());
    let wrong = json!({"spec": {"boundObjectRef": {"kind": "Pod", "name": "none"}}});
    server.post(path, &wrong).await.expect(404);
    crate::serving::token_over_tls(&server, &token).await;
}

#[tokio::test]
async fn impersonation_needs_the_right_to_it() {
    let server = Server::start().await;
    let request = || Request::get(PODS).header("impersonate-user", "jane").body(Body::empty()).unwrap();
    let answer = server.send(request()).await;
    answer.expect(403);
    assert!(answer.message().contains("User \"jane\" cannot list"), "{}", answer.message());
    let answer = server.as_user(User::new("joe", []), request()).await;
    answer.expect(403);
    assert!(answer.message().contains("User \"joe\" cannot impersonate resource \"users\""), "{}", answer.message());
}

#[tokio::test]
async fn a_node_writes_its_own_status_only() {
    let server = Server::start().await;
    let node = json!({"metadata": {"name": "one"}});
    let create =
        |name: &str| with("POST", "/api/v1/nodes", "application/json", json!({"metadata": {"name": name}}).to_string());
    server.as_user(User::node("one"), create("two")).await.expect(403);
    let made = server.as_user(User::node("one"), create("one")).await.expect(201);
    let status =
        |name: &str| with("PUT", &format!("/api/v1/nodes/{name}/status"), "application/json", made.to_string());
    server.as_user(User::node("one"), status("one")).await.expect(200);
    server.as_user(User::node("two"), status("one")).await.expect(403);
    server.as_user(User::node("one"), get("/api/v1/secrets")).await.expect(403);
    server.as_user(User::node("one"), get("/api/v1/pods?fieldSelector=spec.nodeName%3Done")).await.expect(200);
    drop(node);
}
