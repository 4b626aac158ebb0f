//! What containers find in their volumes.

use std::sync::Arc;

use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api,
    api::{LogParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::world::World;

async fn config_map(world: &World, name: &str, data: serde_json::Value) {
    let api: Api<ConfigMap> = Api::namespaced(world.cluster.client(), "default");
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap();
    match api.create(&PostParams::default(), &map).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        other => drop(other.unwrap()),
    }
}

/// Prints what three files hold, and again when that changes.
const WATCH: &str = "old=; while true; do new=\"$(cat /settings/a.conf) $(cat /keys/key) $(cat /me/labels)\"; \
    [ \"$new\" = \"$old\" ] || echo $new; old=$new; usleep 20000; done";

pub(crate) async fn files_are_shared_and_updated(world: Arc<World>) {
    config_map(&world, "settings", json!({"a.conf": "first"})).await;
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "keys"}, "stringData": {"key": "k1"}})).unwrap();
    Api::<Secret>::namespaced(world.cluster.client(), "default").create(&PostParams::default(), &secret).await.unwrap();
    let spec = json!({"terminationGracePeriodSeconds": 1, "securityContext": {"fsGroup": 2000},
        "volumes": [
            {"name": "settings", "configMap": {"name": "settings"}},
            {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256}},
            {"name": "me", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}],
        "containers": [{"name": "main", "securityContext": {"runAsUser": 1000}, "args": [WATCH],
            "volumeMounts": [{"name": "settings", "mountPath": "/settings"}, {"name": "keys", "mountPath": "/keys"},
                             {"name": "me", "mountPath": "/me"}]}]});
    world.create("updated", spec).await;
    world.until_ready("updated").await;
    let params = LogParams { follow: true, ..LogParams::default() };
    let mut lines = world.api().log_stream("updated", &params).await.unwrap().lines();
    assert_eq!(lines.next().await.unwrap().unwrap(), "first k1");
    let maps: Api<ConfigMap> = Api::namespaced(world.cluster.client(), "default");
    let patch = json!({"data": {"a.conf": "second"}});
    maps.patch("settings", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap(), "second k1");
    let patch = json!({"metadata": {"labels": {"app": "x"}}});
    world.api().patch("updated", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap(), "second k1 app=\"x\"");
    world.delete("updated").await;
}

pub(crate) async fn the_service_account_is_mounted(world: Arc<World>) {
    let place = "/var/run/secrets/kubernetes.io/serviceaccount";
    let spec = json!({"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": true, "containers": [{"name": "main",
        "args": [format!("cat {place}/namespace; echo; cat {place}/ca.crt; wc -c < {place}/token; echo end; sleep 1000")]}]});
    world.create("account", spec).await;
    // In a whole cluster a controller makes it, perhaps a moment after the pod.
    config_map(&world, "kube-root-ca.crt", json!({"ca.crt": "the certificate\n"})).await;
    world.until_ready("account").await;
    let log = world.until_log("account", "end\n").await;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..2], ["default", "the certificate"], "{log}");
    assert!(lines[2].trim().parse::<usize>().unwrap() > 100, "{log}");
    world.delete("account").await;
}

pub(crate) async fn memory_volumes_and_sub_paths(world: Arc<World>) {
    config_map(&world, "pieces", json!({"one": "1", "two": "2"})).await;
    let spec = json!({"terminationGracePeriodSeconds": 1,
        "volumes": [
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "disk", "emptyDir": {}},
            {"name": "pieces", "configMap": {"name": "pieces", "items": [{"key": "two", "path": "deep/two"}]}}],
        "containers": [{"name": "main",
            "env": [{"name": "WHO", "value": "me"}],
            "args": ["cat /two; echo; mount | grep ' /memory ' | grep -c size=1024k; touch /own/file; ls /all/me; sleep 1000"],
            "volumeMounts": [
                {"name": "memory", "mountPath": "/memory"},
                {"name": "disk", "mountPath": "/own", "subPathExpr": "$(WHO)"},
                {"name": "disk", "mountPath": "/all"},
                {"name": "pieces", "mountPath": "/two", "subPath": "deep/two"}]}]});
    world.create("pieces", spec).await;
    world.until_ready("pieces").await;
    assert_eq!(world.until_log("pieces", "file\n").await, "2\n1\nfile\n");
    world.delete("pieces").await;
}
