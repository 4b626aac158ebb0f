//! Server-side apply to custom kinds: their schema says what is merged, and who owns it.

use serde_json::{Value, json};

use crate::customs::CRDS;
use crate::support::{Answer, Server, with};

const TEAMS: &str = "/apis/example.com/v1/namespaces/default/teams";

fn schema(list: &str) -> Value {
    let members = match list {
        "map" => {
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "kind"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"},
                "kind": {"type": "string", "default": "person"}, "role": {"type": "string"}}}})
        }
        _ => json!({"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"},
            "kind": {"type": "string"}, "role": {"type": "string"}}}}),
    };
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "members": members,
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "plain": {"type": "array", "items": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "granular": {"type": "object", "x-kubernetes-map-type": "granular", "additionalProperties": {"type": "string"}},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}}})
}

async fn start() -> Server {
    let server = Server::start().await;
    let version = |name: &str, storage: bool, list: &str| json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": schema(list)}});
    let definition = json!({"metadata": {"name": "teams.example.com"}, "spec": {"group": "example.com",
        "scope": "Namespaced", "names": {"plural": "teams", "kind": "Team"},
        "versions": [version("v1", true, "map"), version("v1alpha1", false, "atomic")]}});
    server.post(CRDS, &definition).await.expect(201);
    server
}

async fn apply(server: &Server, version: &str, query: &str, spec: Value) -> Answer {
    let body = json!({"apiVersion": format!("example.com/{version}"), "kind": "Team", "metadata": {"name": "a"},
        "spec": spec});
    let path = format!("{}/a?{query}", TEAMS.replace("v1", version));
    server.send(with("PATCH", &path, "application/apply-patch+yaml", body.to_string())).await
}

fn owned(object: &Value, manager: &str) -> Value {
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    list.iter()
        .find(|entry| entry["manager"] == manager)
        .map_or(Value::Null, |entry| entry["fieldsV1"]["f:spec"].clone())
}

#[tokio::test]
async fn lists_and_maps_of_custom_kinds_merge_by_element() {
    let server = start().await;
    let one = json!({"members": [{"name": "ann", "role": "lead"}], "tags": ["x"], "plain": ["p"],
        "whole": {"a": "1"}, "granular": {"a": "1"}, "open": {"a": {"b": 1}}});
    apply(&server, "v1", "fieldManager=one", one).await.expect(201);
    let two = json!({"members": [{"name": "bob"}], "tags": ["y"], "granular": {"b": "2"}, "open": {"a": {"c": 2}}});
    let both = apply(&server, "v1", "fieldManager=two", two).await.expect(200);
    let ann = json!({"name": "ann", "kind": "person", "role": "lead"});
    let bob = json!({"name": "bob", "kind": "person"});
    assert_eq!(both["spec"]["members"], json!([ann, bob]));
    assert_eq!(both["spec"]["tags"], json!(["x", "y"]));
    assert_eq!(both["spec"]["granular"], json!({"a": "1", "b": "2"}));
    assert_eq!(both["spec"]["open"], json!({"a": {"b": 1, "c": 2}}));
    let key = r#"k:{"kind":"person","name":"bob"}"#;
    assert_eq!(
        owned(&both, "two"),
        json!({"f:members": {key: {".": {}, "f:name": {}}}, "f:tags": {"v:\"y\"": {}}, "f:granular": {"f:b": {}},
            "f:open": {"f:a": {".": {}, "f:c": {}}}})
    );
    // What is replaced as a whole has one owner, and so has each item.
    let whole = apply(&server, "v1", "fieldManager=two", json!({"whole": {"b": "2"}, "plain": ["q"]})).await;
    let message = whole.expect(409)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("- .spec.plain") && message.contains("- .spec.whole"), "{message}");
    let role = json!({"members": [{"name": "ann", "role": "none"}]});
    let refused = apply(&server, "v1", "fieldManager=two", role).await;
    assert!(
        refused.expect(409)["message"]
            .as_str()
            .unwrap()
            .ends_with(r#"conflict with "one": .spec.members[kind="person",name="ann"].role"#)
    );
    let less = apply(&server, "v1", "fieldManager=one", json!({"tags": ["z"]})).await.expect(200);
    assert_eq!(less["spec"]["members"], json!([bob]));
    assert_eq!(less["spec"]["tags"], json!(["y", "z"]));
    assert_eq!(less["spec"].get("whole"), None);
}

#[tokio::test]
async fn what_is_there_twice_is_refused() {
    let server = start().await;
    let twice = json!({"members": [{"name": "ann"}, {"name": "ann", "kind": "person"}]});
    let refused = apply(&server, "v1", "fieldManager=one", twice.clone()).await;
    assert_eq!(
        refused.expect(400)["message"],
        "failed to create typed patch object (/a; example.com/v1, Kind=Team): .spec.members: duplicate entries \
         for key [kind=\"person\",name=\"ann\"]"
    );
    let refused = apply(&server, "v1", "fieldManager=one", json!({"tags": ["x", "x"]})).await;
    assert!(
        refused.expect(400)["message"].as_str().unwrap().ends_with(".spec.tags: duplicate entries for key [=\"x\"]")
    );
    let refused = apply(&server, "v1", "fieldManager=one", json!({"nope": 1})).await;
    assert!(refused.expect(400)["message"].as_str().unwrap().ends_with(".spec.nope: field not declared in schema"));
    let body = json!({"apiVersion": "example.com/v1", "kind": "Team", "metadata": {"name": "a"}, "spec": twice});
    let refused = server.post(TEAMS, &body).await.expect(422);
    assert_eq!(
        refused["message"],
        "Team.example.com \"a\" is invalid: spec.members[1]: Duplicate value: {\"kind\":\"person\",\"name\":\"ann\"}"
    );
}

#[tokio::test]
async fn owners_are_found_across_versions() {
    let server = start().await;
    let old = json!({"members": [{"name": "ann", "kind": "person"}], "tags": ["x"]});
    apply(&server, "v1alpha1", "fieldManager=old", old).await.expect(201);
    let wanted = json!({"members": [{"name": "bob"}]});
    // In the owner's version the list is replaced as a whole: any change of it is one to what it owns.
    let refused = apply(&server, "v1", "fieldManager=new", wanted.clone()).await.expect(409);
    assert!(refused["message"].as_str().unwrap().ends_with("conflict with \"old\": .spec.members"), "{refused}");
    let taken = apply(&server, "v1", "fieldManager=new&force=true", wanted).await.expect(200);
    assert_eq!(taken["spec"]["members"].as_array().unwrap().len(), 2);
    assert_eq!(owned(&taken, "old"), json!({"f:tags": {"v:\"x\"": {}}}));
    let list = taken["metadata"]["managedFields"].as_array().unwrap();
    let versions: Vec<_> = list.iter().map(|entry| (&entry["manager"], &entry["apiVersion"])).collect();
    assert!(versions.contains(&(&json!("old"), &json!("example.com/v1alpha1"))));
    let gone = apply(&server, "v1", "fieldManager=old", json!({})).await.expect(200);
    assert_eq!(gone["spec"].get("tags"), None);
    assert_eq!(owned(&gone, "old"), json!({}));
}
