//! The index: persistent maps, so that a snapshot is a few pointers and a change costs what it changed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::api::{
    core::v1::{Namespace, Pod, Service},
    discovery::v1::EndpointSlice,
};
use rpds::{HashTrieMapSync, HashTrieSetSync};

use crate::entry::{Entry, Pointer};

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// `service.namespace`, in lower case. Neither part holds a dot, so it is unambiguous.
type Key = Box<[u8]>;

/// A pod as the source of a query, or as the owner of a pod name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodAddress {
    pub(crate) name: Box<str>,
    pub(crate) namespace: Box<str>,
    /// Whether its search path is the usual one, so that we may walk it on its behalf.
    pub(crate) searches: bool,
}

/// What queries are answered from. It never changes; [`Writer`] makes the next one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Counts changes; the zone's serial number.
    pub(crate) serial: u32,
    namespaces: HashTrieSetSync<Box<[u8]>>,
    services: HashTrieMapSync<Key, Arc<Entry>>,
    pointers: HashTrieMapSync<IpAddr, Arc<[Pointer]>>,
    pods: HashTrieMapSync<IpAddr, PodAddress>,
}

impl Index {
    pub(crate) fn has_namespace(&self, name: &[u8]) -> bool {
        self.namespaces.contains(name)
    }

    /// The Service of that name; both in lower case.
    pub(crate) fn service(&self, name: &[u8], namespace: &[u8]) -> Option<&Entry> {
        let mut buffer = [0_u8; 127];
        let length = name.len() + 1 + namespace.len();
        let key = buffer.get_mut(..length)?;
        key.get_mut(..name.len())?.copy_from_slice(name);
        *key.get_mut(name.len())? = b'.';
        key.get_mut(name.len() + 1..)?.copy_from_slice(namespace);
        self.services.get(&*key).map(|entry| &**entry)
    }

    pub(crate) fn pod(&self, address: IpAddr) -> Option<&PodAddress> {
        self.pods.get(&address)
    }

    /// Reverse names. Chosen host names win over made-up ones.
    pub(crate) fn pointers(&self, address: IpAddr) -> Vec<&Pointer> {
        let all = self.pointers.get(&address).map(|list| &**list).unwrap_or_default();
        let made_up = |pointer: &&Pointer| matches!(pointer.label, Some((_, false)));
        let chosen: Vec<&Pointer> = all.iter().filter(|pointer| !made_up(pointer)).collect();
        if chosen.is_empty() { all.iter().collect() } else { chosen }
    }
}

#[derive(Debug, Default)]
struct Source {
    service: Option<Arc<Service>>,
    slices: BTreeMap<String, Arc<EndpointSlice>>,
}

/// Applies objects and hands out snapshots.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    index: Index,
    sources: HashMap<(String, String), Source>,
    dirty: HashSet<(String, String)>,
}

impl Writer {
    pub(crate) fn namespace(&mut self, object: &Namespace) {
        if let Some(name) = &object.metadata.name {
            self.index.namespaces.insert_mut(name.as_bytes().into());
        }
    }

    pub(crate) fn remove_namespace(&mut self, object: &Namespace) {
        if let Some(name) = &object.metadata.name {
            self.index.namespaces.remove_mut(name.as_bytes());
        }
    }

    pub(crate) fn service(&mut self, object: Arc<Service>) {
        if let Some(key) = key_of(&object.metadata.namespace, &object.metadata.name) {
            self.sources.entry(key.clone()).or_default().service = Some(object);
            self.dirty.insert(key);
        }
    }

    pub(crate) fn remove_service(&mut self, object: &Service) {
        if let Some(key) = key_of(&object.metadata.namespace, &object.metadata.name) {
            if let Some(source) = self.sources.get_mut(&key) {
                source.service = None;
            }
            self.dirty.insert(key);
        }
    }

    pub(crate) fn slice(&mut self, object: Arc<EndpointSlice>) {
        if let (Some(key), Some(name)) = (owner(&object), object.metadata.name.clone()) {
            self.sources.entry(key.clone()).or_default().slices.insert(name, object);
            self.dirty.insert(key);
        }
    }

    pub(crate) fn remove_slice(&mut self, object: &EndpointSlice) {
        if let (Some(key), Some(name)) = (owner(object), &object.metadata.name) {
            if let Some(source) = self.sources.get_mut(&key) {
                source.slices.remove(name);
            }
            self.dirty.insert(key);
        }
    }

