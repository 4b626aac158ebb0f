//! Custom kinds whose versions a webhook converts.

mod hook;

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use self::hook::{Hook, Mode, Shows};
use crate::customs::CRDS;
use crate::support::{Answer, Server, with};

const V1: &str = "/apis/example.com/v1/namespaces/default/relays";
const V2: &str = "/apis/example.com/v2/namespaces/default/relays";

fn definition(client_config: &Value, storage: &str) -> Value {
    let text = json!({"type": "string"});
    let version = |name: &str, fields: Value| {
        json!({"name": name, "served": true, "storage": name == storage, "subresources": {"status": {}},
            "selectableFields": if name == "v2" { json!([{"jsonPath": ".spec.host"}]) } else { json!([]) },
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": fields},
                "status": {"type": "object", "properties": {"up": {"type": "boolean"}}}}}}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "relays.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "relays", "kind": "Relay"},
            "versions": [version("v1", json!({"hostPort": text, "note": text})),
                version("v2", json!({"host": text, "port": text, "note": text}))],
            "conversion": {"strategy": "Webhook", "webhook": {
                "clientConfig": client_config, "conversionReviewVersions": ["v1", "v1beta1"]}}}})
}

async fn start() -> (Server, Hook) {
    let (server, hook) = (Server::start().await, Hook::start(Shows::Chain).await);
    server.post(CRDS, &definition(&hook.client_config(), "v1")).await.expect(201);
    (server, hook)
}

fn v1(name: &str, host_port: &str) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Relay", "metadata": {"name": name}, "spec": {"hostPort": host_port}})
}

fn v2(name: &str, host: &str, port: &str) -> Value {
    json!({"apiVersion": "example.com/v2", "kind": "Relay", "metadata": {"name": name},
        "spec": {"host": host, "port": port}})
}

#[tokio::test]
async fn every_verb_speaks_the_version_of_its_path() {
    let (server, hook) = start().await;
    server.post(V1, &v1("a", "x:1")).await.expect(201);
    assert!(hook.reviews().is_empty(), "the stored version is converted by nobody");
    let read = server.get(&format!("{V2}/a")).await.expect(200);
    assert_eq!((&read["apiVersion"], &read["spec"]), (&json!("example.com/v2"), &json!({"host": "x", "port": "1"})));
    let review = hook.reviews().remove(0);
    assert_eq!(review["apiVersion"], "apiextensions.k8s.io/v1");
    assert_eq!(review["request"]["desiredAPIVersion"], "example.com/v2");
    assert_eq!(review["request"]["objects"][0]["metadata"]["uid"], read["metadata"]["uid"]);
    let made = server.post(V2, &v2("b", "y", "2")).await.expect(201);
    assert_eq!(made["spec"], json!({"host": "y", "port": "2"}));
    assert_eq!(server.get(&format!("{V1}/b")).await.expect(200)["spec"], json!({"hostPort": "y:2"}));
    hook.reviews();
    let list = server.get(V2).await.expect(200);
    let hosts: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|item| &item["spec"]["host"]).collect();
    assert_eq!(hosts, ["x", "y"]);
    let reviews = hook.reviews();
    assert_eq!((reviews.len(), reviews[0]["request"]["objects"].as_array().unwrap().len()), (1, 2));
    let selected = server.get(&format!("{V2}?fieldSelector=spec.host%3Dy&limit=1")).await.expect(200);
    assert_eq!(selected["items"][0]["metadata"]["name"], "b");
    let patched = server.patch(&format!("{V2}/a"), "merge-patch+json", &json!({"spec": {"port": "9"}})).await;
    assert_eq!(patched.expect(200)["spec"], json!({"host": "x", "port": "9"}));
    let mut put = server.get(&format!("{V2}/b")).await.expect(200);
    put["spec"]["host"] = json!("z");
    assert_eq!(server.put(&format!("{V2}/b"), &put).await.expect(200)["metadata"]["generation"], 2);
    let same = server.put(&format!("{V2}/b"), &put).await;
    assert_eq!(same.code.as_u16(), 409, "its version is an old one");
    let status = server.patch(&format!("{V2}/b/status"), "merge-patch+json", &json!({"status": {"up": true}})).await;
    assert_eq!(status.expect(200)["status"], json!({"up": true}));
    let stored = server.get(&format!("{V1}/b")).await.expect(200);
    assert_eq!((&stored["spec"], &stored["status"]), (&json!({"hostPort": "z:2"}), &json!({"up": true})));
    let table = server.get_as(V2, "application/json;as=Table;v=v1;g=meta.k8s.io").await.expect(200);
    assert_eq!(table["rows"].as_array().unwrap().len(), 2);
    let definition = server.get(&format!("{CRDS}/relays.example.com")).await.expect(200);
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
}

