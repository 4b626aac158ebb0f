//! CustomResourceDefinitions, and the kinds that they make.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::Server;

pub(crate) const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition() -> Value {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "color": {"type": "string", "default": "red"}, "size": {"type": "integer", "minimum": 1},
            "replicas": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}}});
    let old = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                    "additionalPrinterColumns": [
                        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                    "selectableFields": [{"jsonPath": ".spec.color"}],
                    "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}}},
                {"name": "v1beta1", "served": true, "storage": false, "deprecated": true,
                    "schema": {"openAPIV3Schema": old}},
            ]},
    })
}

pub(crate) fn widget(name: &str) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1}})
}

/// Waits until `done` says so of the definition; the watch says when to look.
async fn until(server: &Server, done: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        let path = format!("{CRDS}?watch=true&fieldSelector=metadata.name%3Dwidgets.example.com");
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let mut body = server.raw(request).await.into_body();
        let mut text = String::new();
        while let Some(frame) = body.frame().await {
            text.push_str(&String::from_utf8_lossy(&frame.unwrap().into_data().unwrap()));
            while let Some((line, rest)) = text.split_once('\n') {
                let event: Value = serde_json::from_str(line).unwrap();
                if done(&event) {
                    return event;
                }
                text = rest.to_owned();
            }
        }
        panic!("the watch ended");
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap()
}

fn is(event: &Value, condition: &str) -> bool {
    let conditions = event["object"]["status"]["conditions"].as_array().unwrap();
    conditions.iter().any(|one| one["type"] == condition && one["status"] == "True")
}

pub(crate) async fn with_widgets() -> Server {
    let server = Server::start().await;
    define_widgets(&server).await;
    server
}

pub(crate) async fn define_widgets(server: &Server) {
    server.post(CRDS, &definition()).await.expect(201);
}

#[tokio::test]
async fn a_definition_is_served_at_once_and_established() {
    let server = with_widgets().await;
    server.post(WIDGETS, &widget("a")).await.expect(201);
    let event = until(&server, |event| is(event, "Established")).await;
    assert!(is(&event, "NamesAccepted"));
    assert_eq!(event["object"]["status"]["acceptedNames"]["listKind"], "WidgetList");
    assert_eq!(event["object"]["status"]["storedVersions"], json!(["v1"]));
    let groups = server.get("/apis").await.json();
    let group =
        groups["groups"].as_array().unwrap().iter().find(|group| group["name"] == "example.com").unwrap().clone();
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let listed = server.get("/apis/example.com/v1").await.json();
    let names: Vec<_> = listed["resources"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["widgets", "widgets/scale", "widgets/status"]);
    assert_eq!(listed["resources"][0]["shortNames"], json!(["wd"]));
    let v2 = server.get("/openapi/v2").await.json();
    assert_eq!(
        v2["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"]["size"]["type"],
        "integer"
    );
    let v3 = server.get("/openapi/v3/apis/example.com/v1").await.json();
    assert!(v3["components"]["schemas"]["com.example.v1.WidgetList"].is_object());
    assert!(v3["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"].is_object());
}

