//! kube-rs over TLS, with the kubeconfig that the server wrote.

use std::{fs::File, path::PathBuf, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, Config,
    api::{AttachParams, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::watcher,
};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::cluster::{deploy, lab};

#[test]
fn kube_rs() {
    let Some(lab) = lab(&[]) else { return };
    deploy(&lab, "web", 1);
    let (network, kubeconfig) = (lab.network(), lab.folder().join("data/admin.kubeconfig"));
    // A thread of its own may enter the lab's network; its sockets are then there.
    let driver = std::thread::spawn(move || {
        nix::sched::setns(File::open(network).unwrap(), nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), drive(kubeconfig)).await.unwrap() });
    });
    driver.join().unwrap();
}

async fn drive(kubeconfig: PathBuf) {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    logs_and_commands(client.clone()).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    owners_are_kept(&maps).await;
    for mode in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        changes_are_seen(&maps, mode).await;
    }
}

async fn logs_and_commands(client: Client) {
    let pods: Api<Pod> = Api::namespaced(client, "default");
    let pod = pods.list(&ListParams::default().labels("app=web")).await.unwrap().items.remove(0);
    let name = pod.metadata.name.unwrap();
    assert!(pods.logs(&name, &LogParams::default()).await.unwrap().contains("listening"));
    let command = ["/httpenv", "get", "http://localhost:8888/"];
    let mut running = pods.exec(&name, command, &AttachParams::default().stderr(false)).await.unwrap();
    let (status, mut answer) = (running.take_status().unwrap(), String::new());
    running.stdout().unwrap().read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(&name), "{answer}");
    assert_eq!(status.await.unwrap().status.as_deref(), Some("Success"));
    let missing = pods.get("none").await;
    assert!(matches!(missing, Err(kube::Error::Api(status)) if status.code == 404 && status.reason == "NotFound"));
}

/// Server-side apply: who owns a field is asked before somebody else changes it.
async fn owners_are_kept(maps: &Api<ConfigMap>) {
    let of = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": value}});
    let made = maps.patch("applied", &PatchParams::apply("one"), &Patch::Apply(&of("1"))).await.unwrap();
    assert_eq!(made.metadata.managed_fields.unwrap()[0].manager.as_deref(), Some("one"));
    let refused = maps.patch("applied", &PatchParams::apply("two"), &Patch::Apply(&of("2"))).await;
    assert!(
        matches!(refused, Err(kube::Error::Api(status)) if status.code == 409 && status.message.contains("\"one\""))
    );
    let forced = maps.patch("applied", &PatchParams::apply("two").force(), &Patch::Apply(&of("2"))).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");
}

/// A watcher sees an object come, change and go.
async fn changes_are_seen(maps: &Api<ConfigMap>, mode: watcher::Config) {
    let mode = mode.fields("metadata.name=seen");
    let mut events = watcher(maps.clone(), mode).boxed();
    while !matches!(events.try_next().await.unwrap().unwrap(), watcher::Event::InitDone) {}
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "seen"}, "data": {"a": "1"}})).unwrap();
    maps.create(&PostParams::default(), &object).await.unwrap();
    let change = json!({"data": {"a": "2"}});
    maps.patch("seen", &PatchParams::default(), &Patch::Merge(&change)).await.unwrap();
    maps.delete("seen", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let (what, object) = match events.try_next().await.unwrap().unwrap() {
            watcher::Event::Apply(object) => ("applied", object),
            watcher::Event::Delete(object) => ("deleted", object),
            other => panic!("{other:?}"),
        };
        seen.push((what, object.data.unwrap_or_default()["a"].clone()));
    }
    assert_eq!(seen, [("applied", "1".to_owned()), ("applied", "2".to_owned()), ("deleted", "2".to_owned())]);
}
