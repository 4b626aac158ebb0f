//! What every controller is given, and the way its queue is fed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Api, Client, ResourceExt as _, core::NamespaceResourceScope};
use skiff_client::{Delta, Informer, Informers, Queue, Recorder, Watched};
use tokio_util::sync::CancellationToken;

use crate::kinds::CustomKinds;

/// A namespaced object's key: namespace, name.
pub(crate) type Key = (String, String);

/// The shared surroundings of the controllers.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) informers: Informers,
    pub(crate) stop: CancellationToken,
    /// The kinds that are not built in.
    pub(crate) customs: CustomKinds,
}

impl Context {
    pub(crate) fn new(informers: Informers, stop: CancellationToken) -> Self {
        let customs = CustomKinds::follow(informers.client().clone(), stop.clone());
        Self { informers, stop, customs }
    }

    pub(crate) fn client(&self) -> Client {
        self.informers.client().clone()
    }

    pub(crate) fn recorder(&self, component: &str) -> Recorder {
        Recorder::new(self.client(), component, "")
    }

    /// The typed API of one namespace.
    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Watched + kube::Resource<Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client(), namespace)
    }

    /// Puts the keys that `keys` finds for each changed object into `queue`, until `stop`.
    /// It is given the object as it is and, where it changed, as it was.
    pub(crate) fn feed<K, Q, F>(&self, informer: &Informer<K>, queue: &Queue<Q>, keys: F)
    where
        K: Watched,
        Q: Clone + Eq + std::hash::Hash + Send + 'static,
        F: Fn(&K, Option<&K>) -> Vec<Q> + Send + 'static,
    {
        let mut deltas = informer.subscribe();
        let (queue, stop) = (queue.clone(), self.stop.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            while let Some(delta) = deltas.recv().await {
                let found = match &delta {
                    Delta::Applied { object, previous } => keys(object, previous.as_deref()),
                    Delta::Deleted(object) => keys(object, None),
                    Delta::Synced => Vec::new(),
                };
                found.into_iter().for_each(|key| queue.add(key));
            }
        }));
    }
}

/// An object's own key.
pub(crate) fn key<K: Watched>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// The key of the object's controller, if that is of `kind`.
pub(crate) fn controller_key<K: Watched>(object: &K, kind: &str) -> Option<Key> {
    let owner = controller_of(object)?;
    (owner.kind == kind).then(|| (object.namespace().unwrap_or_default(), owner.name.clone()))
}

/// The owner that manages the object.
pub(crate) fn controller_of<K: Watched>(object: &K) -> Option<&OwnerReference> {
    object.owner_references().iter().find(|owner| owner.controller == Some(true))
}