    /// A pod as it is now. One that has ended, or shares the node's address, has none of its own.
    pub(crate) fn pod(&mut self, object: &Pod) {
        let ended = matches!(phase(object), Some("Succeeded" | "Failed"));
        let shared = object.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or_default();
        if ended || shared {
            return self.remove_pod(object);
        }
        let (Some(name), Some(namespace)) = (&object.metadata.name, &object.metadata.namespace) else { return };
        let pod =
            PodAddress { name: (**name).into(), namespace: (**namespace).into(), searches: searches_as_usual(object) };
        for address in addresses(object) {
            if self.index.pods.get(&address) != Some(&pod) {
                self.index.pods.insert_mut(address, pod.clone());
            }
        }
    }

    /// Forgets the pod's addresses, unless another pod has them by now.
    pub(crate) fn remove_pod(&mut self, object: &Pod) {
        for address in addresses(object) {
            let same = self.index.pods.get(&address).is_some_and(|pod| {
                object.metadata.name.as_deref() == Some(&*pod.name)
                    && object.metadata.namespace.as_deref() == Some(&*pod.namespace)
            });
            if same {
                self.index.pods.remove_mut(&address);
            }
        }
    }

    /// The index with all that was applied.
    pub(crate) fn snapshot(&mut self) -> Index {
        for key in std::mem::take(&mut self.dirty) {
            self.refresh(key);
        }
        self.index.serial = self.index.serial.wrapping_add(1);
        self.index.clone()
    }

    fn refresh(&mut self, key: (String, String)) {
        let Some(source) = self.sources.get(&key) else { return };
        let slices = source.slices.values().map(|slice| &**slice);
        let new = source.service.as_ref().and_then(|service| Entry::new(service, slices)).map(Arc::new);
        if source.service.is_none() && source.slices.is_empty() {
            self.sources.remove(&key);
        }
        let label = format!("{}.{}", key.1, key.0).into_bytes().into_boxed_slice();
        let old = self.index.services.get(&label).cloned();
        if old == new {
            return;
        }
        self.repoint(old.as_deref(), new.as_deref());
        match new {
            Some(entry) => self.index.services.insert_mut(label, entry),
            None => drop(self.index.services.remove_mut(&label)),
        }
    }

    fn repoint(&mut self, old: Option<&Entry>, new: Option<&Entry>) {
        let old = old.map(Entry::pointers).unwrap_or_default();
        let new = new.map(Entry::pointers).unwrap_or_default();
        for (address, pointer) in old.difference(&new) {
            self.edit_pointers(*address, |list| list.retain(|held| held != pointer));
        }
        for (address, pointer) in new.difference(&old) {
            self.edit_pointers(*address, |list| list.push(pointer.clone()));
        }
    }

    fn edit_pointers(&mut self, address: IpAddr, edit: impl FnOnce(&mut Vec<Pointer>)) {
        let mut list = self.index.pointers.get(&address).map(|list| list.to_vec()).unwrap_or_default();
        edit(&mut list);
        if list.is_empty() {
            self.index.pointers.remove_mut(&address);
        } else {
            self.index.pointers.insert_mut(address, list.into());
        }
    }
}

fn key_of(namespace: &Option<String>, name: &Option<String>) -> Option<(String, String)> {
    Some((namespace.clone()?, name.clone()?))
}

fn owner(slice: &EndpointSlice) -> Option<(String, String)> {
    let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some((slice.metadata.namespace.clone()?, service.clone()))
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

fn addresses(pod: &Pod) -> impl Iterator<Item = IpAddr> + '_ {
    let status = pod.status.as_ref();
    let listed = status.and_then(|status| status.pod_ips.as_deref()).unwrap_or_default();
    let single = status.and_then(|status| status.pod_ip.as_deref());
    listed.iter().map(|held| held.ip.as_str()).chain(single).filter_map(|address| address.parse().ok())
}

fn searches_as_usual(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let cluster_first = matches!(spec.dns_policy.as_deref(), None | Some("ClusterFirst"));
    let own = spec.dns_config.as_ref().and_then(|config| config.searches.as_ref());
    cluster_first && own.is_none_or(Vec::is_empty)
}
