//! The LoadBalancer against the real API server, in process.
#![allow(clippy::unwrap_used)]

use std::{net::TcpListener, time::Duration};

use k8s_openapi::api::core::v1::{Event, Service};
use serde_json::{Value, json};
use skiff_client::{
    Delta, Informer,
    kube::{
        Api,
        api::{DeleteParams, ListParams, PostParams},
    },
};
use skiff_loadbalancer::{Config, Report, run};
use skiff_testkit::Cluster;
use tokio::{sync::watch, time::timeout};

const PATIENCE: Duration = Duration::from_secs(60);

fn balanced(name: &str, port: u16) -> Service {
    let spec = json!({ "type": "LoadBalancer", "ports": [{ "port": port }], "selector": { "app": name } });
    serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).unwrap()
}

/// Waits until the ingress of a service is as wanted.
async fn ingress(services: &Informer<Service>, name: &str, wanted: impl Fn(&Value) -> bool) {
    let mut changes = services.subscribe();
    let mut last = Value::Null;
    let wait = async {
        while let Some(change) = changes.recv().await {
            let Delta::Applied { object, .. } = change else { continue };
            if object.metadata.name.as_deref() != Some(name) {
                continue;
            }
            last = json!(object.status)["loadBalancer"]["ingress"].clone();
            if wanted(&last) {
                return;
            }
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "{name}: {last}");
}

/// Ports below the ephemeral range that are free now.
fn free_port(from: u16) -> u16 {
    (from..from + 1000).find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_are_written_through_the_api() {
    let cluster = Cluster::start().await.unwrap();
    let api: Api<Service> = Api::default_namespaced(cluster.client());
    let services = cluster.informers().of::<Service>();
    let (sender, _report) = watch::channel(Report::default());
    let (informers, stop) = (cluster.informers().clone(), cluster.stop());
    let running = tokio::spawn(async move { run(&informers, Config::new("here"), sender, stop).await });
    let (port, held) = (free_port(20_100), free_port(21_200));
    let holder = TcpListener::bind(("0.0.0.0", held)).unwrap();

    api.create(&PostParams::default(), &balanced("one", port)).await.unwrap();
    ingress(&services, "one", |ingress| ingress[0]["hostname"] == "localhost").await;
    api.create(&PostParams::default(), &balanced("two", port)).await.unwrap();
    ingress(&services, "two", |ingress| ingress[0]["ip"] == "127.0.0.2" && ingress[0]["ipMode"] == "Proxy").await;
    api.create(&PostParams::default(), &balanced("stuck", held)).await.unwrap();
    ingress(&services, "stuck", |ingress| ingress[0]["ports"][0]["error"] == "skiff.dev/PortInUse").await;
    drop(holder);
    ingress(&services, "stuck", |ingress| ingress[0]["hostname"] == "localhost").await;
    let events = Api::<Event>::default_namespaced(cluster.client()).list(&ListParams::default()).await.unwrap();
    let reasons: Vec<_> = events.iter().filter_map(|event| event.reason.as_deref()).collect();
    assert!(reasons.contains(&"PortNotAvailable") && reasons.contains(&"Published"), "{reasons:?}");

    api.delete("one", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &balanced("three", port)).await.unwrap();
    ingress(&services, "three", |ingress| ingress[0]["hostname"] == "localhost").await;
    cluster.stop().cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap().unwrap();
}
