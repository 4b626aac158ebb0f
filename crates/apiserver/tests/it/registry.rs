//! Every kind of the registry goes through all the verbs that it knows. Adding a kind to the registry
//! takes one minimal valid object here, nothing else.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use skiff_api::resource::{self, Durability, Resource, Scope};

use crate::support::{Answer, Server};

/// What is in a minimal valid object of the kind besides its name.
fn minimal(resource: &Resource) -> Value {
    let pods = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}});
    let set = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pods}});
    let job = json!({"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}});
    let storage = json!({"requests": {"storage": "1Gi"}});
    let webhook = json!({"name": "a.example.com", "clientConfig": {"url": "https://a.example.com/"},
        "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    match (resource.group, resource.plural) {
        ("", "endpoints" | "configmaps" | "secrets" | "serviceaccounts" | "namespaces" | "nodes") => json!({}),
        ("", "events") => json!({"involvedObject": {"namespace": "default"}}),
        ("", "limitranges") => json!({"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}}),
        ("", "persistentvolumeclaims") => json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": storage}}),
        ("", "persistentvolumes") => json!({"spec": {"accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}}),
        ("", "pods") => json!({"spec": {"containers": [{"name": "c", "image": "i:1"}]}}),
        ("", "podtemplates") => json!({"template": pods}),
        ("", "replicationcontrollers") => json!({"spec": {"template": pods}}),
        ("", "resourcequotas") => json!({"spec": {"hard": {"pods": "1"}}}),
        ("", "services") => json!({"spec": {"ports": [{"port": 80}]}}),
        ("apps", "controllerrevisions") => json!({"revision": 1, "data": {"a": 1}}),
        ("apps", _) => set,
        ("autoscaling", _) => {
            json!({"spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}})
        }
        ("batch", "jobs") => json!({"spec": job}),
        ("batch", "cronjobs") => json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job}}}),
        ("discovery.k8s.io", _) => json!({"addressType": "IPv4", "endpoints": []}),
        ("policy", _) => json!({"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}})
        }
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            json!({"webhooks": [webhook]})
        }
        _ => json!({}),
    }
}

/// Kinds whose minimal objects are told about in tests of their own.
fn elsewhere(resource: &Resource) -> bool {
    !matches!(
        resource.group,
        "" | "apps"
            | "autoscaling"
            | "batch"
            | "coordination.k8s.io"
            | "discovery.k8s.io"
            | "policy"
            | "rbac.authorization.k8s.io"
    )
}

fn kinds() -> impl Iterator<Item = &'static Resource> {
    let all = resource::all().iter().copied();
    all.filter(|one| one.durability != Durability::Virtual && one.allows("create") && !elsewhere(one))
}

fn collection(resource: &Resource) -> String {
    let root = match resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    match resource.scope {
        Scope::Namespaced => format!("{root}/namespaces/default/{}", resource.plural),
        Scope::Cluster => format!("{root}/{}", resource.plural),
    }
}

fn named(resource: &Resource, name: &str) -> Value {
    let mut object = minimal(resource);
    object["metadata"] = json!({"name": name, "labels": {"test": "kinds"}});
    object
}

fn expect(resource: &Resource, what: &str, answer: &Answer, code: u16) -> Value {
    let body = String::from_utf8_lossy(&answer.bytes);
    assert_eq!(answer.code.as_u16(), code, "{what} {}/{}: {body}", resource.group, resource.plural);
    serde_json::from_slice(&answer.bytes).unwrap()
}

#[tokio::test]
async fn every_kind_lives_and_dies() {
    let server = Server::start().await;
    for resource in kinds() {
        let path = collection(resource);
        let made = expect(resource, "create", &server.post(&path, &named(resource, "one")).await, 201);
        assert_eq!((&made["kind"], &made["apiVersion"]), (&json!(resource.kind), &json!(resource.api_version())));
        let one = format!("{path}/one");
        let mut read = expect(resource, "get", &server.get(&one).await, 200);
        assert_eq!(read, made, "{}", resource.kind);
        read["metadata"]["annotations"]["x"] = json!("y");
        let replaced = expect(resource, "update", &server.put(&one, &read).await, 200);
        assert_eq!(replaced["metadata"]["annotations"]["x"], "y", "{}", resource.kind);
        let label = json!({"metadata": {"labels": {"more": "z"}}});
        for (i, patch) in ["merge-patch+json", "strategic-merge-patch+json"].into_iter().enumerate() {
            let patched = expect(resource, patch, &server.patch(&one, patch, &label).await, 200);
            assert_eq!(patched["metadata"]["labels"]["more"], "z", "{i} {}", resource.kind);
        }
        let operations = json!([{"op": "remove", "path": "/metadata/labels/more"}]);
        expect(resource, "patch", &server.patch(&one, "json-patch+json", &operations).await, 200);
        status(&server, resource, &one).await;
        let list = expect(resource, "list", &server.get(&format!("{path}?labelSelector=test%3Dkinds")).await, 200);
        assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!(resource.list_kind()), 1));
        if !matches!(resource.plural, "namespaces" | "nodes") {
            end(&server, resource, &path).await;
        }
    }
}

/// What is written to the status arrives there, and nowhere else.
async fn status(server: &Server, resource: &Resource, one: &str) {
    if resource.subresource("status").is_none() || resource.plural == "nodes" {
        return;
    }
    let path = format!("{one}/status");
    let before = expect(resource, "get status", &server.get(&path).await, 200);
    let note = json!({"metadata": {"annotations": {"status": "1"}}, "status": {}});
    let patched = expect(resource, "patch status", &server.patch(&path, "merge-patch+json", &note).await, 200);
    assert_eq!(patched["metadata"]["annotations"]["status"], "1", "{}", resource.kind);
    for field in ["spec", "data", "template"] {
        assert_eq!(patched[field], before[field], "{}", resource.kind);
    }
    expect(resource, "update status", &server.put(&path, &patched).await, 200);
    let mut whole = patched.clone();
    whole["status"] = json!({"observedGeneration": 77});
    let after = expect(resource, "update", &server.put(one, &whole).await, 200);
    assert_ne!(after["status"]["observedGeneration"], 77, "{}", resource.kind);
}

/// Two more are made, then all are deleted together.
async fn end(server: &Server, resource: &Resource, path: &str) {
    let options = json!({"propagationPolicy": "Background", "gracePeriodSeconds": 0});
    expect(resource, "delete", &server.delete_with(&format!("{path}/one"), &options).await, 200);
    server.get(&format!("{path}/one")).await.expect(404);
    for name in ["two", "three"] {
        expect(resource, "create", &server.post(path, &named(resource, name)).await, 201);
    }
    let selected = format!("{path}?labelSelector=test%3Dkinds");
    if resource.allows("deletecollection") {
        let request = Request::delete(&selected).header("content-type", "application/json");
        let answer = server.send(request.body(options.to_string().into()).unwrap()).await;
        expect(resource, "deletecollection", &answer, 200);
    } else {
        for name in ["two", "three"] {
            expect(resource, "delete", &server.delete_with(&format!("{path}/{name}"), &options).await, 200);
        }
    }
    let left = expect(resource, "list", &server.get(&selected).await, 200);
    assert_eq!(left["items"], json!([]), "{}", resource.kind);
}

#[tokio::test]
async fn every_kind_is_seen_as_a_table_and_watched() {
    let server = Server::start().await;
    for resource in kinds().filter(|one| one.plural != "nodes") {
        let path = collection(resource);
        expect(resource, "create", &server.post(&path, &named(resource, "one")).await, 201);
        let table = server.get_as(&path, "application/json;as=Table;v=v1;g=meta.k8s.io").await;
        let table = expect(resource, "table", &table, 200);
        let columns = table["columnDefinitions"].as_array().unwrap().len();
        assert_eq!(table["rows"][0]["cells"].as_array().unwrap().len(), columns, "{}", resource.kind);
        let watch = format!("{path}?watch=true&fieldSelector=metadata.name%3Done");
        let events = server.raw(Request::get(&watch).body(Body::empty()).unwrap()).await;
        let line = events.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        let event: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(event["type"], "ADDED", "{}", resource.kind);
        assert_eq!(event["object"]["apiVersion"], json!(resource.api_version()), "{}", resource.kind);
        // Another version of the kind may come that shows the same objects.
        let options = json!({"propagationPolicy": "Background", "gracePeriodSeconds": 0});
        expect(resource, "delete", &server.delete_with(&format!("{path}/one"), &options).await, 200);
    }
}

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
    let job = kinds().find(|one| one.plural == "jobs").unwrap();
    server.post(jobs, &named(job, "j")).await.expect(201);
    let answer = server.delete(&format!("{jobs}/j")).await;
    let held = answer.expect(200);
    assert_eq!(held["metadata"]["finalizers"], json!(["orphan"]));
    let warning = answer.headers["warning"].to_str().unwrap();
    assert!(warning.contains("child pods are preserved by default when jobs are deleted"), "{warning}");
}
