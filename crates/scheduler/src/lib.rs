//! The scheduler: gives each pod without a node the best node that can run it.
//!
//! # Flow
//! Informers of pods and nodes feed an index of nodes with what their pods ask for. A pod without a
//! node becomes a key; a pure plan filters and scores the nodes; apply binds the pod. The index takes
//! the pod as placed before the API server confirms it, so that the next pod sees the room gone.
//!
//! # Guarantees
//! Nothing is polled: a pod that fits nowhere is tried again when a node or a pod changes.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apply;
mod error;
mod filter;
mod index;
mod plan;
mod resources;
mod score;

use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt as _;
use skiff_client::{Delta, Informer, Informers, Next, Queue, Recorder, reconcile};
use tokio_util::sync::CancellationToken;

pub use error::Error;
use index::Index;

/// The name that pods ask for in `spec.schedulerName`.
pub const SCHEDULER: &str = "default-scheduler";

/// One pod at a time decides, since each decision changes the next; binding itself overlaps.
const WORKERS: usize = 4;

type Key = (String, String);

#[derive(Clone)]
struct Scheduler {
    informers: Informers,
    pods: Informer<Pod>,
    index: Arc<Mutex<Index>>,
    queue: Queue<Key>,
    events: Recorder,
}

/// Schedules until `stop`.
pub async fn run(informers: &Informers, stop: CancellationToken) {
    let scheduler = Scheduler {
        pods: informers.of(),
        index: Arc::default(),
        queue: Queue::new(),
        events: Recorder::new(informers.client().clone(), SCHEDULER, ""),
        informers: informers.clone(),
    };
    let nodes: Informer<Node> = informers.of();
    nodes.synced().await;
    scheduler.pods.synced().await;
    let following = tokio::spawn(stop.clone().run_until_cancelled_owned(scheduler.clone().follow(nodes)));
    let queue = scheduler.queue.clone();
    reconcile("scheduler", queue, WORKERS, stop, move |key| {
        let scheduler = scheduler.clone();
        async move { scheduler.schedule(&key).await.map(|()| Next::OnChange) }
    })
    .await;
    following.abort();
}

impl Scheduler {
    /// Keeps the index, and puts the pods to schedule into the queue.
    async fn follow(self, nodes: Informer<Node>) {
        let (mut nodes, mut pods) = (nodes.subscribe(), self.pods.subscribe());
        loop {
            tokio::select! {
                Some(delta) = nodes.recv() => self.node_changed(&delta),
                Some(delta) = pods.recv() => self.pod_changed(&delta),
                else => return,
            }
        }
    }

    fn node_changed(&self, delta: &Delta<Node>) {
        let retry = match delta {
            Delta::Applied { object, .. } => self.lock().set_node(object),
            Delta::Deleted(node) => self.lock().remove_node(&node.name_any()),
            Delta::Synced => Vec::new(),
        };
        retry.into_iter().for_each(|key| self.queue.add(key));
    }

    fn pod_changed(&self, delta: &Delta<Pod>) {
        let key = |pod: &Pod| (pod.namespace().unwrap_or_default(), pod.name_any());
        match delta {
            Delta::Applied { object, .. } if plan::is_ours(object) => self.queue.add(key(object)),
            Delta::Applied { object, .. } => {
                let freed = self.lock().set_pod(object);
                freed.into_iter().for_each(|key| self.queue.add(key));
            }
            Delta::Deleted(pod) => {
                let freed = self.lock().remove_pod(&key(pod));
                freed.into_iter().for_each(|key| self.queue.add(key));
            }
            Delta::Synced => {}
        }
    }
}
