//! What is special about some kinds on their way through the server.

use serde_json::json;

use crate::every;
use crate::support::Server;

#[tokio::test]
async fn an_autoscaler_is_the_same_in_both_versions() {
    let server = Server::start().await;
    let (v1, v2) = ("/apis/autoscaling/v1", "/apis/autoscaling/v2");
    let path = |root: &str| format!("{root}/namespaces/default/horizontalpodautoscalers");
    let object = json!({"metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}});
    server.post(&path(v1), &object).await.expect(201);
    let newer = server.get(&format!("{}/a", path(v2))).await.expect(200);
    assert_eq!(newer["apiVersion"], "autoscaling/v2");
    assert_eq!(newer["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
    let more = json!({"spec": {"metrics": [{"type": "Resource", "resource": {"name": "memory",
        "target": {"type": "Utilization", "averageUtilization": 70}}}]}});
    server.patch(&format!("{}/a", path(v2)), "merge-patch+json", &more).await.expect(200);
    let older = server.get(&format!("{}/a", path(v1))).await.expect(200);
    let note = older["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"].as_str().unwrap();
    assert!(note.contains("\"targetAverageUtilization\":70"), "{note}");
    assert!(older["spec"].get("metrics").is_none());
    let list = server.get(&path(v1)).await.expect(200);
    assert_eq!(list["items"][0]["apiVersion"], "autoscaling/v1");
    let groups = server.get("/apis/autoscaling").await.expect(200);
    assert_eq!(groups["preferredVersion"]["version"], "v2");
}

#[tokio::test]
async fn a_budget_guards_its_pods() {
    let server = Server::start().await;
    let pods = "/api/v1/namespaces/default/pods";
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let pod = json!({"metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i:1"}]}});
    server.post(pods, &pod).await.expect(201);
    let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    server.patch(&format!("{pods}/p/status"), "merge-patch+json", &running).await.expect(200);
    let budget =
        json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}});
    server.post(budgets, &budget).await.expect(201);
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": "default"}});
    let path = format!("{pods}/p/eviction");
    let refused = server.post(&path, &eviction).await.expect(429);
    assert_eq!(refused["reason"], "TooManyRequests");
    assert_eq!(refused["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!(refused["details"]["causes"][0]["reason"], "DisruptionBudget");
    let allowed = json!({"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2,
        "desiredHealthy": 1, "expectedPods": 2}});
    server.patch(&format!("{budgets}/b/status"), "merge-patch+json", &allowed).await.expect(200);
    server.post(&path, &eviction).await.expect(201);
    let budget = server.get(&format!("{budgets}/b")).await.expect(200);
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert!(budget["status"]["disruptedPods"]["p"].is_string());
    let leaving = server.get(&format!("{pods}/p")).await.expect(200);
    assert!(leaving["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test]
async fn a_running_pod_is_looked_into_and_resized() {
    let server = Server::start().await;
    let pods = "/api/v1/namespaces/default/pods";
    let amounts = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}});
    let pod = json!({"metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i:1", "resources": amounts}]}});
    server.post(pods, &pod).await.expect(201);
    let debugger = json!({"spec": {"ephemeralContainers": [{"name": "e", "image": "b", "targetContainerName": "c"}]}});
    let path = format!("{pods}/p/ephemeralcontainers");
    let with = server.patch(&path, "strategic-merge-patch+json", &debugger).await.expect(200);
    assert_eq!(with["spec"]["ephemeralContainers"][0]["terminationMessagePolicy"], "File");
    let none = json!({"spec": {"ephemeralContainers": []}});
    let kept = server.patch(&path, "merge-patch+json", &none).await;
    kept.expect(422);
    assert!(kept.message().contains("existing ephemeral containers \"e\" may not be removed"), "{}", kept.message());
    let smaller = json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "200m"}}}]}});
    let path = format!("{pods}/p/resize");
    let resized = server.patch(&path, "strategic-merge-patch+json", &smaller).await.expect(200);
    assert_eq!(resized["spec"]["containers"][0]["resources"]["requests"]["cpu"], "200m");
    assert_eq!(resized["metadata"]["generation"], 3);
    let image = json!({"spec": {"containers": [{"name": "c", "image": "j:1"}]}});
    let other = server.patch(&path, "strategic-merge-patch+json", &image).await;
    other.expect(422);
    assert!(other.message().contains("only cpu and memory resources are mutable"), "{}", other.message());
}

#[tokio::test]
async fn dependents_of_jobs_stay_unless_said_otherwise() {
    let server = Server::start().await;
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    server.post(jobs, &every::minimal("Job")).await.expect(201);
    let answer = server.delete(&format!("{jobs}/one")).await;
    let held = answer.expect(200);
    assert_eq!(held["metadata"]["finalizers"], json!(["orphan"]));
    let warning = answer.headers["warning"].to_str().unwrap();
    assert!(warning.contains("child pods are preserved by default when jobs are deleted"), "{warning}");
}
