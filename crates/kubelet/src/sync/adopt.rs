//! What an earlier server left on this node: pods that still run are taken over as they are; what
//! belongs to no pod is removed.

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::Arc,
};

use k8s_openapi::api::core::v1::Pod;
use skiff_runtime::Sandbox;

use super::{setup, shared::Shared, worker::Adopted};
use crate::pod;

/// What was found, by the pods' uids.
pub(super) type Left = HashMap<String, Adopted>;

/// Finds the sandboxes of an earlier server and asks them how their containers are.
pub(super) async fn find(shared: &Shared) -> Left {
    let mut left = Left::new();
    let adopted = match shared.runtime.adopt().await {
        Ok(adopted) => adopted,
        Err(error) => {
            tracing::error!(%error, "what an earlier server left cannot be taken over");
            return left;
        }
    };
    for sandbox in adopted.sandboxes {
        let uid = sandbox.uid().to_owned();
        left.insert(uid, ask(shared, sandbox).await);
    }
    for lost in adopted.lost {
        left.insert(lost.spec.uid, Adopted { statuses: lost.statuses, ..Adopted::default() });
    }
    left
}

async fn ask(shared: &Shared, sandbox: Sandbox) -> Adopted {
    let events = sandbox.events();
    let statuses = match sandbox.statuses().await {
        Ok(statuses) => statuses,
        Err(error) => {
            tracing::warn!(pod = sandbox.uid(), %error, "a pod's containers are not known");
            Vec::new()
        }
    };
    let addresses = if sandbox.spec().host_network {
        vec![shared.config.node_ip.to_string()]
    } else {
        shared.network.address(sandbox.uid()).map(|address| address.ip.to_string()).into_iter().collect()
    };
    Adopted { sandbox: Some(sandbox), statuses, events: Some(events), addresses }
}

/// Removes what belongs to none of `pods`.
pub(super) async fn clean(shared: &Arc<Shared>, left: &mut Left, pods: &[Arc<Pod>]) {
    let known: HashSet<&str> = pods.iter().map(|pod| pod::uid(pod)).collect();
    let strangers: Vec<String> = left.keys().filter(|uid| !known.contains(uid.as_str())).cloned().collect();
    for uid in strangers {
        let sandbox = left.remove(&uid).and_then(|adopted| adopted.sandbox);
        tracing::info!(pod = uid, "a pod that was deleted meanwhile is removed");
        report(&uid, setup::dismantle(Arc::clone(shared), uid.clone(), sandbox).await);
    }
    let (network, names) =
        (shared.network.clone(), pods.iter().map(|pod| pod::uid(pod).to_owned()).collect::<Vec<_>>());
    match tokio::task::spawn_blocking(move || network.restore(&names)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "connections of pods that are gone could not be removed"),
        Err(error) => tracing::error!(%error, "connections of pods that are gone could not be removed"),
    }
    for uid in folders(shared).difference(&known.iter().map(|uid| (*uid).to_owned()).collect()) {
        report(uid, setup::erase(Arc::clone(shared), uid.clone()).await);
    }
}

fn report(uid: &str, result: Result<(), super::error::SetupError>) {
    if let Err(error) = result {
        tracing::warn!(pod = uid, %error, "what a pod left could not be removed");
    }
}

/// The uids that have a folder of ours.
fn folders(shared: &Shared) -> HashSet<String> {
    let roots = [shared.config.pod_dir(""), shared.config.secret_dir("")];
    let entries = roots.into_iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
