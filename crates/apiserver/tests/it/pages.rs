//! Lists: selectors, pages of one moment, and revisions.

use serde_json::{Value, json};

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
    let server = Server::forgetful(4).await;
    for name in ["a", "b", "c"] {
        server.post(CONFIG_MAPS, &config_map(name)).await.expect(201);
    }
    // What a token of an earlier run of the server looks like.
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let token = BASE64_URL_SAFE_NO_PAD.encode(json!({"rv": 1, "after": "default/a"}).to_string());
    let gone = server.get(&format!("{CONFIG_MAPS}?limit=1&continue={token}")).await.expect(410);
    assert_eq!(gone["reason"], "Expired");
    assert!(gone["message"].as_str().unwrap().starts_with("The provided continue parameter is too old to display a"));
    let token = gone["metadata"]["continue"].as_str().unwrap();
    let rest = server.get(&format!("{CONFIG_MAPS}?limit=1&continue={token}")).await.expect(200);
    assert_eq!(names(&rest), ["b"]);
    let token = rest["metadata"]["continue"].as_str().unwrap();
    server.delete(&format!("{CONFIG_MAPS}/c")).await.expect(200);
    let last = server.get(&format!("{CONFIG_MAPS}?limit=1&continue={token}")).await.expect(200);
    assert_eq!(names(&last), ["c"], "consistent again from there on");
    let far = BASE64_URL_SAFE_NO_PAD.encode(json!({"rv": 1_000_000, "after": "default/a"}).to_string());
    server.get(&format!("{CONFIG_MAPS}?limit=1&continue={far}")).await.expect(504);
}

/// The names of a list's objects.
fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

/// Pages go on being of one moment however much is written in between, and so do lists of that very revision.
#[tokio::test]
async fn pages_stay_as_they_were_while_others_write() {
    let server = Server::forgetful(16).await;
    for index in 0..30 {
        server.post(CONFIG_MAPS, &config_map(&format!("m{index:02}"))).await.expect(201);
    }
    let before = server.get(CONFIG_MAPS).await.expect(200);
    let revision = before["metadata"]["resourceVersion"].as_str().unwrap();
    let mut path = format!("{CONFIG_MAPS}?limit=7");
    let mut seen = Vec::new();
    loop {
        let page = server.get(&path).await.expect(200);
        assert_eq!(page["metadata"]["resourceVersion"], revision);
        seen.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(token) = page["metadata"]["continue"].as_str() else { break };
        path = format!("{CONFIG_MAPS}?limit=7&continue={token}");
        for index in 0..30 {
            let change = json!({"data": {"round": seen.len().to_string()}});
            server.patch(&format!("{CONFIG_MAPS}/m{index:02}"), "merge-patch+json", &change).await.expect(200);
        }
        server.post(CONFIG_MAPS, &config_map(&format!("m29-{}", seen.len()))).await.expect(201);
    }
    assert_eq!(&seen, before["items"].as_array().unwrap());
    let exact = format!("{CONFIG_MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact");
    assert_eq!(server.get(&exact).await.expect(200), before, "the pages keep it");
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
    let server = Server::forgetful(20).await;
    server.post(CONFIG_MAPS, &config_map("a")).await.expect(201);
    let list = server.get(CONFIG_MAPS).await.expect(200);
    let revision: u64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    let exact = format!("{CONFIG_MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact");
    assert_eq!(server.get(&exact).await.expect(200), list);
    server.post(CONFIG_MAPS, &config_map("b")).await.expect(201);
    server.patch(&format!("{CONFIG_MAPS}/a"), "merge-patch+json", &json!({"data": {"key": "new"}})).await.expect(200);
    let newer =
        server.get(&format!("{CONFIG_MAPS}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan")).await;
    assert_eq!(names(&newer.expect(200)), ["a", "b"]);
    assert_eq!(names(&server.get(&format!("{CONFIG_MAPS}?resourceVersion={revision}")).await.expect(200)), ["a", "b"]);
    assert_eq!(server.get(&exact).await.expect(200), list, "as it was");
    let limited = server.get(&format!("{CONFIG_MAPS}?resourceVersion={revision}&limit=5")).await.expect(200);
    assert_eq!(limited, list, "pages of a revision are of that revision");
    let any = server.get(&format!("{CONFIG_MAPS}?resourceVersion=0&limit=1")).await.expect(200);
    assert_eq!(any["metadata"]["remainingItemCount"], 1);
    for index in 0..20 {
        server.post(CONFIG_MAPS, &config_map(&format!("m{index}"))).await.expect(201);
    }
    let old = server.get(&exact).await;
    assert_eq!(old.expect(410)["reason"], "Expired");
    assert_eq!(old.message(), "The resourceVersion for the provided list is too old.");
}

#[tokio::test]
async fn revisions_that_do_not_exist_are_refused() {
    let server = Server::start().await;
    let current = server.store.snapshot().revision();
    let wanted = current + 1000;
    for options in ["", "&resourceVersionMatch=NotOlderThan", "&resourceVersionMatch=Exact", "&limit=1"] {
        let future = server.get(&format!("{CONFIG_MAPS}?resourceVersion={wanted}{options}")).await;
        let status = future.expect(504);
        assert_eq!(status["message"], format!("Timeout: Too large resource version: {wanted}, current: {current}"));
        assert_eq!((&status["reason"], &status["details"]["retryAfterSeconds"]), (&json!("Timeout"), &json!(1)));
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        assert_eq!(status["details"]["causes"], json!([cause]));
        assert_eq!(future.headers["retry-after"], "1");
    }
    for bad in ["resourceVersion=abc", "limit=abc", "continue=nonsense", "resourceVersion=5&continue=eyJhZnRlciI6IiJ9"]
    {
        server.get(&format!("{CONFIG_MAPS}?{bad}")).await.expect(400);
    }
}

/// Options that make no sense together, in Kubernetes's words; what deletes a collection lists it, too.
#[tokio::test]
async fn options_must_go_together() {
    let server = Server::start().await;
    let at = "ListOptions.meta.k8s.io \"\" is invalid: ";
    for (query, text) in [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersion=1&resourceVersionMatch=Exact&continue=x",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ),
        (
            "resourceVersion=1&resourceVersionMatch=Nearly",
            "resourceVersionMatch: Unsupported value: \"Nearly\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
             provided",
        ),
        (
            "watch=1&sendInitialEvents=false",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    ] {
        let refused = server.get(&format!("{CONFIG_MAPS}?{query}")).await;
        assert_eq!(refused.expect(422)["message"], format!("{at}{text}"), "{query}");
    }
    server.delete(&format!("{CONFIG_MAPS}?resourceVersionMatch=Exact")).await.expect(422);
}
