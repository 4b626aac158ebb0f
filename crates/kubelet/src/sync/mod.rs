//! Keeps the pods of this node as the API wants them: one worker for each pod.
//!
//! - `state`, `plan`: what is known of a pod's containers, and what to do next (pure)
//! - `worker`: waits for events and acts; `live`, `probing` and `ending` are its parts
//! - `setup`, `pull`, `launch`, `hooks`, `stop`: the tasks it starts
//! - `adopt`: what an earlier server left

mod adopt;
mod ending;
mod error;
mod files;
mod hooks;
mod launch;
mod live;
mod plan;
mod probing;
mod pull;
mod pulled;
pub(crate) mod resize;
mod setup;
pub(crate) mod shared;
pub(crate) mod state;
mod stop;
mod worker;

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::api::core::v1::Pod;
use skiff_client::{Delta, Informer};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use files::log as log_path;
pub(crate) use pulled::Pulled;
use shared::Shared;
use worker::{Handle, Mail};

use crate::pod;

/// Runs the workers until `stop`. What runs in pods goes on after that.
pub(crate) async fn run(shared: Arc<Shared>, pods: Informer<Pod>, ready: watch::Sender<bool>, stop: CancellationToken) {
    let _ = stop.run_until_cancelled(work(shared, pods, ready)).await;
}

async fn work(shared: Arc<Shared>, pods: Informer<Pod>, ready: watch::Sender<bool>) {
    let mut left = adopt::find(&shared).await;
    tokio::join!(pods.synced(), shared.services.synced());
    adopt::clean(&shared, &mut left, &pods.list()).await;
    let mut workers = Workers { shared, live: HashMap::new(), leaving: Vec::new() };
    let mut changes = pods.subscribe();
    while let Some(delta) = changes.recv().await {
        match delta {
            Delta::Applied { object, .. } => {
                let adopted = left.remove(pod::uid(&object));
                workers.apply(object, adopted);
            }
            Delta::Deleted(object) => workers.remove(&object),
            Delta::Synced => {
                ready.send_replace(true);
            }
        }
    }
}

struct Workers {
    shared: Arc<Shared>,
    /// By uid. A worker that is done stays until the pod is gone from the API.
    live: HashMap<String, Handle>,
    leaving: Vec<Handle>,
}

impl Workers {
    fn apply(&mut self, object: Arc<Pod>, adopted: Option<worker::Adopted>) {
        match self.live.get(pod::uid(&object)) {
            // A worker that is done with its pod does not listen any more.
            Some(handle) => drop(handle.post.send(Mail::Pod(object))),
            None => {
                let handle = worker::spawn(Arc::clone(&self.shared), object, adopted);
                self.live.insert(handle.uid.clone(), handle);
            }
        }
    }

    fn remove(&mut self, object: &Pod) {
        self.leaving.retain(|handle| !handle.task.is_finished());
        if let Some(handle) = self.live.remove(pod::uid(object)) {
            let _ = handle.post.send(Mail::Gone);
            self.leaving.push(handle);
        }
    }
}
