//! Shared informers: one watch and one decoded cache per kind and process.

use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// What a kind needs so that it can be watched.
pub trait Watched: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static {}
impl<K> Watched for K where K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static {}

/// One change of an [`Informer`]'s cache.
#[derive(Debug)]
pub enum Delta<K> {
    /// `object` is there now; `previous` is what the cache held before.
    Applied {
        /// The object as it is.
        object: Arc<K>,
        /// The object as it was, unless it is new.
        previous: Option<Arc<K>>,
    },
    /// The object is gone; this is its last known state.
    Deleted(Arc<K>),
    /// Everything that was there at subscription has been delivered. Sent once.
    Synced,
}

impl<K> Clone for Delta<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied { object, previous } => {
                Self::Applied { object: Arc::clone(object), previous: previous.clone() }
            }
            Self::Deleted(object) => Self::Deleted(Arc::clone(object)),
            Self::Synced => Self::Synced,
        }
    }
}

/// A stream of [`Delta`]s. Its buffer grows if it is not read, so read it promptly:
/// put keys into a [`crate::Queue`] and do the work elsewhere.
pub type Subscription<K> = mpsc::UnboundedReceiver<Delta<K>>;

type Key = (String, String);

struct Cache<K> {
    objects: BTreeMap<Key, Arc<K>>,
    subscribers: Vec<mpsc::UnboundedSender<Delta<K>>>,
    synced: bool,
}

impl<K> Cache<K> {
    fn publish(&mut self, delta: &Delta<K>) {
        self.subscribers.retain(|subscriber| subscriber.send(delta.clone()).is_ok());
    }

    fn apply(&mut self, key: Key, object: Arc<K>) {
        let previous = self.objects.insert(key, Arc::clone(&object));
        self.publish(&Delta::Applied { object, previous });
    }

    fn remove(&mut self, key: &Key) {
        if let Some(object) = self.objects.remove(key) {
            self.publish(&Delta::Deleted(object));
        }
    }
}

struct Shared<K> {
    cache: Mutex<Cache<K>>,
    synced: watch::Sender<bool>,
    /// The highest resourceVersion that the cache has seen.
    seen: watch::Sender<u64>,
}

/// How long a caller waits for its own write to come back before it goes on without.
const READ_YOUR_WRITE: Duration = Duration::from_secs(2);

impl<K> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, Cache<K>> {
        // A panic of another holder cannot leave the map half changed.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, version: u64) {
        self.seen.send_if_modified(|seen| {
            version > *seen && {
                *seen = version;
                true
            }
        });
    }
}

/// The decoded cache of one kind, kept up to date by one watch.
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Watched> Informer<K> {
    /// The object of that name; `namespace` is empty for cluster-scoped kinds.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.shared.lock().objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// All objects, by namespace and name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.shared.lock().objects.values().cloned().collect()
    }

    /// All objects of one namespace, by name.
    #[must_use]
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let from = (namespace.to_owned(), String::new());
        let cache = self.shared.lock();
        cache
            .objects
            .range(from..)
            .take_while(|(key, _)| key.0 == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Waits until the first list is in the cache.
    pub async fn synced(&self) {
        // The sender lives in `shared`, which we hold: the channel cannot close.
        let _ = self.shared.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Waits until the cache holds the write that made `version`, or anything later: a controller that
    /// waits for its own writes never acts twice on one cause. Gives up after two seconds (the write
    /// may have been overtaken by a fresh list).
    pub async fn caught_up(&self, version: Option<String>) {
        let Some(version) = version.and_then(|version| version.parse::<u64>().ok()) else { return };
        let mut seen = self.shared.seen.subscribe();
        let _ = tokio::time::timeout(READ_YOUR_WRITE, seen.wait_for(|seen| *seen >= version)).await;
    }

    /// Waits until the cache is as asked for; it is looked at again with each change that comes.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut seen = self.shared.seen.subscribe();
        while !holds(self) && seen.changed().await.is_ok() {}
    }

    /// What is there now, then [`Delta::Synced`], then every change.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<K> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut cache = self.shared.lock();
        for object in cache.objects.values() {
            let _ = sender.send(Delta::Applied { object: Arc::clone(object), previous: None });
        }
        if cache.synced {
            let _ = sender.send(Delta::Synced);
        }
        cache.subscribers.push(sender);
        receiver
    }
}

