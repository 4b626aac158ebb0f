//! Who owns which field, and server-side apply, over HTTP.

use http::Request;
use serde_json::{Value, json};
use skiff_apiserver::User;

use crate::support::{Answer, CONFIG_MAPS, PODS, SERVICES, Server, config_map, pod, with};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

async fn apply(server: &Server, path: &str, query: &str, body: &Value) -> Answer {
    server.patch(&format!("{path}?{query}"), "apply-patch+yaml", body).await
}

fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

fn web() -> Value {
    deployment(json!({"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}))
}

fn entry<'a>(object: &'a Value, manager: &str, subresource: &str) -> &'a Value {
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    let found = list
        .iter()
        .find(|entry| entry["manager"] == manager && entry["subresource"].as_str().unwrap_or_default() == subresource);
    found.unwrap_or_else(|| panic!("{manager} {subresource} is not in {list:#?}"))
}

#[tokio::test]
async fn every_write_says_whose_it_is() {
    let server = Server::start().await;
    let request = Request::builder().method("POST").uri(CONFIG_MAPS).header("content-type", "application/json");
    let request = request.header("user-agent", "tool/v1 (linux)").body(config_map("a").to_string().into()).unwrap();
    let made = server.send(request).await.expect(201);
    let tool = entry(&made, "tool", "");
    assert_eq!(tool["operation"], "Update");
    assert_eq!(tool["apiVersion"], "v1");
    assert_eq!(tool["fieldsType"], "FieldsV1");
    assert_eq!(tool["fieldsV1"], json!({"f:data": {".": {}, "f:key": {}}}));
    assert_eq!(tool["time"], made["metadata"]["creationTimestamp"]);
    let path = format!("{CONFIG_MAPS}/a");
    let mut changed = made.clone();
    changed["data"]["key"] = json!("other");
    let changed = server.put(&format!("{path}?fieldManager=you"), &changed).await.expect(200);
    assert_eq!(entry(&changed, "you", "")["fieldsV1"], json!({"f:data": {"f:key": {}}}));
    assert_eq!(entry(&changed, "tool", "")["fieldsV1"], json!({"f:data": {}}));
    let patch = json!({"data": {"more": "1"}});
    let patched = server.patch(&format!("{path}?fieldManager=it"), "merge-patch+json", &patch).await.expect(200);
    assert_eq!(entry(&patched, "it", "")["fieldsV1"], json!({"f:data": {"f:more": {}}}));
    let same = server.patch(&format!("{path}?fieldManager=new"), "merge-patch+json", &patch).await.expect(200);
    assert_eq!(same, patched);
    let clear = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
    let cleared = server.patch(&path, "json-patch+json", &clear).await.expect(200);
    assert!(cleared["metadata"].get("managedFields").is_none());
}

#[tokio::test]
async fn a_pods_spec_and_status_have_owners_of_their_own() {
    let server = Server::start().await;
    let made = server.post(&format!("{PODS}?fieldManager=me"), &pod("p")).await.expect(201);
    let fields = &entry(&made, "me", "")["fieldsV1"];
    assert!(fields["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]["f:image"].is_object(), "{fields}");
    // What the server adds by itself is nobody's.
    assert!(fields["f:spec"].get("f:serviceAccountName").is_none(), "{fields}");
    assert!(fields.get("f:status").is_none());
    let status = json!({"metadata": {"labels": {"x": "y"}}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
    let path = format!("{PODS}/p/status?fieldManager=kubelet");
    let running = server.patch(&path, "strategic-merge-patch+json", &status).await.expect(200);
    assert_eq!(entry(&running, "kubelet", "status")["fieldsV1"], json!({"f:status": {"f:phase": {}}}));
    let through_main = json!({"status": {"phase": "Failed"}, "metadata": {"labels": {"b": "c"}}});
    let path = format!("{PODS}/p?fieldManager=me");
    let labelled = server.patch(&path, "merge-patch+json", &through_main).await.expect(200);
    assert_eq!(labelled["status"]["phase"], "Running");
    assert!(entry(&labelled, "me", "")["fieldsV1"].get("f:status").is_none());
    let bind = json!({"target": {"kind": "Node", "name": "n"}});
    server.post(&format!("{PODS}/p/binding?fieldManager=scheduler"), &bind).await.expect(201);
    let bound = server.get(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(bound["spec"]["nodeName"], "n");
    assert_eq!(bound["metadata"]["managedFields"], labelled["metadata"]["managedFields"]);
}

#[tokio::test]
async fn apply_creates_changes_and_takes_away() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  one: '1'\n  two: '2'\n";
    let request = with("PATCH", &format!("{path}?fieldManager=me"), "application/apply-patch+yaml", yaml);
    let made = server.send(request).await.expect(201);
    assert_eq!(entry(&made, "me", "")["operation"], "Apply");
    assert_eq!(entry(&made, "me", "")["fieldsV1"], json!({"f:data": {"f:one": {}, "f:two": {}}}));
    let one = map("a", json!({"one": "1"}));
    let changed = apply(&server, &path, "fieldManager=me", &one).await.expect(200);
    assert_eq!(changed["data"], json!({"one": "1"}));
    let again = apply(&server, &path, "fieldManager=me", &one).await.expect(200);
    assert_eq!(again["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]);
    let other = map("a", json!({"one": "5"}));
    let refused = apply(&server, &path, "fieldManager=you", &other).await;
    let status = refused.expect(409);
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"me\": .data.one");
    assert_eq!(
        status["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"me\"", "field": ".data.one"}])
    );
    let tried = apply(&server, &path, "fieldManager=you&force=true&dryRun=All", &other).await.expect(200);
    assert_eq!(tried["data"]["one"], "5");
    assert_eq!(server.get(&path).await.expect(200)["data"]["one"], "1");
    let forced = apply(&server, &path, "fieldManager=you&force=true", &other).await.expect(200);
    assert_eq!(forced["data"]["one"], "5");
    assert_eq!(forced["metadata"]["managedFields"].as_array().unwrap().len(), 1);
    server.get(&format!("{CONFIG_MAPS}/b")).await.expect(404);
    let path = format!("{CONFIG_MAPS}/b");
    apply(&server, &path, "fieldManager=me&dryRun=All", &map("b", json!({}))).await.expect(201);
    server.get(&path).await.expect(404);
}

#[tokio::test]
async fn what_cannot_be_applied_is_refused() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let good = map("a", json!({"a": "b"}));
    let required = apply(&server, &path, "", &good).await;
    required.expect(422);
    assert_eq!(
        required.message(),
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    let forced = server.patch(&format!("{path}?force=true"), "merge-patch+json", &good).await;
    forced.expect(422);
    assert!(forced.message().ends_with("force: Forbidden: may not be specified for non-apply patch"));
    let long = apply(&server, &path, &format!("fieldManager={}", "x".repeat(129)), &good).await;
    long.expect(422);
    let mut managed = good.clone();
    managed["metadata"]["managedFields"] = json!([]);
    let mut unknown = good.clone();
    unknown["dat"] = json!({});
    let mut versioned = good.clone();
    versioned["metadata"]["uid"] = json!("u");
    let table = [
        (json!({"kind": "Pod", "apiVersion": "v1"}), 400, "invalid object type: /v1, Kind=Pod"),
        (json!({}), 400, "invalid object type: /, Kind="),
        (json!([]), 400, "error decoding patch"),
        (managed, 400, "metadata.managedFields must be nil"),
        (
            unknown,
            400,
            "failed to create typed patch object (/a; v1, Kind=ConfigMap): .dat: field not declared in schema",
        ),
        (map("b", json!({})), 400, "the name of the object (b) does not match the name on the URL (a)"),
        (versioned, 409, "uid mismatch: the provided object specified uid u, and no existing object was found"),
        (map("a", json!({"a": 1})), 400, ".data.a: expected string, got int64"),
    ];
    for (config, code, message) in table {
        let refused = apply(&server, &path, "fieldManager=me", &config).await;
        refused.expect(code);
        assert!(refused.message().contains(message), "{} {message}", refused.message());
    }
    let media = server.patch(&path, "whatever", &good).await;
    media.expect(415);
    assert!(media.message().contains("application/apply-patch+yaml"), "{}", media.message());
    apply(&server, &path, "fieldManager=me", &good).await.expect(201);
    let mut stale = map("a", json!({"a": "c"}));
    stale["metadata"]["resourceVersion"] = json!("1");
    apply(&server, &path, "fieldManager=me", &stale).await.expect(409);
    let missing = format!("{DEPLOYMENTS}/none/status");
    let none = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "none"}});
    apply(&server, &missing, "fieldManager=me", &none).await.expect(404);
}

#[tokio::test]
async fn every_patch_minds_the_version() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let version = made["metadata"]["resourceVersion"].clone();
    server.patch(&path, "merge-patch+json", &json!({"data": {"b": "1"}})).await.expect(200);
    let stale = json!({"metadata": {"resourceVersion": version}, "data": {"b": "2"}});
    for kind in ["merge-patch+json", "strategic-merge-patch+json"] {
        let refused = server.patch(&path, kind, &stale).await;
        refused.expect(409);
        assert!(refused.message().contains("the object has been modified"));
    }
    let replace = json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": version}]);
    server.patch(&path, "json-patch+json", &replace).await.expect(409);
}