#[tokio::test]
async fn objects_are_defaulted_pruned_and_judged() {
    let server = with_widgets().await;
    let mut body = widget("a");
    body["spec"]["nope"] = json!(1);
    let strict = server.post(&format!("{WIDGETS}?fieldValidation=Strict"), &body).await;
    assert!(
        strict.expect(400)["message"].as_str().unwrap().contains(r#"strict decoding error: unknown field "spec.nope""#)
    );
    let made = server.post(WIDGETS, &body).await;
    assert_eq!(made.headers["warning"], r#"299 - "unknown field \"spec.nope\"""#);
    let object = made.expect(201);
    assert_eq!(object["spec"], json!({"color": "red", "size": 1}));
    assert_eq!(object["metadata"]["generation"], 1);
    body["metadata"]["name"] = json!("b");
    body["spec"]["size"] = json!(0);
    let refused = server.post(WIDGETS, &body).await.expect(422);
    assert_eq!(
        refused["message"],
        "Widget.example.com \"b\" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"
    );
    let path = format!("{WIDGETS}/a");
    let patched = server.patch(&path, "merge-patch+json", &json!({"spec": {"size": 2}})).await.expect(200);
    assert_eq!(patched["metadata"]["generation"], 2);
    let patched =
        server.patch(&path, "json-patch+json", &json!([{"op": "replace", "path": "/spec/size", "value": 3}])).await;
    assert_eq!(patched.expect(200)["spec"]["size"], 3);
    server.patch(&path, "strategic-merge-patch+json", &json!({"spec": {"size": 2}})).await.expect(415);
}

#[tokio::test]
async fn status_and_scale_are_parts_of_their_own() {
    let server = with_widgets().await;
    let mut body = widget("a");
    body["spec"]["replicas"] = json!(2);
    server.post(WIDGETS, &body).await.expect(201);
    let path = format!("{WIDGETS}/a");
    let status =
        json!({"status": {"replicas": 1, "selector": "a=b"}, "metadata": {"labels": {"x": "y"}}, "spec": {"size": 9}});
    let after = server.patch(&format!("{path}/status"), "merge-patch+json", &status).await.expect(200);
    assert_eq!((&after["status"]["replicas"], &after["spec"]["size"]), (&json!(1), &json!(1)));
    assert_eq!(after["metadata"]["generation"], 1);
    assert!(after["metadata"].get("labels").is_none());
    let scale = server.get(&format!("{path}/scale")).await.expect(200);
    assert_eq!(scale["spec"], json!({"replicas": 2}));
    assert_eq!(scale["status"], json!({"replicas": 1, "selector": "a=b"}));
    let after =
        server.patch(&format!("{path}/scale"), "merge-patch+json", &json!({"spec": {"replicas": 5}})).await.expect(200);
    assert_eq!(after["spec"]["replicas"], 5);
    assert_eq!(server.get(&path).await.json()["spec"]["replicas"], 5);
}

#[tokio::test]
async fn versions_tables_and_selectors() {
    let server = with_widgets().await;
    server.post(WIDGETS, &widget("a")).await.expect(201);
    let mut blue = widget("b");
    blue["spec"]["color"] = json!("blue");
    server.post(WIDGETS, &blue).await.expect(201);
    let old = server.get("/apis/example.com/v1beta1/namespaces/default/widgets/a").await;
    assert_eq!(old.headers["warning"], r#"299 - "example.com/v1beta1 Widget is deprecated""#);
    assert_eq!(old.expect(200)["apiVersion"], "example.com/v1beta1");
    let mut by_old = widget("c");
    by_old["apiVersion"] = json!("example.com/v1beta1");
    by_old["spec"]["extra"] = json!(true);
    let made = server.post("/apis/example.com/v1beta1/namespaces/default/widgets", &by_old).await.expect(201);
    assert_eq!(made["spec"]["extra"], true);
    let new = server.get(&format!("{WIDGETS}/c")).await.expect(200);
    assert_eq!((&new["apiVersion"], &new["spec"]), (&json!("example.com/v1"), &json!({"color": "red", "size": 1})));
    let table = server.get_as(WIDGETS, "application/json;as=Table;v=v1;g=meta.k8s.io").await.expect(200);
    let columns: Vec<_> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(columns, ["Name", "Color", "Age"]);
    assert_eq!(table["rows"][1]["cells"][1], "blue");
    let listed = server.get(&format!("{WIDGETS}?fieldSelector=spec.color%3Dblue")).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["kind"], "WidgetList");
    let unknown = server.get(&format!("{WIDGETS}?fieldSelector=spec.size%3D1")).await;
    assert_eq!(unknown.expect(400)["message"], "field label not supported: spec.size");
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    assert_eq!(server.get_as(WIDGETS, accept).await.expect(200)["items"][0]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn a_definitions_end_takes_its_objects_along() {
    let server = with_widgets().await;
    let mut held = widget("held");
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    server.post(WIDGETS, &held).await.expect(201);
    server.post(WIDGETS, &widget("a")).await.expect(201);
    let path = format!("{CRDS}/widgets.example.com");
    server.delete(&path).await.expect(200);
    assert_eq!(server.post(WIDGETS, &widget("late")).await.code.as_u16(), 405);
    until(&server, |event| is(event, "Terminating")).await;
    let left = async {
        while server.get(&format!("{WIDGETS}/held")).await.json()["metadata"]["deletionTimestamp"].is_null() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), left).await.unwrap();
    server.get(&path).await.expect(200);
    let gone = until(&server, |event| event["type"] == "DELETED");
    let (held, freed) = (format!("{WIDGETS}/held"), json!({"metadata": {"finalizers": null}}));
    let free = server.patch(&held, "merge-patch+json", &freed);
    let (_, freed) = tokio::join!(gone, free);
    freed.expect(200);
    server.get(&path).await.expect(404);
    let unserved = async {
        while server.get(WIDGETS).await.code.as_u16() != 404 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), unserved).await.unwrap();
}

#[tokio::test]
async fn names_that_are_taken_are_not_served() {
    let server = with_widgets().await;
    let mut other = definition();
    other["metadata"]["name"] = json!("gadgets.example.com");
    other["spec"]["names"] = json!({"plural": "gadgets", "kind": "Widget", "shortNames": ["wd"]});
    server.post(CRDS, &other).await.expect(201);
    server.get("/apis/example.com/v1/namespaces/default/gadgets").await.expect(404);
    let mut wrong = definition();
    wrong["metadata"]["name"] = json!("wrong");
    let refused = server.post(CRDS, &wrong).await.expect(422);
    assert!(refused["message"].as_str().unwrap().contains(r#"must be spec.names.plural+"."+spec.group"#));
}