/// The next event of a watch that `body` brings.
async fn next(body: &mut axum::body::Body, text: &mut String) -> Value {
    let wait = async {
        loop {
            if let Some((line, rest)) = text.split_once('\n') {
                let event = serde_json::from_str(line).unwrap();
                *text = rest.to_owned();
                return event;
            }
            let frame = body.frame().await.expect("the watch goes on").unwrap();
            text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap()));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap()
}

#[tokio::test]
async fn watches_show_their_version() {
    let (server, hook) = start().await;
    server.post(V1, &v1("a", "x:1")).await.expect(201);
    let request =
        |query: &str| http::Request::get(format!("{V2}?watch=1{query}")).body(axum::body::Body::empty()).unwrap();
    let (mut body, mut text) = (server.raw(request("")).await.into_body(), String::new());
    let selection = "&fieldSelector=spec.host%3Dy";
    let (mut chosen, mut more) = (server.raw(request(selection)).await.into_body(), String::new());
    let first = next(&mut body, &mut text).await;
    assert_eq!((&first["type"], &first["object"]["spec"]["host"]), (&json!("ADDED"), &json!("x")));
    server.patch(&format!("{V1}/a"), "merge-patch+json", &json!({"spec": {"hostPort": "y:1"}})).await.expect(200);
    let second = next(&mut body, &mut text).await;
    assert_eq!((&second["type"], &second["object"]["spec"]["host"]), (&json!("MODIFIED"), &json!("y")));
    assert_eq!(next(&mut chosen, &mut more).await["type"], "ADDED");
    let patched = server.patch(&format!("{V1}/a"), "merge-patch+json", &json!({"spec": {"hostPort": "z:1"}})).await;
    let left = next(&mut chosen, &mut more).await;
    assert_eq!((&left["type"], &left["object"]["spec"]["host"]), (&json!("DELETED"), &json!("y")));
    assert_eq!(left["object"]["metadata"]["resourceVersion"], patched.expect(200)["metadata"]["resourceVersion"]);
    assert_eq!(next(&mut body, &mut text).await["object"]["spec"]["host"], "z");
    server.delete(&format!("{V2}/a")).await.expect(200);
    let last = next(&mut body, &mut text).await;
    assert_eq!((&last["type"], &last["object"]["apiVersion"]), (&json!("DELETED"), &json!("example.com/v2")));
    hook.becomes(Mode::Fails);
    server.post(V1, &v1("b", "x:1")).await.expect(201);
    let error = next(&mut body, &mut text).await;
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(500)));
}

