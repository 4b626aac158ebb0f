//! Every kind can be written in every way, and says no in all the ways of Kubernetes.

use serde_json::{Value, json};

use super::{Case, content, each};
use crate::support::{Answer, Server, with};

const JSON: &str = "json-patch+json";
const MERGE: &str = "merge-patch+json";
const STRATEGIC: &str = "strategic-merge-patch+json";

#[tokio::test]
async fn every_kind_can_be_patched_and_replaced() {
    each(async |server, case| {
        let made = case.make(&server).await;
        let operations = json!([{"op": "add", "path": "/metadata/labels/way", "value": "json"}]);
        patched(&server, &case, JSON, &operations).await;
        for way in [MERGE, STRATEGIC] {
            patched(&server, &case, way, &json!({"metadata": {"labels": {"way": &way[..5]}}})).await;
        }
        replaced(&server, &case, &made).await;
        nothing_by_dry_run(&server, &case).await;
        if case.resource.subresource("status").is_some() {
            status_and_the_rest_keep_apart(&server, &case).await;
        }
        if !case.minimal.change.is_null() {
            changed(&server, &case).await;
        }
        case.unmake(&server).await;
    })
    .await;
}

async fn patched(server: &Server, case: &Case, way: &str, patch: &Value) {
    let after = case.expect(way, &server.patch(&case.path(), way, patch).await, 200);
    assert!(way.starts_with(after["metadata"]["labels"]["way"].as_str().unwrap()), "{}", case.key());
    assert_eq!(case.get(server).await, after, "{way} {}", case.key());
}

/// The same again is no change; another version of it is refused.
async fn replaced(server: &Server, case: &Case, made: &Value) {
    let present = case.get(server).await;
    let again = case.expect("update", &server.put(&case.path(), &present).await, 200);
    assert_eq!(again, present, "{}", case.key());
    let stale = case.expect("stale update", &server.put(&case.path(), made).await, 409);
    assert_eq!(stale["reason"], "Conflict", "{}", case.key());
    assert!(stale["message"].as_str().unwrap().contains("the object has been modified"), "{stale}");
    let mut other = present.clone();
    other["metadata"]["uid"] = json!("of-another-one");
    let other = case.expect("update of another", &server.put(&case.path(), &other).await, 409);
    assert!(other["message"].as_str().unwrap().contains("Precondition failed: UID in precondition"), "{other}");
}

async fn nothing_by_dry_run(server: &Server, case: &Case) {
    let (before, path) = (case.get(server).await, format!("{}?dryRun=All", case.path()));
    let patch = json!({"metadata": {"labels": {"dry": "run"}}});
    let tried = case.expect("dry patch", &server.patch(&path, MERGE, &patch).await, 200);
    assert_eq!(tried["metadata"]["labels"]["dry"], "run", "{}", case.key());
    let mut whole = before.clone();
    whole["metadata"]["labels"]["dry"] = json!("run");
    case.expect("dry update", &server.put(&path, &whole).await, 200);
    case.expect("dry delete", &server.delete_with(&path, &super::at_once()).await, 200);
    assert_eq!(case.get(server).await, before, "{}", case.key());
}

async fn status_and_the_rest_keep_apart(server: &Server, case: &Case) {
    assert!(!case.minimal.status.is_null(), "minimal.json has no status for {}", case.key());
    let (before, path) = (case.get(server).await, format!("{}/status", case.path()));
    assert_eq!(case.expect("get status", &server.get(&path).await, 200), before);
    let mut both = if case.minimal.change.is_null() { json!({}) } else { case.minimal.change.clone() };
    both["status"] = case.minimal.status.clone();
    let after = case.expect("patch status", &server.patch(&path, MERGE, &both).await, 200);
    assert_eq!(content(&after), content(&before), "{}", case.key());
    assert_ne!(after["status"], before["status"], "{}", case.key());
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"], "{}", case.key());
    let again = case.expect("update status", &server.put(&path, &after).await, 200);
    assert_eq!(again, after, "{}", case.key());
    let mut other = after.clone();
    other["status"] = before["status"].clone();
    let kept = case.expect("update", &server.put(&case.path(), &other).await, 200);
    assert_eq!(kept, after, "{}", case.key());
}

/// What it is to be can change: a new generation, where the kind has them.
async fn changed(server: &Server, case: &Case) {
    let before = case.get(server).await;
    let after = case.expect("change", &server.patch(&case.path(), MERGE, &case.minimal.change).await, 200);
    assert_ne!(content(&after), content(&before), "{}", case.key());
    assert_eq!(after["status"], before["status"], "{}", case.key());
    let generations = [&before, &after].map(|object| object["metadata"]["generation"].as_i64());
    match generations {
        [None, None] => {}
        [Some(old), Some(new)] if case.resource.kind == "PriorityClass" => assert_eq!(new, old),
        [Some(old), Some(new)] => assert_eq!(new, old + 1, "{}", case.key()),
        other => panic!("{other:?} {}", case.key()),
    }
}

async fn apply(server: &Server, case: &Case, query: &str, config: &Value) -> Answer {
    let path = format!("{}?{query}", case.path());
    server.send(with("PATCH", &path, "application/apply-patch+yaml", config.to_string())).await
}

#[tokio::test]
async fn every_kind_can_be_applied() {
    each(async |server, case| {
        let made = case.make(&server).await;
        let mut config = content(&made);
        config["metadata"] = case.object()["metadata"].clone();
        let applied = case.expect("apply", &apply(&server, &case, "fieldManager=applier", &config).await, 200);
        assert_eq!(content(&applied), content(&made), "{}", case.key());
        let again = case.expect("apply again", &apply(&server, &case, "fieldManager=applier", &config).await, 200);
        assert_eq!(again, applied, "{}", case.key());
        let mut other = config.clone();
        other["metadata"]["labels"]["test"] = json!("other");
        let refused = case.expect("conflict", &apply(&server, &case, "fieldManager=other", &other).await, 409);
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("conflict") && message.contains("\"applier\""), "{message}");
        assert_eq!(refused["details"]["causes"][0]["field"], ".metadata.labels.test", "{refused}");
        let forced = apply(&server, &case, "fieldManager=other&force=true", &other).await;
        let forced = case.expect("force", &forced, 200);
        assert_eq!(forced["metadata"]["labels"]["test"], "other", "{}", case.key());
        case.unmake(&server).await;
        let created =
            case.expect("apply to create", &apply(&server, &case, "fieldManager=applier", &case.object()).await, 201);
        assert_eq!(created["metadata"]["managedFields"][0]["operation"], "Apply", "{}", case.key());
        case.unmake(&server).await;
    })
    .await;
}