#[tokio::test]
async fn scale_and_status_are_applied_to_as_parts() {
    let server = Server::start().await;
    let path = format!("{DEPLOYMENTS}/web");
    apply(&server, &path, "fieldManager=me", &web()).await.expect(201);
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"},
        "spec": {"replicas": 7}});
    let refused = apply(&server, &format!("{path}/scale"), "fieldManager=scaler", &scale).await;
    refused.expect(409);
    assert!(refused.message().ends_with("conflict with \"me\": .spec.replicas"), "{}", refused.message());
    let scaled = apply(&server, &format!("{path}/scale"), "fieldManager=scaler&force=true", &scale).await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 7);
    let there = server.get(&path).await.expect(200);
    assert_eq!(entry(&there, "scaler", "scale")["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    assert!(entry(&there, "me", "")["fieldsV1"]["f:spec"].get("f:replicas").is_none());
    let mut put = scale.clone();
    put["spec"]["replicas"] = json!(2);
    server.put(&format!("{path}/scale?fieldManager=hand"), &put).await.expect(200);
    let there = server.get(&path).await.expect(200);
    assert_eq!(entry(&there, "hand", "scale")["operation"], "Update");
    assert_eq!(entry(&there, "hand", "scale")["apiVersion"], "apps/v1");
    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 9}, "status": {"replicas": 1, "conditions": [
            {"type": "Available", "status": "True"}]}});
    let there = apply(&server, &format!("{path}/status"), "fieldManager=ctl", &status).await.expect(200);
    assert_eq!(there["spec"]["replicas"], 2);
    assert_eq!(
        entry(&there, "ctl", "status")["fieldsV1"],
        json!({"f:status": {"f:replicas": {}, "f:conditions": {"k:{\"type\":\"Available\"}":
            {".": {}, "f:type": {}, "f:status": {}}}}})
    );
}

