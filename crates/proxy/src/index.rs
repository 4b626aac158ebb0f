//! Services and their slices as the API shows them, and which services changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use skiff_api::endpoints;

/// Namespace and name of a service.
pub type ServiceKey = (String, String);

type Slices = BTreeMap<String, Arc<EndpointSlice>>;

/// All services and slices, and the keys of those that changed since the last look.
#[derive(Debug, Default)]
pub struct Index {
    services: HashMap<ServiceKey, Arc<Service>>,
    slices: HashMap<ServiceKey, Slices>,
    owners: HashMap<ServiceKey, ServiceKey>,
    dirty: BTreeSet<ServiceKey>,
}

impl Index {
    /// The service is there, as it is now.
    pub fn apply_service(&mut self, service: Arc<Service>) {
        let key = key_of(&service.metadata);
        self.dirty.insert(key.clone());
        self.services.insert(key, service);
    }

    /// The service is gone.
    pub fn delete_service(&mut self, service: &Service) {
        let key = key_of(&service.metadata);
        self.services.remove(&key);
        self.dirty.insert(key);
    }

    /// The slice is there, as it is now.
    pub fn apply_slice(&mut self, slice: Arc<EndpointSlice>) {
        let key = key_of(&slice.metadata);
        let owner = endpoints::service_of(&slice).map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
        if self.owners.get(&key) != owner.as_ref() {
            self.forget_slice(&key);
        }
        if let Some(owner) = owner {
            self.slices.entry(owner.clone()).or_default().insert(key.1.clone(), slice);
            self.dirty.insert(owner.clone());
            self.owners.insert(key, owner);
        }
    }

    /// The slice is gone.
    pub fn delete_slice(&mut self, slice: &EndpointSlice) {
        self.forget_slice(&key_of(&slice.metadata));
    }

    fn forget_slice(&mut self, key: &ServiceKey) {
        let Some(owner) = self.owners.remove(key) else { return };
        if let Some(slices) = self.slices.get_mut(&owner) {
            slices.remove(&key.1);
            if slices.is_empty() {
                self.slices.remove(&owner);
            }
        }
        self.dirty.insert(owner);
    }

    /// The service of that key.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// The slices of the service of that key, by name.
    #[must_use]
    pub fn slices(&self, key: &ServiceKey) -> Vec<&EndpointSlice> {
        self.slices.get(key).map(|slices| slices.values().map(AsRef::as_ref).collect()).unwrap_or_default()
    }

    /// The services that changed since this was asked last.
    pub fn take_dirty(&mut self) -> BTreeSet<ServiceKey> {
        std::mem::take(&mut self.dirty)
    }
}

fn key_of(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> ServiceKey {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}
