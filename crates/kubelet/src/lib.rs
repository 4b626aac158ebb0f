//! The node agent: it registers this machine as a Node and runs the pods that are bound to it.
//!
//! # Flow
//! An informer of this node's pods → one worker per pod (`sync`) → image, runtime and network, volumes
//! and probes → status and events back to the API. The worker acts on events only: a change in the API,
//! the supervisor's word that a container ended, a probe's verdict, a changed ConfigMap, a deadline.
//!
//! # Guarantees
//! - A pod that runs when the server stops goes on, and is taken over as it is by the next server.
//! - A field that is not implemented makes the pod wait with a reason that names the field.
//! - Status is written at once when it changes, and not when it does not.
//! - Nothing is polled, but for what Kubernetes defines as periodic: probes and the node's lease.
//!
//! # Errors
//! What goes wrong with one pod is shown in its status and its events; [`Error`] is only about the
//! agent as a whole.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod error;
mod logs;
mod node;
mod pod;
mod probes;
mod server;
mod sources;
mod stats;
mod status;
mod streams;
mod sync;
mod volumes;

use std::{fs, os::unix::fs::DirBuilderExt as _, sync::Arc};

use axum::Router;
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use skiff_client::{Informer, Informers, Recorder};
use skiff_image::Images;
use skiff_network::Network;
use skiff_runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub use config::Config;
pub use error::Error;

use node::facts::Facts;
use sync::{Pulled, shared::Shared};

/// A running node agent. Dropping it stops the agent, not the pods.
pub struct Kubelet {
    shared: Arc<Shared>,
    pods: Informer<Pod>,
    /// Informers end with their last holder.
    _informers: Informers,
    registered: watch::Receiver<bool>,
    synced: watch::Receiver<bool>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Kubelet {
    /// Starts the agent; it works until `stop`, or until it is dropped.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When its folders cannot be made. Everything else is tried until it works.
    pub fn start(
        informers: &Informers,
        config: Config,
        runtime: Runtime,
        images: Images,
        network: Network,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        for path in [config.data_dir.join("pods"), config.run_dir.join("volumes")] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|source| Error::Folder { path, source })?;
        }
        let config = Arc::new(config);
        let facts = Arc::new(Facts::read(&config));
        let client = informers.client().clone();
        let pods = informers.selected::<Pod>(&format!("spec.nodeName={}", config.node_name));
        let shared = Arc::new(Shared {
            recorder: Recorder::new(client.clone(), "kubelet", &config.node_name),
            services: informers.of::<Service>(),
            slices: informers.of::<EndpointSlice>(),
            sources: sources::Sources::new(client.clone()),
            allocatable: Arc::new(node::object::allocatable(&config, &facts)),
            memory: facts.memory,
            starts: Semaphore::new(config.parallel_starts.max(1)),
            pulled: Pulled::open(config.data_dir.join("pulled.json")),
            board: sync::shared::Board::default(),
            client: client.clone(),
            config: Arc::clone(&config),
            runtime,
            images,
            network,
        });
        let (on_register, registered) = watch::channel(false);
        let (on_sync, synced) = watch::channel(false);
        let work = sync::run(Arc::clone(&shared), pods.clone(), on_sync, stop.clone());
        let node = node::run(client, config, facts, on_register, stop);
        let tasks = vec![AbortOnDropHandle::new(tokio::spawn(work)), AbortOnDropHandle::new(tokio::spawn(node))];
        Ok(Self { shared, pods, _informers: informers.clone(), registered, synced, tasks })
    }

    /// What the API server asks of a node: `/containerLogs/…`, `/exec/…`, `/attach/…`, `/portForward/…`, `/pods`,
    /// `/stats/summary`, `/healthz`. A request for streams carries its connection (hyper's `OnUpgrade`) as an extension.
    pub fn router(&self) -> Router {
        server::router(Arc::clone(&self.shared), self.pods.clone())
    }

    /// Waits until the node is registered and ready, and what ran before has been taken over.
    pub async fn ready(&self) {
        // An error means that the agent has been stopped.
        let _ = self.registered.clone().wait_for(|ready| *ready).await;
        let _ = self.synced.clone().wait_for(|ready| *ready).await;
    }

    /// Waits until the agent has stopped, after its token was cancelled.
    pub async fn stopped(self) {
        for task in self.tasks {
            // A panic in a task was reported when it happened.
            let _ = task.await;
        }
    }
}
