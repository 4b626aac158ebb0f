//! Every kind can be deleted, alone and with others, and is then not there; what is only a question is
//! answered and never was.

use http::Request;
use serde_json::{Value, json};
use skiff_api::resource::Durability;

use super::{Case, at_once, each, every};
use crate::support::{PODS, Server, pod};

#[tokio::test]
async fn every_kind_can_be_deleted() {
    each(async |server, case| {
        let made = case.make(&server).await;
        let taken = case.expect("create again", &server.post(&case.collection(), &case.object()).await, 409);
        assert_eq!((&taken["reason"], &taken["details"]), (&json!("AlreadyExists"), &details(&case)));
        let wrong = json!({"preconditions": {"uid": "of-another-one"}});
        let refused = case.expect("delete another", &server.delete_with(&case.path(), &wrong).await, 409);
        let uid = made["metadata"]["uid"].as_str().unwrap();
        let expected = format!("UID in precondition: of-another-one, UID in object meta: {uid}");
        assert!(refused["message"].as_str().unwrap().contains(&expected), "{refused}");
        case.unmake(&server).await;
        let gone = case.expect("get", &server.get(&case.path()).await, 404);
        assert_eq!((&gone["reason"], &gone["details"]), (&json!("NotFound"), &details(&case)));
        case.expect("delete", &server.delete(&case.path()).await, 404);
        if case.resource.allows("deletecollection") {
            together(&server, &case).await;
        }
    })
    .await;
}

/// What the errors about the minimal object say that it is.
fn details(case: &Case) -> Value {
    let mut details = json!({"name": case.name(), "kind": case.resource.plural});
    if !case.resource.group.is_empty() {
        details["group"] = json!(case.resource.group);
    }
    details
}

async fn together(server: &Server, case: &Case) {
    case.make(server).await;
    let selected = format!("{}?labelSelector=test%3Devery", case.collection());
    case.expect("deletecollection", &server.delete_with(&selected, &at_once()).await, 200);
    super::until(async || (server.get(&case.path()).await.code == 404).then_some(())).await;
}

#[tokio::test]
async fn questions_are_answered_and_forgotten() {
    let server = Server::start().await;
    server.post(PODS, &pod("one")).await.expect(201);
    let asked = |case: &Case| case.resource.durability == Durability::Virtual && case.resource.allows("create");
    for case in every().into_iter().filter(asked) {
        let answer = case.expect("create", &server.post(&case.collection(), &case.minimal.object).await, 201);
        let expected = if case.resource.kind == "Binding" { "Status" } else { case.resource.kind };
        assert_eq!(answer["kind"], expected, "{}", case.key());
        // It has no row and no metadata.
        let table = Request::post(case.collection())
            .header("content-type", "application/json")
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(case.minimal.object.to_string().into());
        let refused = case.expect("table", &server.send(table.unwrap()).await, 406);
        assert_eq!(refused["reason"], "NotAcceptable", "{}", case.key());
        let refused = case.expect("list", &server.get(&case.collection()).await, 405);
        assert_eq!(refused["reason"], "MethodNotAllowed", "{}", case.key());
    }
}
