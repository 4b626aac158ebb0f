//! The Node object of this machine: made at start (`object`, pure, from `facts`), and kept alive by
//! a Lease.

pub(crate) mod facts;
mod lease;
pub(crate) mod object;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use facts::{Facts, Pressure};

const RETRY: Duration = Duration::from_millis(200);

/// Registers the node, then renews its lease and reports pressure until `stop`.
pub(crate) async fn run(
    client: Client,
    config: Arc<Config>,
    facts: Arc<Facts>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let work = async {
        let held = register(&client, &config, &facts).await;
        ready.send_replace(true);
        let mut lease = lease::Lease::new(client.clone(), &config.node_name, held.metadata.uid.clone());
        let mut ticks = tokio::time::interval(lease::RENEW);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            lease.renew().await;
            let pressure = Pressure::read(&config);
            refresh(&client, &config, &facts, pressure).await;
        }
    };
    let _ = stop.run_until_cancelled(work).await;
}

/// Makes or updates the Node; tries until the API server lets it.
async fn register(client: &Client, config: &Config, facts: &Facts) -> Node {
    loop {
        match try_register(client, config, facts).await {
            Ok(node) => return node,
            Err(error) => tracing::warn!(node = config.node_name, %error, "the node could not be registered yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn try_register(client: &Client, config: &Config, facts: &Facts) -> kube::Result<Node> {
    let api: Api<Node> = Api::all(client.clone());
    let pressure = Pressure::read(config);
    let held = api.get_opt(&config.node_name).await?;
    let wanted = object::node(config, facts, pressure, held.as_ref(), Timestamp::now());
    let made = match held {
        None => api.create(&PostParams::default(), &wanted).await?,
        Some(_) => {
            let spec = json!({"metadata": {"labels": wanted.metadata.labels}, "spec": wanted.spec});
            api.patch(&config.node_name, &PatchParams::default(), &Patch::Merge(spec)).await?
        }
    };
    if made.status.as_ref().is_some_and(|status| same(status, wanted.status.as_ref())) {
        return Ok(made);
    }
    patch_status(&api, &wanted).await
}

/// Reports what changed about the machine, or puts right what others made of it: a node that was
/// silent for a while has been marked unknown.
async fn refresh(client: &Client, config: &Config, facts: &Facts, pressure: Pressure) {
    let api: Api<Node> = Api::all(client.clone());
    let refreshed = async {
        let held = api.get(&config.node_name).await?;
        let wanted = object::node(config, facts, pressure, Some(&held), Timestamp::now());
        if held.status.as_ref().is_some_and(|status| same(status, wanted.status.as_ref())) {
            return Ok(());
        }
        patch_status(&api, &wanted).await.map(drop)
    };
    if let Err::<(), kube::Error>(error) = refreshed.await {
        tracing::debug!(node = config.node_name, %error, "the node's status will be written again");
    }
}

/// Whether the API shows what it should; times do not count.
fn same(held: &NodeStatus, wanted: Option<&NodeStatus>) -> bool {
    let verdicts = |status: &NodeStatus| {
        let list = status.conditions.iter().flatten();
        list.map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone(), c.message.clone())).collect::<Vec<_>>()
    };
    wanted.is_some_and(|wanted| {
        let held_verdicts = verdicts(held);
        verdicts(wanted).iter().all(|verdict| held_verdicts.contains(verdict))
            && held.addresses == wanted.addresses
            && held.capacity == wanted.capacity
            && held.allocatable == wanted.allocatable
            && held.node_info == wanted.node_info
    })
}

async fn patch_status(api: &Api<Node>, wanted: &Node) -> kube::Result<Node> {
    let name = wanted.metadata.name.clone().unwrap_or_default();
    let mut status = serde_json::to_value(&wanted.status).unwrap_or_default();
    if let Some(list) = status.get_mut("addresses").and_then(serde_json::Value::as_array_mut) {
        list.insert(0, json!({"$patch": "replace"}));
    }
    api.patch_status(&name, &PatchParams::default(), &Patch::Strategic(json!({"status": status}))).await
}
