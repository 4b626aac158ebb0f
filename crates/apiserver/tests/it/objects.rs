//! Create, read, change and delete.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::support::{CONFIG_MAPS, Server, config_map, with};

#[tokio::test]
async fn an_object_lives_and_dies() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    assert_eq!(made["kind"], "ConfigMap");
    assert_eq!(made["metadata"]["namespace"], "default");
    assert!(made["metadata"]["uid"].as_str().unwrap().len() == 36);
    let path = format!("{CONFIG_MAPS}/a");
    assert_eq!(server.get(&path).await.expect(200), made);
    let mut changed = made.clone();
    changed["data"]["key"] = json!("other");
    let changed = server.put(&path, &changed).await.expect(200);
    assert_ne!(changed["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    assert_eq!(changed["metadata"]["uid"], made["metadata"]["uid"]);
    let stale = server.put(&path, &made).await;
    stale.expect(409);
    assert_eq!(
        stale.message(),
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes \
         to the latest version and try again"
    );
    let gone = server.delete(&path).await.expect(200);
    assert_eq!(gone["status"], "Success");
    assert_eq!(gone["details"]["uid"], made["metadata"]["uid"]);
    let missing = server.get(&path).await;
    missing.expect(404);
    assert_eq!(missing.message(), "configmaps \"a\" not found");
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let same = server.put(&path, &config_map("a")).await.expect(200);
    assert_eq!(same["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn names_are_generated_and_never_taken_twice() {
    let server = Server::start().await;
    let generated = json!({"metadata": {"generateName": "web-"}});
    let one = server.post(CONFIG_MAPS, &generated).await.expect(201);
    let two = server.post(CONFIG_MAPS, &generated).await.expect(201);
    let name = one["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    assert_ne!(one["metadata"]["name"], two["metadata"]["name"]);
    let taken = server.post(CONFIG_MAPS, &config_map(name)).await;
    taken.expect(409);
    assert_eq!(taken.message(), format!("configmaps \"{name}\" already exists"));
}

#[tokio::test]
async fn a_dry_run_leaves_nothing_behind() {
    let server = Server::start().await;
    let revision = server.store.snapshot().revision();
    let tried = server.post(&format!("{CONFIG_MAPS}?dryRun=All"), &config_map("a")).await.expect(201);
    assert_eq!(tried["metadata"]["name"], "a");
    server.get(&format!("{CONFIG_MAPS}/a")).await.expect(404);
    assert_eq!(server.store.snapshot().revision(), revision);
    let wrong = server.post(&format!("{CONFIG_MAPS}?dryRun=Some"), &config_map("a")).await;
    wrong.expect(422);
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    server.delete(&format!("{CONFIG_MAPS}/a?dryRun=All")).await.expect(200);
    server.get(&format!("{CONFIG_MAPS}/a")).await.expect(200);
}

#[tokio::test]
async fn the_three_patches_apply() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let merged = server.patch(&path, "merge-patch+json", &json!({"data": {"b": "1", "key": null}})).await.expect(200);
    assert_eq!(merged["data"], json!({"b": "1"}));
    let operations =
        json!([{"op": "test", "path": "/data/b", "value": "1"}, {"op": "add", "path": "/data/c", "value": "2"}]);
    let patched = server.patch(&path, "json-patch+json", &operations).await.expect(200);
    assert_eq!(patched["data"], json!({"b": "1", "c": "2"}));
    let labels = json!({"metadata": {"labels": {"x": "y"}}});
    let labelled = server.patch(&path, "strategic-merge-patch+json", &labels).await.expect(200);
    assert_eq!(labelled["metadata"]["labels"], json!({"x": "y"}));
    let version = json!({"metadata": {"resourceVersion": "1"}});
    server.patch(&path, "merge-patch+json", &version).await.expect(409);
    server.patch(&format!("{CONFIG_MAPS}/none"), "merge-patch+json", &json!({})).await.expect(404);
}

#[tokio::test]
async fn patches_at_the_same_time_all_count() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let patches = (0..32).map(|index| {
        let (server, path) = (&server, &path);
        async move {
            let change = json!({"data": {format!("k{index}"): "v"}});
            server.patch(path, "merge-patch+json", &change).await.expect(200);
        }
    });
    futures::future::join_all(patches).await;
    let object = server.get(&path).await.expect(200);
    assert_eq!(object["data"].as_object().unwrap().len(), 33);
}

#[tokio::test]
async fn preconditions_and_finalizers_hold_a_delete() {
    let server = Server::start().await;
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(CONFIG_MAPS, &object).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let wrong = server.delete_with(&path, &json!({"preconditions": {"uid": "other"}})).await;
    wrong.expect(409);
    assert!(wrong.message().contains("Precondition failed: UID in precondition: other"), "{}", wrong.message());
    let held = server.delete(&path).await.expect(200);
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    let released = json!({"metadata": {"finalizers": null}});
    server.patch(&path, "merge-patch+json", &released).await.expect(200);
    server.get(&path).await.expect(404);
}

#[tokio::test]
async fn propagation_becomes_finalizers() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let held = server.delete_with(&path, &json!({"propagationPolicy": "Foreground"})).await.expect(202);
    assert_eq!(held["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let held = server.delete_with(&path, &json!({"propagationPolicy": "Orphan"})).await.expect(200);
    assert_eq!(held["metadata"]["finalizers"], json!(["orphan"]));
    server.delete_with(&path, &json!({"propagationPolicy": "Sideways"})).await.expect(400);
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let server = Server::start().await;
    for index in 0..20 {
        let mut object = config_map(&format!("a{index}"));
        object["metadata"]["labels"] = json!({"even": (index % 2 == 0).to_string()});
        server.post(CONFIG_MAPS, &object).await.expect(201);
    }
    let deleted = server.delete(&format!("{CONFIG_MAPS}?labelSelector=even%3Dtrue")).await.expect(200);
    assert_eq!(deleted["kind"], "ConfigMapList");
    assert_eq!(deleted["items"].as_array().unwrap().len(), 10);
    let left = server.get(CONFIG_MAPS).await.expect(200);
    assert_eq!(left["items"].as_array().unwrap().len(), 10);
    server.delete("/api/v1/configmaps").await.expect(405);
}

#[tokio::test]
async fn namespaces_must_be_there_and_stay() {
    let server = Server::start().await;
    let missing = server.post("/api/v1/namespaces/none/configmaps", &config_map("a")).await;
    missing.expect(404);
    assert_eq!(missing.message(), "namespaces \"none\" not found");
    server.post("/api/v1/namespaces", &json!({"metadata": {"name": "b"}})).await.expect(201);
    let going = server.delete("/api/v1/namespaces/b").await.expect(200);
    assert_eq!(going["status"]["phase"], "Terminating");
    let late = server.post("/api/v1/namespaces/b/configmaps", &config_map("a")).await;
    late.expect(403);
    assert_eq!(
        late.message(),
        "configmaps \"a\" is forbidden: unable to create new content in namespace b because it is being terminated"
    );
    let mut finalized = going.clone();
    finalized["spec"]["finalizers"] = json!([]);
    server.put("/api/v1/namespaces/b/finalize", &finalized).await.expect(200);
    server.get("/api/v1/namespaces/b").await.expect(404);
    let immortal = server.delete("/api/v1/namespaces/default").await;
    immortal.expect(403);
    assert_eq!(immortal.message(), "namespaces \"default\" is forbidden: this namespace may not be deleted");
}

#[tokio::test]
async fn paths_and_bodies_must_agree() {
    let server = Server::start().await;
    let mut object = config_map("a");
    object["metadata"]["namespace"] = json!("kube-system");
    let elsewhere = server.post(CONFIG_MAPS, &object).await;
    elsewhere.expect(400);
    assert_eq!(
        elsewhere.message(),
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let renamed = server.put(&format!("{CONFIG_MAPS}/a"), &config_map("b")).await;
    renamed.expect(400);
    assert_eq!(renamed.message(), "the name of the object (b) does not match the name on the URL (a)");
    server.get("/api/v1/configmaps/a").await.expect(404);
    server.get("/api/v1/namespaces/default/nodes").await.expect(404);
    server.get("/api/v1/nothings").await.expect(404);
    server.post("/api/v1/configmaps", &config_map("a")).await.expect(405);
    server.post(&format!("{CONFIG_MAPS}/a/status"), &config_map("a")).await.expect(404);
}

#[tokio::test]
async fn leases_and_events_live_in_memory_and_are_upserted() {
    let server = Server::start().await;
    let path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n";
    let lease = json!({"metadata": {"name": "n"}, "spec": {"holderIdentity": "n", "leaseDurationSeconds": 40}});
    server.put(path, &lease).await.expect(201);
    let blind = server.put(path, &lease).await;
    blind.expect(422);
    let mut held = server.get(path).await.expect(200);
    held["spec"]["leaseDurationSeconds"] = json!(50);
    server.put(path, &held).await.expect(200);
}

#[tokio::test]
async fn yaml_comes_in_and_goes_out() {
    let server = Server::start().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: why\ndata:\n  a: b\n";
    server.send(with("POST", CONFIG_MAPS, "application/yaml", yaml)).await.expect(201);
    let request = Request::get(format!("{CONFIG_MAPS}/why")).header("accept", "application/yaml");
    let answer = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers["content-type"], "application/yaml");
    let back: serde_json::Value = serde_saphyr::from_slice(&answer.bytes).unwrap();
    assert_eq!(back["data"], json!({"a": "b"}));
}
