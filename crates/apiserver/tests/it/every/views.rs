//! Every kind can be read in every form: whole, in a list, as rows of a table, as metadata alone, as events
//! of a watch, and in protobuf, in which nothing is lost.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{Case, each};
use crate::support::{Server, with};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";

#[tokio::test]
async fn every_kind_can_be_read_in_every_form() {
    each(async |server, case| {
        let before = server.get(&case.collection()).await.expect(200)["metadata"]["resourceVersion"].clone();
        let made = case.make(&server).await;
        assert_eq!((&made["kind"], &made["apiVersion"]), (&case.object()["kind"], &case.object()["apiVersion"]));
        assert_eq!(case.get(&server).await, made, "{}", case.key());
        listed(&server, &case, &made).await;
        table(&server, &case, &made).await;
        let alone = case.expect("metadata", &server.get_as(&case.path(), METADATA).await, 200);
        let expected = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": made["metadata"]});
        assert_eq!(alone, expected, "{}", case.key());
        if case.resource.subresource("scale").is_some() {
            scale(&server, &case, &made).await;
        }
        watched(&server, &case, &made, before.as_str().unwrap()).await;
        protobuf(&server, &case, &made).await;
        case.unmake(&server).await;
    })
    .await;
}

async fn listed(server: &Server, case: &Case, made: &Value) {
    for selector in ["labelSelector=test%3Devery", &format!("fieldSelector=metadata.name%3D{}", case.name())] {
        let list = server.get(&format!("{}?{selector}", case.collection())).await;
        let list = case.expect("list", &list, 200);
        assert_eq!(list["kind"], case.resource.list_kind());
        assert_eq!(list["items"], json!([made]), "{}", case.key());
    }
}

async fn table(server: &Server, case: &Case, made: &Value) {
    let path = format!("{}?labelSelector=test%3Devery", case.collection());
    let table = case.expect("table", &server.get_as(&path, TABLE).await, 200);
    let columns = table["columnDefinitions"].as_array().unwrap();
    assert_eq!(columns.iter().filter(|column| column["format"] == "name" && column["name"] == "Name").count(), 1);
    let [row] = table["rows"].as_array().unwrap().as_slice() else { panic!("one row of {}", case.key()) };
    let cells = row["cells"].as_array().unwrap();
    assert_eq!(cells.len(), columns.len(), "{}", case.key());
    assert_eq!(row["object"]["metadata"], made["metadata"], "{}", case.key());
    for (column, cell) in columns.iter().zip(cells) {
        let named = format!("{} of {}: {cell}", column["name"], case.key());
        match column["type"].as_str().unwrap() {
            "integer" => assert!(cell.is_i64(), "{named}"),
            "string" => assert!(cell.is_string() || cell.is_i64() || cell.is_boolean(), "{named}"),
            "boolean" => assert!(cell.is_boolean() || cell == "True" || cell == "False", "{named}"),
            "date" => assert!(cell.is_string(), "{named}"),
            other => panic!("{other} {named}"),
        }
    }
}

/// Where there are replicas, their number is an object of its own, in the same forms.
async fn scale(server: &Server, case: &Case, made: &Value) {
    let path = format!("{}/scale", case.path());
    let whole = case.expect("scale", &server.get(&path).await, 200);
    assert_eq!((&whole["kind"], &whole["metadata"]["uid"]), (&json!("Scale"), &made["metadata"]["uid"]));
    let table = case.expect("scale as table", &server.get_as(&path, TABLE).await, 200);
    let columns: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(columns, ["Name", "Desired", "Available", "Age"]);
    let cells = json!([case.name(), whole["spec"]["replicas"], whole["status"]["replicas"]]);
    assert_eq!(table["rows"][0]["cells"].as_array().unwrap()[..3], cells.as_array().unwrap()[..], "{}", case.key());
    let alone = case.expect("scale's metadata", &server.get_as(&path, METADATA).await, 200);
    assert_eq!((&alone["kind"], &alone["metadata"]), (&json!("PartialObjectMetadata"), &whole["metadata"]));
}

/// The watch of a list that did not have it yet tells of it.
async fn watched(server: &Server, case: &Case, made: &Value, since: &str) {
    let selector = format!("fieldSelector=metadata.name%3D{}", case.name());
    let path = format!("{}?watch=true&resourceVersion={since}&{selector}", case.collection());
    let mut events = server.raw(Request::get(&path).body(Body::empty()).unwrap()).await.into_body();
    let frame = tokio::time::timeout(std::time::Duration::from_secs(10), events.frame()).await.unwrap();
    let frame = frame.unwrap().unwrap().into_data().unwrap();
    let line = frame.split(|byte| *byte == b'\n').next().unwrap();
    let event: Value = serde_json::from_slice(line).unwrap();
    assert_eq!(event["type"], "ADDED", "{}", case.key());
    assert_eq!(event["object"]["metadata"]["uid"], made["metadata"]["uid"], "{}", case.key());
    assert_eq!(event["object"]["apiVersion"], made["apiVersion"], "{}", case.key());
}

/// What is read in protobuf and sent back changes nothing: neither way loses anything.
async fn protobuf(server: &Server, case: &Case, made: &Value) {
    for path in [case.path(), case.collection()] {
        let answer = server.get_as(&path, PROTOBUF).await;
        assert_eq!((answer.code.as_u16(), &answer.headers["content-type"]), (200, &PROTOBUF.parse().unwrap()));
    }
    let bytes = server.get_as(&case.path(), PROTOBUF).await.bytes;
    let put = with("PUT", &case.path(), PROTOBUF, bytes.clone());
    assert_eq!(case.expect("put protobuf", &server.send(put).await, 200), *made, "{}", case.key());
    assert_eq!(case.get(server).await, *made, "{}", case.key());
}