#[tokio::test]
async fn a_webhook_that_fails_is_named_and_keeps_nobody_from_deleting() {
    let (server, hook) = start().await;
    for name in ["a", "b", "c"] {
        server.post(V1, &v1(name, "x:1")).await.expect(201);
    }
    let label = |value: &str| json!({"metadata": {"labels": {"a": value}}});
    let by_two = format!("{V2}/c?fieldManager=two");
    server.patch(&by_two, "merge-patch+json", &label("1")).await.expect(200);
    let failing = |answer: Answer| answer.expect(500)["message"].as_str().unwrap().to_owned();
    hook.becomes(Mode::Fails);
    let port = hook.address.port();
    assert_eq!(
        failing(server.get(&format!("{V2}/a")).await),
        r#"conversion webhook for example.com/v1, Kind=Relay failed: an error on the server ("\"it broke\"") has prevented the request from succeeding"#
    );
    failing(server.get(V2).await);
    failing(server.post(V2, &v2("d", "x", "1")).await);
    server.get(&format!("{V1}/a")).await.expect(200);
    let bare = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let metadata = server.get_as(V2, bare).await.expect(200);
    assert_eq!(metadata["items"][2]["metadata"]["name"], "c");
    // Somebody owns something in the other version: that keeps nobody from writing this one.
    let written = server.patch(&format!("{V1}/c?fieldManager=one"), "merge-patch+json", &label("2")).await.expect(200);
    assert_eq!(written["metadata"]["labels"], json!({"a": "2"}));
    assert!(written["metadata"]["managedFields"].to_string().contains("\"two\""));
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    server.patch(&format!("{V1}/b"), "merge-patch+json", &hold).await.expect(200);
    assert_eq!(server.delete(&format!("{V2}/a")).await.expect(200)["status"], "Success");
    assert_eq!(server.delete(&format!("{V2}/b")).await.expect(200)["kind"], "Status");
    let held = server.get(&format!("{V1}/b")).await.expect(200);
    assert_eq!((&held["spec"], held["metadata"]["deletionTimestamp"].is_string()), (&json!({"hostPort": "x:1"}), true));
    server.delete(V2).await.expect(200);
    server.get(&format!("{V1}/c")).await.expect(404);
    for (mode, message) in [
        (Mode::Refuses, "failed: cannot be told apart"),
        (Mode::Forgets, "returned 0 objects, expected 1"),
        (Mode::Renames, "returned invalid object: must have the same name: b != other"),
        (
            Mode::WrongVersion,
            "returned invalid object: invalid groupVersion (expected example.com/v2, received example.com/v9)",
        ),
    ] {
        hook.becomes(mode);
        let said = failing(server.get(&format!("{V2}/b")).await);
        assert_eq!(said, format!("conversion webhook for example.com/v1, Kind=Relay {message}"));
    }
    hook.becomes(Mode::WrongUid);
    assert!(failing(server.get(&format!("{V2}/b")).await).contains(r#"failed: expected response.uid=""#));
    hook.becomes(Mode::Labels);
    let changed = server.get(&format!("{V2}/b")).await.expect(200);
    assert_eq!(changed["metadata"]["labels"], json!({"from": "hook"}));
    assert_eq!(changed["metadata"]["finalizers"], json!(["example.com/hold"]));
    let mut nobody =
        definition(&json!({"url": format!("https://127.0.0.1:{port}/convert"), "caBundle": hook.bundle}), "v1");
    nobody["metadata"]["resourceVersion"] =
        server.get(&format!("{CRDS}/relays.example.com")).await.expect(200)["metadata"]["resourceVersion"].clone();
    server.put(&format!("{CRDS}/relays.example.com"), &nobody).await.expect(200);
    let said = failing(server.get(&format!("{V2}/b")).await);
    assert!(said.contains(&format!(r#"failed: Post "https://127.0.0.1:{port}/convert?timeout=30s": tls: failed to verify certificate: x509: certificate is valid for localhost, near.default.svc, not 127.0.0.1"#)), "{said}");
}

async fn set(server: &Server, change: &Value) {
    server.patch(&format!("{CRDS}/relays.example.com"), "merge-patch+json", change).await.expect(200);
}

#[tokio::test]
async fn the_stored_version_may_change() {
    let (server, _hook) = start().await;
    server.post(V1, &v1("a", "x:1")).await.expect(201);
    let versions = definition(&Value::Null, "v2")["spec"]["versions"].clone();
    set(&server, &json!({"spec": {"versions": versions}})).await;
    let stored = |definition: Value| definition["status"]["storedVersions"].clone();
    let path = format!("{CRDS}/relays.example.com");
    assert_eq!(stored(server.get(&path).await.expect(200)), json!(["v1", "v2"]));
    assert_eq!(server.get(&format!("{V1}/a")).await.expect(200)["spec"], json!({"hostPort": "x:1"}));
    assert_eq!(server.get(&format!("{V2}/a")).await.expect(200)["spec"], json!({"host": "x", "port": "1"}));
    server.post(V2, &v2("b", "y", "2")).await.expect(201);
    for (path, spec) in [
        (V1, json!([{"hostPort": "x:1"}, {"hostPort": "y:2"}])),
        (V2, json!([{"host": "x", "port": "1"}, {"host": "y", "port": "2"}])),
    ] {
        let list = server.get(path).await.expect(200);
        let specs: Value = list["items"].as_array().unwrap().iter().map(|item| item["spec"].clone()).collect();
        assert_eq!(specs, spec, "both are stored, each in its own version");
    }
    let there = server.get(&format!("{V2}/a")).await.expect(200);
    let moved = server.put(&format!("{V2}/a"), &there).await.expect(200);
    assert_ne!(moved["metadata"]["resourceVersion"], there["metadata"]["resourceVersion"], "it is stored anew");
    let again = server.put(&format!("{V2}/a"), &moved).await.expect(200);
    assert_eq!(again["metadata"]["resourceVersion"], moved["metadata"]["resourceVersion"]);
    assert_eq!(server.get(&format!("{V1}/a")).await.expect(200)["spec"], json!({"hostPort": "x:1"}));
    let none = json!({"status": {"storedVersions": ["v1"]}});
    let refused = server.patch(&format!("{path}/status"), "merge-patch+json", &none).await.expect(422);
    assert!(refused["message"].as_str().unwrap().contains("must have the storage version v2"));
    let only = json!({"status": {"storedVersions": ["v2"]}});
    let moved = server.patch(&format!("{path}/status"), "merge-patch+json", &only).await.expect(200);
    assert_eq!(stored(moved), json!(["v2"]));
    server.delete(&path).await.expect(200);
    let gone = async {
        while server.get(&path).await.code.as_u16() != 404 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}

async fn apply(server: &Server, path: &str, query: &str, body: &Value) -> Answer {
    server.send(with("PATCH", &format!("{path}/a?{query}"), "application/apply-patch+yaml", body.to_string())).await
}

#[tokio::test]
async fn owners_in_another_version_are_found_by_converting() {
    let (server, _hook) = start().await;
    apply(&server, V1, "fieldManager=old", &v1("a", "x:1")).await.expect(201);
    let refused = apply(&server, V2, "fieldManager=new", &v2("a", "y", "1")).await.expect(409);
    assert!(refused["message"].as_str().unwrap().ends_with(r#"conflict with "old": .spec.hostPort"#), "{refused}");
    let taken = apply(&server, V2, "fieldManager=new&force=true", &v2("a", "y", "1")).await.expect(200);
    assert_eq!(taken["spec"], json!({"host": "y", "port": "1"}));
    let owners: Vec<&Value> =
        taken["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| &entry["manager"]).collect();
    assert_eq!(owners, ["new"]);
    let patch = json!({"spec": {"hostPort": "z:2"}});
    let hand = server.patch(&format!("{V1}/a?fieldManager=hand"), "merge-patch+json", &patch).await.expect(200);
    let owners: Vec<&Value> =
        hand["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| &entry["manager"]).collect();
    assert_eq!(owners, ["hand"]);
}

#[tokio::test]
async fn who_the_webhook_may_be() {
    let (server, hook) = (Server::start().await, Hook::start(Shows::Own).await);
    server.post(CRDS, &definition(&hook.client_config(), "v1")).await.expect(201);
    server.post(V2, &v2("a", "x", "1")).await.expect(201);
    let other = Hook::start(Shows::Chain).await;
    set(&server, &json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": other.bundle}}}}})).await;
    let refused = server.get(&format!("{V2}/a")).await.expect(500);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.ends_with("tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        "{message}"
    );
    let service = json!({"url": null, "service": {"name": "hook", "namespace": "default", "path": "/convert"}});
    set(&server, &json!({"spec": {"conversion": {"webhook": {"clientConfig": service}}}})).await;
    let refused = server.get(&format!("{V2}/a")).await.expect(500);
    assert_eq!(
        refused["message"],
        r#"conversion webhook for example.com/v1, Kind=Relay failed: Post "https://hook.default.svc:443/convert?timeout=30s": service "hook" not found"#
    );
    let made = json!({"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443}], "selector": {"a": "b"}}});
    server.post("/api/v1/namespaces/default/services", &made).await.expect(201);
    let refused = server.get(&format!("{V2}/a")).await.expect(500);
    assert!(
        refused["message"].as_str().unwrap().ends_with(r#"no endpoints available for service "hook""#),
        "{refused}"
    );
    let near = json!({"metadata": {"name": "near"}, "spec": {"type": "ExternalName", "externalName": "localhost"}});
    server.post("/api/v1/namespaces/default/services", &near).await.expect(201);
    let service = json!({"name": "near", "path": "/convert", "port": other.address.port()});
    set(&server, &json!({"spec": {"conversion": {"webhook": {"clientConfig": {"service": service}}}}})).await;
    assert_eq!(server.get(&format!("{V2}/a")).await.expect(200)["spec"], json!({"host": "x", "port": "1"}));
    let bad = json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "Cg=="}}}}});
    let refused = server.patch(&format!("{CRDS}/relays.example.com"), "merge-patch+json", &bad).await.expect(422);
    assert!(refused["message"].as_str().unwrap().contains(
        "spec.conversion.webhookClientConfig.caBundle: Invalid value: \"Cg==\": unable to load root certificates"
    ));
}

#[tokio::test]
async fn nothing_is_served_before_the_webhooks_authority_is_known() {
    let (server, hook) = (Server::start().await, Hook::start(Shows::Chain).await);
    let mut config = hook.client_config();
    config["caBundle"] = json!("Cg==");
    server.post(CRDS, &definition(&config, "v1")).await.expect(201);
    server.get(V1).await.expect(404);
    let path = format!("{CRDS}/relays.example.com");
    let unestablished = async {
        loop {
            let definition = server.get(&path).await.expect(200);
            let conditions = definition["status"]["conditions"].as_array().unwrap();
            if let Some(one) = conditions.iter().find(|one| one["type"] == "Established") {
                return one.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let condition = tokio::time::timeout(Duration::from_secs(20), unestablished).await.unwrap();
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("InvalidCABundle")));
    set(&server, &json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": hook.bundle}}}}})).await;
    server.post(V2, &v2("a", "x", "1")).await.expect(201);
}
