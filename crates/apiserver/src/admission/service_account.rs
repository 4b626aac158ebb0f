//! Every pod has a service account, and unless it says otherwise a token for it, the cluster's
//! certificate and its namespace, mounted where clients of Kubernetes look for them.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use skiff_api::{
    meta,
    status::{Qualified, Status},
};

use crate::{allocate::list_mut, kind, resource::suffix, state::State};

const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME: &str = "kube-api-access-";
/// An hour, and a little that tells such tokens from others; as in Kubernetes.
const TOKEN_SECONDS: i64 = 3607;
const MIRROR: &str = "kubernetes.io/config.mirror";
/// A new namespace's `default` account is about to come: its controller is told at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// Admits a pod.
pub(super) async fn admit(state: &Arc<State>, pod: &mut Value) -> Result<(), Status> {
    if meta::annotation(pod, MIRROR).is_some() {
        return mirror(pod);
    }
    let given = ["serviceAccountName", "serviceAccount"].map(|field| pod["spec"][field].as_str().unwrap_or_default());
    let name = given.into_iter().find(|name| !name.is_empty()).unwrap_or("default").to_owned();
    pod["spec"]["serviceAccountName"] = json!(name);
    pod["spec"]["serviceAccount"] = json!(name);
    let Some(account) = find(state, meta::namespace(pod), &name).await else {
        let why = format!(
            "error looking up service account {}/{name}: serviceaccount {name:?} not found",
            meta::namespace(pod)
        );
        return Err(Status::forbidden(Qualified::new("", "pods"), meta::name(pod), &why));
    };
    if pod["spec"]["imagePullSecrets"].as_array().is_none_or(Vec::is_empty)
        && let Some(secrets) = account["imagePullSecrets"].as_array().filter(|secrets| !secrets.is_empty())
    {
        pod["spec"]["imagePullSecrets"] = json!(secrets);
    }
    let wanted = pod["spec"]["automountServiceAccountToken"].as_bool();
    if wanted.or_else(|| account["automountServiceAccountToken"].as_bool()).unwrap_or(true) {
        mount(pod);
    }
    Ok(())
}

fn mirror(pod: &Value) -> Result<(), Status> {
    if pod["spec"]["serviceAccountName"].as_str().is_none_or(str::is_empty) {
        return Ok(());
    }
    let why = "a mirror pod may not reference service accounts";
    Err(Status::forbidden(Qualified::new("", "pods"), meta::name(pod), why))
}

/// The account; one that is about to come is waited for.
async fn find(state: &Arc<State>, namespace: &str, name: &str) -> Option<Value> {
    let look = || state.object("", "serviceaccounts", namespace, name);
    if let Some(found) = look() {
        return Some(found);
    }
    if name != "default" {
        return None;
    }
    let key = kind::of("", "serviceaccounts")?.key(namespace, name);
    let mut watch = state.store.watch(&key, state.store.snapshot().revision()).ok()?;
    // It may have come between the look and the watch.
    if let Some(found) = look() {
        return Some(found);
    }
    let waited = tokio::time::timeout(PATIENCE, async {
        while watch.next().await.is_ok() {
            if let Some(found) = look() {
                return Some(found);
            }
        }
        None
    });
    waited.await.ok().flatten()
}

/// Mounts the token into every container that has nothing there yet.
fn mount(pod: &mut Value) {
    let spec = &pod["spec"];
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let there = volumes.filter_map(|volume| volume["name"].as_str()).find(|name| name.starts_with(VOLUME));
    let (name, new) = match there {
        Some(name) => (name.to_owned(), false),
        None => (format!("{VOLUME}{}", suffix()), true),
    };
    let mut used = false;
    for list in ["/spec/initContainers", "/spec/containers"] {
        for container in list_mut(pod, list) {
            used |= mount_into(container, &name);
        }
    }
    if !(used && new) {
        return;
    }
    if !pod["spec"]["volumes"].is_array() {
        pod["spec"]["volumes"] = json!([]);
    }
    if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
        volumes.push(volume(&name));
    }
}

fn mount_into(container: &mut Value, volume: &str) -> bool {
    let mut mounts = container["volumeMounts"].as_array().into_iter().flatten();
    if mounts.any(|mount| mount["mountPath"] == MOUNT) || !container.is_object() {
        return false;
    }
    if !container["volumeMounts"].is_array() {
        container["volumeMounts"] = json!([]);
    }
    if let Some(mounts) = container["volumeMounts"].as_array_mut() {
        mounts.push(json!({"name": volume, "readOnly": true, "mountPath": MOUNT}));
    }
    true
}

fn volume(name: &str) -> Value {
    let namespace = json!({"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_mounted_where_nothing_else_is() {
        let mut pod = json!({"spec": {"containers": [{"name": "a"},
            {"name": "b", "volumeMounts": [{"name": "own", "mountPath": MOUNT}]}], "initContainers": [{"name": "i"}]}});
        mount(&mut pod);
        let volume = pod["spec"]["volumes"][0]["name"].as_str().unwrap();
        assert!(volume.starts_with(VOLUME) && volume.len() == VOLUME.len() + 5, "{volume}");
        assert_eq!(pod["spec"]["containers"][0]["volumeMounts"][0]["name"], volume);
        assert_eq!(pod["spec"]["initContainers"][0]["volumeMounts"][0]["mountPath"], MOUNT);
        assert_eq!(pod["spec"]["containers"][1]["volumeMounts"].as_array().unwrap().len(), 1);
    }
}
