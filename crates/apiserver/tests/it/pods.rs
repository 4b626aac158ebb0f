//! Pods: what admission adds, binding, grace, scale and logs.

use axum::{Router, body::Body, extract::Request as AxumRequest, routing::get};
use serde_json::json;

use crate::support::{PODS, Server, pod};

#[tokio::test]
async fn a_pod_gets_account_token_and_tolerations() {
    let server = Server::start().await;
    let made = server.post(PODS, &pod("p")).await.expect(201);
    let spec = &made["spec"];
    assert_eq!(spec["serviceAccountName"], "default");
    assert!(spec["volumes"][0]["name"].as_str().unwrap().starts_with("kube-api-access-"));
    let mount = &spec["containers"][0]["volumeMounts"][0];
    assert_eq!(mount["mountPath"], "/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(spec["tolerations"].as_array().unwrap().len(), 2);
    assert_eq!(spec["priority"], 0);
    assert_eq!(made["status"]["phase"], "Pending");
    assert!(spec.get("initContainers").is_none(), "looking at a list does not make one");
    let mut other = pod("q");
    other["spec"]["serviceAccountName"] = json!("none");
    let refused = server.post(PODS, &other).await;
    refused.expect(403);
    assert_eq!(
        refused.message(),
        "pods \"q\" is forbidden: error looking up service account default/none: serviceaccount \"none\" not found"
    );
    let mut bare = pod("r");
    bare["spec"]["automountServiceAccountToken"] = json!(false);
    let made = server.post(PODS, &bare).await.expect(201);
    assert!(made["spec"].get("volumes").is_none());
}

#[tokio::test]
async fn a_pod_in_a_new_namespace_waits_for_its_account() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", &json!({"metadata": {"name": "n"}})).await.expect(201);
    let template = pod("p");
    let create = server.post("/api/v1/namespaces/n/pods", &template);
    let account = async {
        tokio::task::yield_now().await;
        let account = json!({"metadata": {"name": "default"}});
        server.post("/api/v1/namespaces/n/serviceaccounts", &account).await.expect(201);
    };
    let (made, ()) = tokio::join!(create, account);
    made.expect(201);
}

#[tokio::test]
async fn a_pod_is_bound_once_and_then_dies_gracefully() {
    let server = Server::start().await;
    server.post(PODS, &pod("p")).await.expect(201);
    let path = format!("{PODS}/p");
    let binding = |node: &str| json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}});
    server.post(&format!("{path}/binding"), &binding("one")).await.expect(201);
    let again = server.post(&format!("{path}/binding"), &binding("two")).await;
    again.expect(409);
    assert!(again.message().contains("pod p is already assigned to node \"one\""), "{}", again.message());
    let bound = server.get(&path).await.expect(200);
    assert_eq!(bound["spec"]["nodeName"], "one");
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    let going = server.delete(&path).await.expect(200);
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 30);
    let mut status = going.clone();
    status["status"]["phase"] = json!("Succeeded");
    let told = server.put(&format!("{path}/status"), &status).await.expect(200);
    assert_eq!(told["status"]["phase"], "Succeeded");
    server.delete_with(&path, &json!({"gracePeriodSeconds": 0})).await.expect(200);
    server.get(&path).await.expect(404);
}

#[tokio::test]
async fn a_binding_can_be_posted_by_itself() {
    let server = Server::start().await;
    server.post(PODS, &pod("p")).await.expect(201);
    let binding = json!({"metadata": {"name": "p"}, "target": {"name": "one"}});
    server.post("/api/v1/namespaces/default/bindings", &binding).await.expect(201);
    assert_eq!(server.get(&format!("{PODS}/p")).await.json()["spec"]["nodeName"], "one");
}

#[tokio::test]
async fn an_unscheduled_pod_goes_at_once() {
    let server = Server::start().await;
    server.post(PODS, &pod("p")).await.expect(201);
    server.delete(&format!("{PODS}/p")).await.expect(200);
    server.get(&format!("{PODS}/p")).await.expect(404);
}

#[tokio::test]
async fn a_deployment_is_scaled() {
    let server = Server::start().await;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    server.post(path, &deployment).await.expect(201);
    let scale = server.get(&format!("{path}/d/scale")).await.expect(200);
    assert_eq!(scale["kind"], "Scale");
    assert_eq!(scale["status"]["selector"], "app=a");
    let mut more = scale.clone();
    more["spec"]["replicas"] = json!(5);
    assert_eq!(server.put(&format!("{path}/d/scale"), &more).await.expect(200)["spec"]["replicas"], 5);
    server.put(&format!("{path}/d/scale"), &more).await.expect(409);
    let patch = json!({"spec": {"replicas": 3}});
    server.patch(&format!("{path}/d/scale"), "merge-patch+json", &patch).await.expect(200);
    let scaled = server.get(&format!("{path}/d")).await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 3);
    assert_eq!(scaled["metadata"]["generation"], 3);
    let wrong = json!({"spec": {"replicas": -1}});
    server.patch(&format!("{path}/d/scale"), "merge-patch+json", &wrong).await.expect(422);
}

#[tokio::test]
async fn logs_come_from_the_node() {
    let server = Server::start().await;
    let mut made = pod("p");
    made["spec"]["nodeName"] = json!("one");
    server.post(PODS, &made).await.expect(201);
    let path = format!("{PODS}/p/log");
    server.get(&path).await.expect(503);
    let kubelet = Router::new().route(
        "/containerLogs/{namespace}/{pod}/{container}",
        get(|request: AxumRequest| async move { Body::from(format!("log of {}\n", request.uri())) }),
    );
    server.server.nodes().register("one", kubelet);
    let answer = server.get(&format!("{path}?tailLines=5&follow=true&pretty=1")).await;
    assert_eq!(answer.bytes, "log of /containerLogs/default/p/c?tailLines=5&follow=true\n");
    let unknown = server.get(&format!("{path}?container=x")).await;
    unknown.expect(400);
    assert_eq!(unknown.message(), "container x is not valid for pod p");
    server.get(&format!("{path}?tailLines=-1")).await.expect(422);
    for (query, message) in [
        ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
            ": Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ("stream=both", "stream: Unsupported value: \"both\": supported values: \"All\", \"Stderr\", \"Stdout\""),
        ("stream=Stdout&tailLines=1", ": Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"),
    ] {
        let refused = server.get(&format!("{path}?{query}")).await;
        refused.expect(422);
        assert_eq!(refused.message(), format!("PodLogOptions \"p\" is invalid: {message}"));
    }
    server.get(&format!("{path}?sinceTime=yesterday")).await.expect(400);
    server.get(&format!("{path}?tailLines=x")).await.expect(400);
    let one = server.get(&format!("{path}?stream=Stderr")).await;
    assert_eq!(one.bytes, "log of /containerLogs/default/p/c?stream=Stderr\n");
    server.get(&format!("{PODS}/none/log")).await.expect(404);
}
