//! Who depends on whom, and what follows from it. Pure.
//!
//! Only objects with owners, or on their way out with a garbage collector's finalizer, are kept whole;
//! of all others the graph knows the uid alone.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::PartialObjectMeta;

use crate::kinds::Target;

/// The owner waits for its dependents.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The dependents are to be let go.
pub(crate) const ORPHAN: &str = "orphan";

/// Where an object is.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) target: Arc<Target>,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What the graph keeps of an object.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) uid: String,
    pub(crate) owners: Vec<OwnerReference>,
    pub(crate) finalizers: Vec<String>,
    pub(crate) deleting: bool,
}

impl Node {
    /// Whether the object is on its way out and waits for the garbage collector's `finalizer`.
    pub(crate) fn waits_for(&self, finalizer: &str) -> bool {
        self.deleting && self.finalizers.iter().any(|one| one == finalizer)
    }
}

/// A key of the work queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// See whether the object still has an owner.
    Dependent(String),
    /// See whether the object can be let go.
    Owner(String),
}

/// What is to be done about a dependent.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Keep,
    /// Some owners remain: these references go.
    Drop(Vec<String>),
    /// No owner remains.
    Delete {
        foreground: bool,
    },
}

/// The dependency graph of all objects.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: HashMap<String, Node>,
    dependents: HashMap<String, BTreeSet<String>>,
    alive: HashSet<String>,
}

impl Graph {
    /// Takes in an object as it is now; returns the work that follows.
    pub(crate) fn apply(&mut self, target: &Arc<Target>, meta: &PartialObjectMeta) -> Vec<Work> {
        let Some(node) = node(target, meta) else { return Vec::new() };
        let uid = node.uid.clone();
        self.alive.insert(uid.clone());
        let owners_changed = self.nodes.get(&uid).is_none_or(|held| held.owners != node.owners);
        self.unlink(&uid);
        let mut work = Vec::new();
        if node.waits_for(FOREGROUND) || node.waits_for(ORPHAN) {
            work.push(Work::Owner(uid.clone()));
        }
        if owners_changed && !node.owners.is_empty() {
            work.push(Work::Dependent(uid.clone()));
        }
        if !node.owners.is_empty() || !work.is_empty() {
            for owner in &node.owners {
                self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
            }
            self.nodes.insert(uid, node);
        }
        work
    }

    /// Takes in that an object is gone; returns the work that follows.
    pub(crate) fn remove(&mut self, uid: &str) -> Vec<Work> {
        self.alive.remove(uid);
        let owners = self.unlink(uid).map(|node| node.owners).unwrap_or_default();
        let waiting = owners.into_iter().filter(|owner| self.nodes.contains_key(&owner.uid));
        let mut work: Vec<Work> = waiting.map(|owner| Work::Owner(owner.uid)).collect();
        work.extend(self.dependents_of(uid).map(|node| Work::Dependent(node.uid.clone())));
        work
    }

    fn unlink(&mut self, uid: &str) -> Option<Node> {
        let node = self.nodes.remove(uid)?;
        for owner in &node.owners {
            if let Some(others) = self.dependents.get_mut(&owner.uid) {
                others.remove(uid);
                if others.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        Some(node)
    }

    pub(crate) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    pub(crate) fn is_alive(&self, uid: &str) -> bool {
        self.alive.contains(uid)
    }

    pub(crate) fn dependents_of<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Node> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|uid| self.nodes.get(uid))
    }

    /// Whether any dependent holds back the foreground deletion of that owner.
    pub(crate) fn is_held(&self, uid: &str) -> bool {
        let holds =
            |node: &Node| node.owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion == Some(true));
        self.dependents_of(uid).any(holds)
    }

    /// Judges a dependent, given which of its owners are known to be absent.
    pub(crate) fn judge(&self, node: &Node, absent: &HashSet<String>) -> Verdict {
        let (mut solid, mut waiting, mut dangling) = (0, Vec::new(), Vec::new());
        for owner in &node.owners {
            let leaves = self.nodes.get(&owner.uid).is_some_and(|owner| owner.waits_for(FOREGROUND));
            if absent.contains(&owner.uid) {
                dangling.push(owner.uid.clone());
            } else if leaves && owner.block_owner_deletion == Some(true) {
                waiting.push(owner.uid.clone());
            } else {
                solid += 1;
            }
        }
        match (solid, waiting.len() + dangling.len()) {
            (_, 0) => Verdict::Keep,
            (0, _) => Verdict::Delete { foreground: !waiting.is_empty() && self.dependents.contains_key(&node.uid) },
            (_, _) => Verdict::Drop(dangling.into_iter().chain(waiting).collect()),
        }
    }
}

fn node(target: &Arc<Target>, meta: &PartialObjectMeta) -> Option<Node> {
    let meta = &meta.metadata;
    Some(Node {
        place: Place {
            target: Arc::clone(target),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        },
        uid: meta.uid.clone()?,
        owners: meta.owner_references.clone().unwrap_or_default(),
        finalizers: meta.finalizers.clone().unwrap_or_default(),
        deleting: meta.deletion_timestamp.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(uid: &str, owners: &[(&str, bool)], finalizer: Option<&str>) -> PartialObjectMeta {
        let owners: Vec<_> = owners
            .iter()
            .map(|(uid, blocks)| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": uid, "uid": uid, "blockOwnerDeletion": blocks}))
            .collect();
        let mut value = json!({"metadata": {"name": uid, "namespace": "d", "uid": uid, "ownerReferences": owners}});
        if let Some(finalizer) = finalizer {
            value["metadata"]["finalizers"] = json!([finalizer]);
            value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        serde_json::from_value(value).unwrap()
    }

    fn kind() -> Arc<Target> {
        Arc::new(Target::builtin(skiff_api::resource::find("", "v1", "configmaps").unwrap()))
    }

    #[test]
    fn an_owners_end_is_work_for_its_dependents() {
        let mut graph = Graph::default();
        assert_eq!(graph.apply(&kind(), &meta("owner", &[], None)), []);
        assert_eq!(graph.apply(&kind(), &meta("child", &[("owner", true)], None)), [Work::Dependent("child".into())]);
        assert_eq!(graph.apply(&kind(), &meta("child", &[("owner", true)], None)), [], "nothing changed");
        assert_eq!(graph.remove("owner"), [Work::Dependent("child".into())]);
        let child = graph.get("child").unwrap().clone();
        assert_eq!(graph.judge(&child, &["owner".to_owned()].into()), Verdict::Delete { foreground: false });
    }

    #[test]
    fn one_owner_of_two_is_enough_to_live() {
        let mut graph = Graph::default();
        graph.apply(&kind(), &meta("child", &[("a", false), ("b", false)], None));
        let child = graph.get("child").unwrap().clone();
        assert_eq!(graph.judge(&child, &["a".to_owned()].into()), Verdict::Drop(vec!["a".into()]));
        assert_eq!(graph.judge(&child, &HashSet::new()), Verdict::Keep);
    }

    #[test]
    fn foreground_deletion_waits_for_those_that_block() {
        let mut graph = Graph::default();
        graph.apply(&kind(), &meta("child", &[("owner", true)], None));
        assert_eq!(graph.apply(&kind(), &meta("owner", &[], Some(FOREGROUND))), [Work::Owner("owner".into())]);
        assert!(graph.is_held("owner"));
        let child = graph.get("child").unwrap().clone();
        assert_eq!(graph.judge(&child, &HashSet::new()), Verdict::Delete { foreground: false });
        assert_eq!(graph.remove("child"), [Work::Owner("owner".into())]);
        assert!(!graph.is_held("owner"));
    }
}
