//! Lists: selectors, pages of one moment, and revisions.

use serde_json::json;

use crate::support::{CONFIG_MAPS, PODS, Server, config_map, pod};

#[tokio::test]
async fn pages_are_of_one_moment() {
    let server = Server::start().await;
    for index in 0..10 {
        server.post(CONFIG_MAPS, &config_map(&format!("a{index}"))).await.expect(201);
    }
    let first = server.get(&format!("{CONFIG_MAPS}?limit=4")).await.expect(200);
    assert_eq!(first["items"].as_array().unwrap().len(), 4);
    assert_eq!(first["metadata"]["remainingItemCount"], 6);
    server.delete(&format!("{CONFIG_MAPS}/a9")).await.expect(200);
    server.post(CONFIG_MAPS, &config_map("a55")).await.expect(201);
    let mut seen = 4;
    let mut next = first["metadata"]["continue"].as_str().map(str::to_owned);
    let mut last = first.clone();
    while let Some(token) = next {
        last = server.get(&format!("{CONFIG_MAPS}?limit=4&continue={token}")).await.expect(200);
        seen += last["items"].as_array().unwrap().len();
        assert_eq!(last["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        next = last["metadata"]["continue"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, 10);
    assert_eq!(last["items"][1]["metadata"]["name"], "a9", "as it was when the list began");
    server.get(&format!("{CONFIG_MAPS}?continue=nonsense")).await.expect(400);
}

#[tokio::test]
async fn a_page_of_a_forgotten_moment_is_gone_but_tells_how_to_go_on() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.post(CONFIG_MAPS, &config_map(name)).await.expect(201);
    }
    // What a token of an earlier run of the server looks like.
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let token = BASE64_URL_SAFE_NO_PAD.encode(json!({"rv": 1, "after": "default/a"}).to_string());
    let gone = server.get(&format!("{CONFIG_MAPS}?continue={token}")).await.expect(410);
    assert_eq!(gone["reason"], "Expired");
    let token = gone["metadata"]["continue"].as_str().unwrap();
    let rest = server.get(&format!("{CONFIG_MAPS}?continue={token}")).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn selectors_choose() {
    let server = Server::start().await;
    for (name, app) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let mut made = pod(name);
        made["metadata"]["labels"] = json!({"app": app});
        made["spec"]["nodeName"] = json!(if name == "a" { "one" } else { "two" });
        server.post(PODS, &made).await.expect(201);
    }
    for (query, expected) in [
        ("labelSelector=app%3Dx", vec!["a", "b"]),
        ("labelSelector=app+in+(y,z)", vec!["c"]),
        ("labelSelector=!app", vec![]),
        ("fieldSelector=spec.nodeName%3Dtwo", vec!["b", "c"]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=metadata.name!%3Db&labelSelector=app", vec!["a", "c"]),
        ("fieldSelector=status.phase%3DPending&labelSelector=app%3Dy", vec!["c"]),
    ] {
        let list = server.get(&format!("{PODS}?{query}")).await.expect(200);
        let names: Vec<_> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, expected, "{query}");
    }
    server.get(&format!("{PODS}?labelSelector=a%3D%3D%3Db")).await.expect(400);
    let unknown = server.get(&format!("{PODS}?fieldSelector=spec.nonsense%3Da")).await;
    unknown.expect(400);
    assert!(unknown.message().contains("field label not supported: spec.nonsense"), "{}", unknown.message());
}

#[tokio::test]
async fn revisions_mean_what_they_mean_in_kubernetes() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let list = server.get(CONFIG_MAPS).await.expect(200);
    let revision: u64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    server.get(&format!("{CONFIG_MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact")).await.expect(200);
    server.post(CONFIG_MAPS, &config_map("b")).await.expect(201);
    server
        .get(&format!("{CONFIG_MAPS}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan"))
        .await
        .expect(200);
    let old = server.get(&format!("{CONFIG_MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact")).await;
    assert_eq!(old.expect(410)["reason"], "Expired");
    let future = server.get(&format!("{CONFIG_MAPS}?resourceVersion={}", revision + 1000)).await.expect(504);
    assert_eq!(future["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    server.get(&format!("{CONFIG_MAPS}?resourceVersionMatch=Exact")).await.expect(422);
    server.get(&format!("{CONFIG_MAPS}?resourceVersion=abc")).await.expect(400);
    server.get(&format!("{CONFIG_MAPS}?limit=abc")).await.expect(400);
}