/// The informers of one process: asking twice for a kind gives the same cache.
#[derive(Clone)]
pub struct Informers {
    client: Client,
    running: Arc<Mutex<HashMap<(TypeId, String), Entry>>>,
    stop: CancellationToken,
}

struct Entry {
    informer: Box<dyn Any + Send>,
    _task: AbortOnDropHandle<()>,
}

impl Informers {
    /// Informers over `client`. Their tasks end with `stop`, or with the last clone of this.
    #[must_use]
    pub fn new(client: Client, stop: CancellationToken) -> Self {
        Self { client, running: Arc::default(), stop }
    }

    /// The client that the informers watch through.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The same caches for a component that owns what it writes under a name of its own.
    #[must_use]
    pub fn named(&self, component: &'static str) -> Self {
        let client = crate::connect::named(self.client.clone(), component);
        Self { client, running: Arc::clone(&self.running), stop: self.stop.clone() }
    }

    /// The informer of all objects of kind `K`; its watch starts with the first call.
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn of<K: Watched>(&self) -> Informer<K> {
        self.selected("")
    }

    /// The informer of the objects that the field selector picks (`spec.nodeName=a`).
    #[must_use]
    pub fn selected<K: Watched>(&self, fields: &str) -> Informer<K> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (TypeId::of::<K>(), fields.to_owned());
        if let Some(informer) = running.get(&key).and_then(|entry| entry.informer.downcast_ref::<Informer<K>>()) {
            return informer.clone();
        }
        let cache = Cache { objects: BTreeMap::new(), subscribers: Vec::new(), synced: false };
        let shared =
            Shared { cache: Mutex::new(cache), synced: watch::Sender::new(false), seen: watch::Sender::new(0) };
        let informer = Informer { shared: Arc::new(shared) };
        let work = follow(self.client.clone(), fields.to_owned(), Arc::clone(&informer.shared));
        let stop = self.stop.clone();
        let task = tokio::spawn(async move {
            let _ = stop.run_until_cancelled(work).await;
        });
        running.insert(key, Entry { informer: Box::new(informer.clone()), _task: AbortOnDropHandle::new(task) });
        informer
    }
}

async fn follow<K: Watched>(client: Client, fields: String, shared: Arc<Shared<K>>) {
    let mut config = watcher::Config::default().any_semantic();
    if !fields.is_empty() {
        config = config.fields(&fields);
    }
    let mut events = watcher(Api::<K>::all(client), config).default_backoff().boxed();
    let mut listed: BTreeMap<Key, Arc<K>> = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(mut object)) => {
                slim(&mut object);
                listed.insert(key_of(&object), Arc::new(object));
            }
            Ok(watcher::Event::InitDone) => replace(&shared, std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(mut object)) => {
                slim(&mut object);
                let version = version_of(&object);
                shared.lock().apply(key_of(&object), Arc::new(object));
                shared.saw(version);
            }
            Ok(watcher::Event::Delete(object)) => {
                shared.lock().remove(&key_of(&object));
                shared.saw(version_of(&object));
            }
            Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "the watch broke and will be made again"),
        }
    }
}

/// Who owns which field is nothing that a component looks at, and half of many an object.
fn slim<K: Watched>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Makes the cache equal to a fresh list and tells subscribers only what differs.
fn replace<K: Watched>(shared: &Shared<K>, listed: BTreeMap<Key, Arc<K>>) {
    let newest = listed.values().map(|object| version_of(&**object)).max().unwrap_or_default();
    let mut cache = shared.lock();
    let gone: Vec<Key> = cache.objects.keys().filter(|key| !listed.contains_key(*key)).cloned().collect();
    for key in &gone {
        cache.remove(key);
    }
    for (key, object) in listed {
        let same = cache.objects.get(&key).is_some_and(|held| held.resource_version() == object.resource_version());
        if !same {
            cache.apply(key, object);
        }
    }
    if !cache.synced {
        cache.synced = true;
        cache.publish(&Delta::Synced);
    }
    drop(cache);
    shared.saw(newest);
    shared.synced.send_replace(true);
}

fn version_of<K: Watched>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn key_of<K: Watched>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}