#[tokio::test]
async fn allocated_fields_are_nobodys_and_stay() {
    let server = Server::start().await;
    let path = format!("{SERVICES}/s");
    let service = |port: u16| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"selector": {"a": "b"}, "ports": [{"port": port}]}})
    };
    let made = apply(&server, &path, "fieldManager=me", &service(80)).await.expect(201);
    let changed = apply(&server, &path, "fieldManager=me", &service(81)).await.expect(200);
    assert_eq!(changed["spec"]["clusterIP"], made["spec"]["clusterIP"]);
    assert_eq!(changed["spec"]["ports"].as_array().unwrap().len(), 1);
    assert_eq!(changed["spec"]["ports"][0]["port"], 81);
    let fields = &entry(&changed, "me", "")["fieldsV1"]["f:spec"];
    assert!(fields.get("f:clusterIP").is_none(), "{fields}");
    assert!(fields["f:ports"]["k:{\"port\":81,\"protocol\":\"TCP\"}"].is_object());
}

#[tokio::test]
async fn who_may_not_create_may_not_apply_what_is_not_there() {
    let server = Server::start().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({"metadata": {"name": "r"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]});
    server.post(&format!("{rbac}/roles"), &role).await.expect(201);
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "jane"}]});
    server.post(&format!("{rbac}/rolebindings"), &binding).await.expect(201);
    let body = map("a", json!({"a": "b"})).to_string();
    let path = format!("{CONFIG_MAPS}/a?fieldManager=me");
    let request = || with("PATCH", &path, "application/apply-patch+yaml", body.clone());
    let refused = server.as_user(User::new("jane", []), request()).await;
    refused.expect(403);
    assert!(refused.message().contains("cannot create resource \"configmaps\""), "{}", refused.message());
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    server.as_user(User::new("jane", []), request()).await.expect(200);
}
