//! The nodes, what is placed on them, and the pods that wait.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt as _;

use crate::{
    Key, Scheduler,
    filter::{HostPort, host_ports},
    resources::{self, Amounts},
};

/// A node with what is asked of it.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) node: Arc<Node>,
    pub(crate) offered: Amounts,
    pub(crate) asked: Amounts,
    pub(crate) pods: usize,
    pub(crate) ports: Vec<HostPort>,
}

struct Placed {
    node: String,
    asked: Amounts,
    ports: Vec<HostPort>,
}

/// Everything that a decision looks at.
#[derive(Default)]
pub(crate) struct Index {
    nodes: BTreeMap<String, Arc<Node>>,
    placed: HashMap<Key, Placed>,
    by_node: HashMap<String, HashSet<Key>>,
    waiting: HashSet<Key>,
}

impl Index {
    /// A node is there or has changed: the waiting pods are worth another try.
    pub(crate) fn set_node(&mut self, node: &Arc<Node>) -> Vec<Key> {
        let held = self.nodes.insert(node.name_any(), Arc::clone(node));
        let same = held.is_some_and(|held| {
            held.spec == node.spec && held.labels() == node.labels() && offers(&held) == offers(node)
        });
        if same { Vec::new() } else { self.retry() }
    }

    pub(crate) fn remove_node(&mut self, name: &str) -> Vec<Key> {
        self.nodes.remove(name);
        Vec::new()
    }

    /// A pod that has a node; one that is finished frees its room.
    pub(crate) fn set_pod(&mut self, pod: &Pod) -> Vec<Key> {
        let key = (pod.namespace().unwrap_or_default(), pod.name_any());
        let finished =
            pod.status.as_ref().is_some_and(|status| matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")));
        match pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) {
            Some(_) if finished => self.remove_pod(&key),
            Some(node) => {
                self.place(key, pod, node);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Takes the pod as placed on `node`.
    pub(crate) fn place(&mut self, key: Key, pod: &Pod, node: String) {
        self.waiting.remove(&key);
        if self.placed.get(&key).is_some_and(|placed| placed.node == node) {
            return;
        }
        self.remove_pod(&key);
        self.by_node.entry(node.clone()).or_default().insert(key.clone());
        self.placed.insert(key, Placed { node, asked: resources::of_pod(pod), ports: host_ports(pod) });
    }

    /// A pod is gone: the waiting pods may fit now.
    pub(crate) fn remove_pod(&mut self, key: &Key) -> Vec<Key> {
        self.waiting.remove(key);
        let Some(placed) = self.placed.remove(key) else { return Vec::new() };
        if let Some(keys) = self.by_node.get_mut(&placed.node) {
            keys.remove(key);
        }
        self.retry()
    }

    /// Notes that the pod fits nowhere for now.
    pub(crate) fn wait(&mut self, key: Key) {
        self.waiting.insert(key);
    }

    fn retry(&mut self) -> Vec<Key> {
        self.waiting.drain().collect()
    }

    /// All nodes with what is asked of them.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.nodes.iter().map(|(name, node)| self.at(name, node)).collect()
    }

    fn at(&self, name: &str, node: &Arc<Node>) -> Place {
        let mut place =
            Place { node: Arc::clone(node), offered: offers(node), asked: Amounts::new(), pods: 0, ports: Vec::new() };
        let here = self.by_node.get(name).into_iter().flatten().filter_map(|key| self.placed.get(key));
        for placed in here {
            place.pods += 1;
            place.ports.extend(placed.ports.iter().cloned());
            for (name, amount) in &placed.asked {
                *place.asked.entry(name.clone()).or_default() += amount;
            }
        }
        place
    }
}

fn offers(node: &Node) -> Amounts {
    resources::amounts(node.status.as_ref().and_then(|status| status.allocatable.as_ref()))
}

impl Scheduler {
    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Index> {
        // Each change is whole before the lock is let go; a panic elsewhere leaves no half of one.
        self.index.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
