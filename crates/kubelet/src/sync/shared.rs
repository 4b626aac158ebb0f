//! What all pod workers of a node share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::{ObjectReference, Pod, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::Client;
use skiff_client::{Informer, Recorder};
use skiff_image::Images;
use skiff_network::Network;
use skiff_runtime::{Runtime, Sandbox};
use tokio::sync::{Semaphore, watch};

use super::{
    pulled::Pulled,
    state::{Run, Track},
};
use crate::{
    config::Config,
    pod::{self, ephemeral},
    sources::Sources,
    volumes::set,
};

/// The node as its workers see it.
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
    pub(crate) images: Images,
    pub(crate) pulled: Pulled,
    pub(crate) network: Network,
    pub(crate) recorder: Recorder,
    pub(crate) services: Informer<Service>,
    pub(crate) slices: Informer<EndpointSlice>,
    pub(crate) sources: Sources,
    pub(crate) allocatable: Arc<BTreeMap<String, Quantity>>,
    pub(crate) memory: u64,
    /// How many sandboxes and containers start at a time.
    pub(crate) starts: Semaphore,
    pub(crate) board: Board,
}

impl Shared {
    /// What a pod's volumes need.
    pub(crate) fn for_volumes(&self) -> set::Surroundings {
        set::Surroundings {
            config: Arc::clone(&self.config),
            client: self.client.clone(),
            sources: self.sources.clone(),
            allocatable: Arc::clone(&self.allocatable),
        }
    }

    /// An event about the pod itself.
    pub(crate) fn normal(&self, pod: &Pod, reason: &'static str, message: impl Into<String>) {
        self.recorder.normal(&reference(pod, None), reason, message);
    }

    /// A warning about the pod itself.
    pub(crate) fn warning(&self, pod: &Pod, reason: &'static str, message: impl Into<String>) {
        self.recorder.warning(&reference(pod, None), reason, message);
    }

    /// An event about one of its containers.
    pub(crate) fn container_normal(
        &self,
        pod: &Pod,
        container: &str,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.recorder.normal(&reference(pod, Some(container)), reason, message);
    }

    /// A warning about one of its containers.
    pub(crate) fn container_warning(
        &self,
        pod: &Pod,
        container: &str,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.recorder.warning(&reference(pod, Some(container)), reason, message);
    }
}

fn reference(pod: &Pod, container: Option<&str>) -> ObjectReference {
    let field_path = container.map(|name| {
        let init = pod::init_containers(pod).iter().any(|container| container.name == name);
        let ephemeral = ephemeral::all(pod).iter().any(|container| container.name == name);
        let list = if init {
            "initContainers"
        } else if ephemeral {
            "ephemeralContainers"
        } else {
            "containers"
        };
        format!("spec.{list}{{{name}}}")
    });
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        uid: pod.metadata.uid.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        field_path,
    }
}

/// What one worker shows of its pod, for logs and streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) uid: String,
    pub(crate) tracks: Vec<Track>,
    pub(crate) sandbox: Option<Sandbox>,
}

/// A container that runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) container: String,
    pub(crate) attempt: u32,
    pub(crate) started_at: Timestamp,
}

type Entry = watch::Receiver<Arc<Snapshot>>;

/// The pods of this node by namespace and name.
#[derive(Default)]
pub(crate) struct Board {
    pods: Mutex<HashMap<(String, String), Entry>>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Entry>> {
        // Single steps only: a panic leaves nothing half done.
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn post(&self, pod: &Pod, entry: Entry) {
        self.lock().insert((pod::namespace(pod).to_owned(), pod::name(pod).to_owned()), entry);
    }

    /// Takes the pod of that uid off; one of the same name that came later stays.
    pub(crate) fn take_off(&self, pod: &Pod) {
        let key = (pod::namespace(pod).to_owned(), pod::name(pod).to_owned());
        let mut pods = self.lock();
        if pods.get(&key).is_some_and(|entry| entry.borrow().uid == pod::uid(pod)) {
            pods.remove(&key);
        }
    }

    /// All containers that run.
    pub(crate) fn running(&self) -> Vec<Running> {
        let mut found = Vec::new();
        for ((namespace, name), entry) in self.lock().iter() {
            let snapshot = entry.borrow();
            for track in &snapshot.tracks {
                let Some(Run::Running { attempt, started_at }) = track.run else { continue };
                found.push(Running {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    uid: snapshot.uid.clone(),
                    container: track.name.clone(),
                    attempt,
                    started_at,
                });
            }
        }
        found
    }

    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<Entry> {
        self.lock().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }
}
