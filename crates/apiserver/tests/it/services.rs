//! Services: addresses and ports, taken, free, wrong and changed.

use serde_json::{Value, json};

use crate::support::{SERVICES, Server};

fn service(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn a_service_gets_an_address_and_ports() {
    let server = Server::start().await;
    let spec = json!({"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]});
    let made = server.post(SERVICES, &service("a", spec)).await.expect(201);
    let spec = &made["spec"];
    assert!(spec["clusterIP"].as_str().unwrap().starts_with("10."), "{spec}");
    assert_eq!(spec["clusterIPs"][0], spec["clusterIP"]);
    let port = spec["ports"][0]["nodePort"].as_u64().unwrap();
    assert!((30086..=32767).contains(&port), "{port}");
    assert_eq!(spec["ports"][0]["targetPort"], 80);
    assert_eq!(spec["ipFamilies"], json!(["IPv4"]));
    assert_eq!(spec["externalTrafficPolicy"], "Cluster");
}

#[tokio::test]
async fn what_is_taken_or_out_of_range_is_refused_in_kubernetes_words() {
    let server = Server::start().await;
    let ask = |port: i64| json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
    server.post(SERVICES, &service("a", ask(30080))).await.expect(201);
    let taken = server.post(SERVICES, &service("b", ask(30080))).await;
    taken.expect(422);
    assert_eq!(
        taken.message(),
        "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
    );
    let outside = server.post(SERVICES, &service("b", ask(29999))).await;
    outside.expect(422);
    assert!(outside.message().contains("The range of valid ports is 30000-32767"), "{}", outside.message());
    let taken = server.post(SERVICES, &service("b", json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}))).await;
    taken.expect(422);
    assert_eq!(
        taken.message(),
        "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.1\"]: failed to allocate IP 10.96.0.1: \
         provided IP is already allocated"
    );
    let spec = json!({"clusterIP": "192.0.2.1", "ports": [{"port": 80}]});
    let outside = server.post(SERVICES, &service("b", spec)).await;
    outside.expect(422);
    assert!(outside.message().contains("The range of valid IPs is 10.96.0.0/12"), "{}", outside.message());
    for port in [0, 70000] {
        let wrong = server.post(SERVICES, &service("b", json!({"ports": [{"port": port}]}))).await;
        wrong.expect(422);
        assert!(wrong.message().contains("spec.ports[0].port"), "{}", wrong.message());
    }
}

#[tokio::test]
async fn deleting_a_service_frees_what_it_held() {
    let server = Server::start().await;
    let spec = json!({"type": "NodePort", "clusterIP": "10.96.7.7", "ports": [{"port": 80, "nodePort": 30080}]});
    server.post(SERVICES, &service("a", spec.clone())).await.expect(201);
    let gone = server.delete(&format!("{SERVICES}/a")).await.expect(200);
    assert_eq!(gone["kind"], "Service");
    server.post(SERVICES, &service("b", spec.clone())).await.expect(201);
    server.delete(&format!("{SERVICES}?fieldSelector=metadata.name%3Db")).await.expect(200);
    server.post(SERVICES, &service("c", spec)).await.expect(201);
}

#[tokio::test]
async fn a_type_can_change_and_change_back() {
    let server = Server::start().await;
    let spec = json!({"selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}]});
    let first = server.post(SERVICES, &service("a", spec.clone())).await.expect(201);
    let path = format!("{SERVICES}/a");
    let retype = |kind: &str| json!({"spec": {"type": kind}});
    let opened = server.patch(&path, "merge-patch+json", &retype("LoadBalancer")).await.expect(200);
    let port = opened["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    assert_eq!(opened["spec"]["clusterIP"], first["spec"]["clusterIP"]);
    // A manifest without the allocated values keeps them.
    let mut manifest = service("a", spec.clone());
    manifest["spec"]["type"] = json!("LoadBalancer");
    let kept = server.put(&path, &manifest).await.expect(200);
    assert_eq!(kept["spec"]["ports"][0]["nodePort"], port);
    assert_eq!(kept["spec"]["clusterIP"], first["spec"]["clusterIP"]);
    let closed = server.patch(&path, "merge-patch+json", &retype("ClusterIP")).await.expect(200);
    assert!(closed["spec"]["ports"][0].get("nodePort").is_none(), "{closed}");
    let change = json!({"spec": {"type": "ExternalName", "externalName": "example.com"}});
    let named = server.patch(&path, "merge-patch+json", &change).await.expect(200);
    assert!(named["spec"].get("clusterIP").is_none_or(|address| address == ""), "{named}");
    let back = server.put(&path, &service("a", spec)).await.expect(200);
    assert!(back["spec"]["clusterIP"].is_string());
    let moved = server
        .patch(&path, "merge-patch+json", &json!({"spec": {"clusterIP": "10.96.8.8", "clusterIPs": ["10.96.8.8"]}}))
        .await;
    moved.expect(422);
    assert!(moved.message().contains("may not change once set"), "{}", moved.message());
}

#[tokio::test]
async fn many_at_once_never_share() {
    let server = Server::start_with(|config| config.node_ports.last = 30099).await;
    let made = futures::future::join_all((0..120).map(|index| {
        let server = &server;
        async move {
            let spec = json!({"type": "NodePort", "ports": [{"port": 80}]});
            server.post(SERVICES, &service(&format!("s{index}"), spec)).await
        }
    }))
    .await;
    let (ok, full): (Vec<_>, Vec<_>) = made.into_iter().partition(|answer| answer.code == 201);
    assert_eq!((ok.len(), full.len()), (100, 20));
    assert!(full[0].message().contains("range is full"), "{}", full[0].message());
    let ports: std::collections::BTreeSet<u64> =
        ok.iter().map(|answer| answer.json()["spec"]["ports"][0]["nodePort"].as_u64().unwrap()).collect();
    assert_eq!(ports.len(), 100);
}

#[tokio::test]
async fn headless_and_external_services_have_no_address() {
    let server = Server::start().await;
    let headless = service("h", json!({"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 80}]}));
    let made = server.post(SERVICES, &headless).await.expect(201);
    assert_eq!(made["spec"]["clusterIPs"], json!(["None"]));
    let external = service("e", json!({"type": "ExternalName", "externalName": "example.com"}));
    let made = server.post(SERVICES, &external).await.expect(201);
    assert!(made["spec"].get("clusterIP").is_none());
}

#[tokio::test]
async fn the_clusters_own_services_are_there() {
    let server = Server::start_with(|config| {
        config.dns = Some(skiff_apiserver::Dns {
            service_ip: [10, 96, 0, 10].into(),
            endpoint: Some([169, 254, 20, 10].into()),
        });
    })
    .await;
    let kubernetes = server.get(&format!("{SERVICES}/kubernetes")).await.expect(200);
    assert_eq!(kubernetes["spec"]["clusterIP"], "10.96.0.1");
    let endpoints = server.get("/api/v1/namespaces/default/endpoints/kubernetes").await.expect(200);
    assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], "127.0.0.1");
    let slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns";
    let slice = server.get(slices).await.expect(200);
    assert_eq!(slice["endpoints"][0]["addresses"][0], "169.254.20.10");
    let dns = server.get("/api/v1/namespaces/kube-system/services/kube-dns").await.expect(200);
    assert_eq!(dns["spec"]["clusterIP"], "10.96.0.10");
}
