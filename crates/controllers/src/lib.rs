//! The controllers: each watches some kinds and brings the cluster closer to what they ask.
//!
//! # Flow
//! Every controller has one shape: deltas of shared informers become keys in a queue; for a key, a
//! pure `plan` compares what is wanted with what is there; `apply` sends the difference. After its own
//! writes a controller waits until its cache has them, so that it never acts twice on one cause.
//!
//! # Guarantees
//! No polling: an idle cluster runs no controller. A failing key is tried again with back-off and
//! holds up no other key.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod context;
mod deployment;
mod endpoints;
mod error;
mod garbage;
mod kinds;
mod namespace;
mod node;
mod ownership;
mod pods;
mod replicaset;
mod serviceaccount;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use skiff_client::Informers;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use context::Context;
pub use error::Error;

/// What the controllers need to know beyond the API.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's CA certificate (PEM), published to every namespace as `kube-root-ca.crt`.
    pub ca_certificate: String,
    /// How long a node's Lease may be silent before the node counts as unreachable.
    pub node_grace: std::time::Duration,
    /// Where it shows whether all of them work.
    pub health: Health,
}

/// Whether all controllers work. Clones tell of the same ones.
#[derive(Clone, Debug)]
pub struct Health(Arc<AtomicBool>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Health {
    /// Whether none has failed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs all controllers until `stop`.
pub async fn run(informers: &Informers, config: Config, stop: CancellationToken) {
    let (stopped, health) = (stop.clone(), config.health);
    let context = Context::new(informers.clone(), stop);
    let mut tasks = JoinSet::new();
    tasks.spawn(deployment::run(context.clone()));
    tasks.spawn(replicaset::run(context.clone()));
    tasks.spawn(replicaset::run_replication_controllers(context.clone()));
    tasks.spawn(endpoints::run_slices(context.clone()));
    tasks.spawn(endpoints::run_endpoints(context.clone()));
    tasks.spawn(namespace::run(context.clone()));
    tasks.spawn(garbage::run(context.clone()));
    tasks.spawn(node::run(context.clone(), config.node_grace));
    tasks.spawn(serviceaccount::run(context, config.ca_certificate));
    while tasks.join_next().await.is_some() {
        // None ends by itself: one that did has failed, and has said why.
        if !stopped.is_cancelled() {
            health.0.store(false, Ordering::Relaxed);
        }
    }
}
