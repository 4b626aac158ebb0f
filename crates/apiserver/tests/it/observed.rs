//! What is seen and not stored: metrics of nodes and pods, and the components' health.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{Router, routing::get};
use serde_json::{Value, json};

use crate::support::Server;

const METRICS: &str = "/apis/metrics.k8s.io/v1beta1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// A kubelet whose containers use half a CPU between any two looks, and whose node uses two.
fn kubelet(uid: String) -> Router {
    let looks = Arc::new(AtomicU64::new(0));
    let summary = move || {
        let look = looks.fetch_add(1, Ordering::Relaxed);
        let time = format!("2026-01-01T00:00:{:02}Z", 10 + 2 * look);
        let stats = |name: &str, cpu: u64| {
            json!({"name": name, "startTime": "2026-01-01T00:00:00Z", "memory": {"workingSetBytes": 5_312_512},
                "cpu": {"time": time, "usageCoreNanoSeconds": look * cpu}})
        };
        let containers = [stats("c", 1_000_000_000), stats("uncounted", 0)];
        let summary =
            json!({"node": stats("", 4_000_000_000), "pods": [{"podRef": {"uid": uid}, "containers": containers}]});
        std::future::ready(summary.to_string())
    };
    Router::new().route("/stats/summary", get(summary))
}

async fn with_kubelet() -> Server {
    let server = Server::start().await;
    server.post("/api/v1/nodes", &json!({"metadata": {"name": "one", "labels": {"zone": "a"}}})).await.expect(201);
    server.post("/api/v1/nodes", &json!({"metadata": {"name": "silent"}})).await.expect(201);
    let pod = json!({"metadata": {"name": "p", "labels": {"app": "p"}},
        "spec": {"nodeName": "one", "containers": [{"name": "c", "image": "i:1"}]}});
    let made = server.post("/api/v1/namespaces/default/pods", &pod).await.expect(201);
    let status = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "c", "image": "i:1",
        "imageID": "x", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}});
    let path = "/api/v1/namespaces/default/pods/p/status";
    server.patch(path, "strategic-merge-patch+json", &status).await.expect(200);
    server.server.nodes().register("one", kubelet(made["metadata"]["uid"].as_str().unwrap().to_owned()));
    server
}

#[tokio::test]
async fn nodes_and_pods_are_measured() {
    let server = with_kubelet().await;
    let nodes = server.get(&format!("{METRICS}/nodes")).await.expect(200);
    assert_eq!((&nodes["kind"], nodes["items"].as_array().unwrap().len()), (&json!("NodeMetricsList"), 1));
    let node = &nodes["items"][0];
    assert_eq!((&node["metadata"]["name"], &node["metadata"]["labels"]["zone"]), (&json!("one"), &json!("a")));
    assert_eq!(node["usage"], json!({"cpu": "2", "memory": "5188Ki"}));
    assert_eq!((&node["window"], &node["timestamp"]), (&json!("2s"), &json!("2026-01-01T00:00:12Z")));
    // The next one is compared with what was seen before, and waits for nothing.
    let pods = server.get(&format!("{METRICS}/namespaces/default/pods?labelSelector=app%3Dp")).await.expect(200);
    let pod = &pods["items"][0];
    assert_eq!((&pod["kind"], &pod["metadata"]["namespace"]), (&json!("PodMetrics"), &json!("default")));
    assert_eq!(pod["containers"], json!([{"name": "c", "usage": {"cpu": "500m", "memory": "5188Ki"}}]));
    assert_eq!((&pod["window"], &pods["apiVersion"]), (&json!("4s"), &json!("metrics.k8s.io/v1beta1")));
    let none = |query: &'static str| {
        let server = &server;
        async move { server.get(&format!("{METRICS}/pods?{query}")).await.expect(200)["items"].clone() }
    };
    assert_eq!(none("labelSelector=app%3Dq").await, json!([]));
    assert_eq!(none("fieldSelector=metadata.name%3Dq").await, json!([]));
    let one = server.get(&format!("{METRICS}/namespaces/default/pods/p")).await.expect(200);
    assert_eq!(one["metadata"]["labels"], json!({"app": "p"}));
}

#[tokio::test]
async fn metrics_are_shown_as_tables_and_only_read() {
    let server = with_kubelet().await;
    let table: Value = server.get_as(&format!("{METRICS}/pods"), TABLE).await.expect(200);
    let names: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Name", "cpu", "memory", "Window"]);
    assert_eq!(table["rows"][0]["cells"], json!(["p", "500m", "5188Ki", "2s"]));
    let missing = server.get(&format!("{METRICS}/namespaces/default/pods/q")).await;
    missing.expect(404);
    assert_eq!(missing.message(), "podmetrics.metrics.k8s.io \"default/q\" not found");
    let silent = server.get(&format!("{METRICS}/nodes/silent")).await;
    silent.expect(404);
    assert_eq!(silent.message(), "nodemetrics.metrics.k8s.io \"silent\" not found");
    server.post(&format!("{METRICS}/nodes"), &json!({"metadata": {"name": "x"}})).await.expect(405);
    server.get(&format!("{METRICS}/nodes?watch=1")).await.expect(405);
    let service = server.get("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io").await.expect(200);
    assert_eq!(service["spec"]["group"], "metrics.k8s.io");
    let listed = server.get(METRICS).await.expect(200);
    assert_eq!(listed["resources"][1]["verbs"], json!(["get", "list"]));
}

#[tokio::test]
async fn components_say_how_they_are() {
    let server = Server::start().await;
    let components = server.server.components();
    components.register("scheduler", || Ok(()));
    components.register("controller-manager", || Err("a controller has failed".to_owned()));
    let answer = server.get("/api/v1/componentstatuses").await;
    assert_eq!(answer.headers["warning"], "299 - \"v1 ComponentStatus is deprecated in v1.19+\"");
    let list = answer.expect(200);
    let of = |at: usize| (&list["items"][at]["metadata"]["name"], &list["items"][at]["conditions"][0]);
    let well = json!({"type": "Healthy", "status": "True", "message": "ok"});
    let unwell = json!({"type": "Healthy", "status": "False", "error": "a controller has failed"});
    assert_eq!(of(0), (&json!("controller-manager"), &unwell));
    assert_eq!((of(1), of(2)), ((&json!("etcd-0"), &well), (&json!("scheduler"), &well)));
    let table = server.get_as("/api/v1/componentstatuses/scheduler", TABLE).await;
    assert!(table.headers.contains_key("warning"));
    assert_eq!(table.expect(200)["rows"][0]["cells"], json!(["scheduler", "Healthy", "ok", ""]));
    let binary = server.get_as("/api/v1/componentstatuses", "application/vnd.kubernetes.protobuf").await;
    assert!(binary.code.is_success() && binary.bytes.starts_with(b"k8s\0"));
    let missing = server.get("/api/v1/componentstatuses/none").await;
    missing.expect(404);
    assert_eq!(missing.message(), "componentstatuses \"none\" not found");
    server.delete("/api/v1/componentstatuses/etcd-0").await.expect(405);
}
