//! What clients ask for first: versions, discovery and OpenAPI, in every form, and not twice when nothing changed.

use std::io::Read as _;

use axum::body::Body;
use http::Request;
use http_body_util::Full;
use serde_json::Value;

use crate::customs::with_widgets;
use crate::protobuf::{PROTOBUF, at, opened, texts};
use crate::serving::{connect, pki, request, send, serving};
use crate::support::Server;

const AGGREGATED: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test]
async fn the_documents_are_there() {
    let server = Server::start().await;
    let version = server.get("/version").await.expect(200);
    assert_eq!((version["major"].as_str(), version["minor"].as_str()), (Some("1"), Some("36")));
    assert_eq!(server.get("/api").await.expect(200)["versions"][0], "v1");
    assert_eq!(server.get("/apis").await.expect(200)["kind"], "APIGroupList");
    assert_eq!(server.get("/api/v1").await.expect(200)["kind"], "APIResourceList");
    assert_eq!(server.get("/apis/apps").await.expect(200)["kind"], "APIGroup");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let aggregated = server.get_as("/apis", accept).await;
    assert_eq!(
        aggregated.headers["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    assert_eq!(aggregated.expect(200)["kind"], "APIGroupDiscoveryList");
    let index = server.get("/openapi/v3").await.expect(200);
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let document = server.get(&url).await;
    document.expect(200);
    let etag = document.headers["etag"].to_str().unwrap();
    let again = Request::get(&url).header("if-none-match", etag).body(Body::empty()).unwrap();
    assert_eq!(server.send(again).await.code, 304);
    assert_eq!(server.get("/openapi/v2").await.expect(200)["swagger"], "2.0");
    server.get("/nothing").await.expect(404);
    let verbose = server.get("/readyz?verbose").await;
    assert!(String::from_utf8_lossy(&verbose.bytes).contains("[+]ping ok"), "{:?}", verbose.bytes);
}

fn strings(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn discovery_speaks_protobuf() {
    let server = with_widgets().await;
    let open = async |path: &str| {
        let answer = server.get_as(path, "application/vnd.kubernetes.protobuf,application/json").await;
        assert_eq!(answer.headers["content-type"], PROTOBUF, "{path}");
        opened(&answer.bytes)
    };
    let (kind, version, raw) = open("/api").await;
    assert_eq!((kind.as_str(), version.as_str(), texts(&raw, &[1])), ("APIVersions", "", vec!["v1".to_owned()]));
    assert_eq!(texts(&raw, &[2, 1]), ["0.0.0.0/0"]);
    let (kind, version, raw) = open("/apis").await;
    assert_eq!((kind.as_str(), version.as_str()), ("APIGroupList", "v1"));
    let groups = server.get("/apis").await.expect(200);
    assert_eq!(texts(&raw, &[1, 1]), strings(&groups["groups"], "name"));
    let preferred = groups["groups"].as_array().unwrap().iter().map(|group| &group["preferredVersion"]["groupVersion"]);
    assert!(texts(&raw, &[1, 3, 1]).iter().eq(preferred));
    let (kind, _, raw) = open("/apis/apps").await;
    assert_eq!((kind.as_str(), texts(&raw, &[2, 1])), ("APIGroup", vec!["apps/v1".to_owned()]));
    for path in ["/api/v1", "/apis/apps/v1", "/apis/example.com/v1"] {
        let (kind, _, raw) = open(path).await;
        let json = server.get(path).await.expect(200);
        assert_eq!(
            (kind.as_str(), texts(&raw, &[1]).concat().as_str()),
            ("APIResourceList", json["groupVersion"].as_str().unwrap())
        );
        let resources = json["resources"].as_array().unwrap();
        assert_eq!(texts(&raw, &[2, 1]), strings(&json["resources"], "name"));
        for (resource, json) in at(&raw, &[2]).iter().zip(resources) {
            assert_eq!(texts(resource, &[3]).concat(), json["kind"].as_str().unwrap());
            let verbs: Vec<&str> = json["verbs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(texts(resource, &[4, 1]), verbs, "a list within a message");
        }
    }
}

#[tokio::test]
async fn so_does_aggregated_discovery() {
    let server = with_widgets().await;
    for path in ["/api", "/apis"] {
        let json = server.get_as(path, &format!("application/json{AGGREGATED}")).await.expect(200);
        let accept = format!("{PROTOBUF}{AGGREGATED},application/json{AGGREGATED},application/json");
        let answer = server.get_as(path, &accept).await;
        assert_eq!(answer.headers["content-type"], format!("{PROTOBUF}{AGGREGATED}"));
        let (kind, version, raw) = opened(&answer.bytes);
        assert_eq!((kind.as_str(), version.as_str()), ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"));
        let groups = at(&raw, &[2]);
        let items = json["items"].as_array().unwrap();
        assert_eq!(groups.len(), items.len());
        for (group, item) in groups.iter().zip(items) {
            assert_eq!(texts(group, &[1, 1]).concat(), item["metadata"]["name"].as_str().unwrap_or_default());
            for (version, item) in at(group, &[2]).iter().zip(item["versions"].as_array().unwrap()) {
                assert_eq!(texts(version, &[1]).concat(), item["version"].as_str().unwrap());
                assert_eq!(texts(version, &[2, 1]), strings(&item["resources"], "resource"));
                assert_eq!(texts(version, &[2, 3]), strings(&item["resources"], "scope"));
                assert_eq!(texts(version, &[3]), ["Current"]);
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_object_is_json_for_everyone() {
    let server = Server::start().await;
    for accept in [PROTOBUF, "application/yaml", "text/html"] {
        let answer = server.get_as("/version", accept).await;
        assert_eq!((answer.headers["content-type"].to_str().unwrap(), answer.code.as_u16()), ("application/json", 200));
        answer.json();
    }
    for (path, accept) in
        [("/apis", "text/html"), ("/openapi/v3", PROTOBUF), ("/apis/apps", &format!("application/json{AGGREGATED}"))]
    {
        assert_eq!(server.get_as(path, accept).await.code, 406, "{path}");
    }
    let slashes = server.get_as("/apis/", &format!("application/json{AGGREGATED}")).await;
    assert_eq!(slashes.expect(200)["kind"], "APIGroupDiscoveryList");
}

/// The tag of a document, which is 304 for who has it already.
async fn tag(server: &Server, path: &str, accept: &str) -> String {
    let ask = |tag: &str| {
        let request = Request::get(path).header("accept", accept).header("if-none-match", tag);
        request.body(Body::empty()).unwrap()
    };
    let fresh = server.send(ask("\"other\"")).await;
    assert_eq!(fresh.code, 200, "{path}");
    let tag = fresh.headers["etag"].to_str().unwrap().to_owned();
    let known = server.send(ask(&format!("\"other\", {tag}"))).await;
    assert_eq!((known.code.as_u16(), known.bytes.len()), (304, 0), "{path}");
    assert_eq!(known.headers["etag"], *tag);
    tag
}

#[tokio::test]
async fn documents_have_tags_that_change_with_them() {
    let server = Server::start().await;
    let asked = [
        ("/apis", format!("application/json{AGGREGATED}")),
        ("/apis", format!("{PROTOBUF}{AGGREGATED}")),
        ("/apis", "application/json".to_owned()),
        ("/apis", PROTOBUF.to_owned()),
        ("/openapi/v2", "application/json".to_owned()),
        ("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf".to_owned()),
        ("/openapi/v3", "application/json".to_owned()),
    ];
    let mut before = Vec::new();
    for (path, accept) in &asked {
        before.push(tag(&server, path, accept).await);
    }
    let unchanged = tag(&server, "/openapi/v3/apis/apps/v1", "application/json").await;
    let url = |index: &Value, group: &str| index["paths"][group]["serverRelativeURL"].as_str().unwrap().to_owned();
    let index = server.get("/openapi/v3").await.expect(200);
    crate::customs::define_widgets(&server).await;
    for ((path, accept), before) in asked.iter().zip(&before) {
        assert_ne!(tag(&server, path, accept).await, *before, "{path} {accept}");
    }
    assert_eq!(tag(&server, "/openapi/v3/apis/apps/v1", "application/json").await, unchanged);
    let later = server.get("/openapi/v3").await.expect(200);
    assert_eq!(url(&later, "apis/apps/v1"), url(&index, "apis/apps/v1"));
    assert_eq!(server.get(&url(&later, "apis/example.com/v1")).await.code, 200);
}

#[tokio::test]
async fn large_documents_are_compressed_for_who_asks() {
    let server = Server::start().await;
    let (ca, admin) = (pki(&server).ca().to_owned(), pki(&server).admin().clone());
    serving(&server, |address| async move {
        for (path, accept) in [
            ("/openapi/v2", "application/json"),
            ("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"),
            ("/openapi/v3/api/v1", "application/json"),
        ] {
            let ask = request(path).header("accept-encoding", "gzip").header("accept", accept);
            let client = connect(address, &ca, Some(&admin)).await;
            let (_, headers, packed) = send(client, ask.body(Full::default()).unwrap()).await;
            assert_eq!(headers["content-encoding"], "gzip", "{path}");
            let vary: Vec<_> = headers.get_all("vary").iter().collect();
            assert_eq!(vary, ["Accept", "Accept-Encoding"]);
            let mut whole = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut whole).unwrap();
            assert!(whole.len() >= 128 << 10 && packed.len() < whole.len() / 4, "{} {}", whole.len(), packed.len());
            let again = request(path).header("accept-encoding", "gzip").header("accept", accept);
            let again = again.header("if-none-match", &headers["etag"]).body(Full::default()).unwrap();
            let (code, _, nothing) = send(connect(address, &ca, Some(&admin)).await, again).await;
            assert_eq!((code.as_u16(), nothing.len()), (304, 0));
        }
    })
    .await;
}
