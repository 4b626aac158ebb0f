//! ConfigMaps and Secrets that pods of this node refer to: one watch for each object that a mounted
//! volume shows, shared by all pods that show it, gone with the last of them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use futures::{StreamExt as _, stream, stream::BoxStream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, runtime::watcher};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use kube::runtime::WatchStreamExt as _;

/// What a pod can take data from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    /// As the kind is written in manifests.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        })
    }
}

/// A ConfigMap or Secret of the pod's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reference {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl Reference {
    pub(crate) fn config_map(name: &str) -> Self {
        Self { kind: Kind::ConfigMap, name: name.to_owned() }
    }

    pub(crate) fn secret(name: &str) -> Self {
        Self { kind: Kind::Secret, name: name.to_owned() }
    }
}

/// The data of a ConfigMap or Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) data: BTreeMap<String, Vec<u8>>,
    /// A Secret's type.
    pub(crate) type_: String,
}

impl From<ConfigMap> for Payload {
    fn from(map: ConfigMap) -> Self {
        let text = map.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes()));
        let binary = map.binary_data.into_iter().flatten().map(|(key, value)| (key, value.0));
        Self { data: text.chain(binary).collect(), type_: String::new() }
    }
}

impl From<Secret> for Payload {
    fn from(secret: Secret) -> Self {
        let data = secret.data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect();
        Self { data, type_: secret.type_.unwrap_or_default() }
    }
}

/// What is known about an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Known {
    /// The first answer has not come.
    #[default]
    NotYet,
    /// There is no such object.
    Absent,
    /// The object's data.
    Present(Arc<Payload>),
}

impl Known {
    pub(crate) fn payload(&self) -> Option<Arc<Payload>> {
        match self {
            Self::Present(payload) => Some(Arc::clone(payload)),
            Self::NotYet | Self::Absent => None,
        }
    }
}

/// One watched object; the watch ends when the last holder drops it.
pub(crate) struct Source {
    known: watch::Receiver<Known>,
    _task: AbortOnDropHandle<()>,
}

impl Source {
    /// Its state, and notice of changes.
    pub(crate) fn known(&self) -> watch::Receiver<Known> {
        self.known.clone()
    }

    /// Yields whenever the object is there in a new form; that it is missing is no news.
    pub(crate) fn appearances(&self) -> BoxStream<'static, ()> {
        let next = |mut known: watch::Receiver<Known>| async move {
            loop {
                known.changed().await.ok()?;
                if matches!(*known.borrow_and_update(), Known::Present(_)) {
                    return Some(((), known));
                }
            }
        };
        let mut known = self.known.clone();
        known.mark_changed();
        stream::unfold(known, next).chain(stream::pending()).boxed()
    }
}

type Key = (Kind, String, String);

/// All sources of this node.
#[derive(Clone)]
pub(crate) struct Sources {
    client: Client,
    open: Arc<Mutex<HashMap<Key, Weak<Source>>>>,
}

impl Sources {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, open: Arc::default() }
    }

    /// The watch of one object, begun if nobody watches it yet.
    pub(crate) fn watch(&self, namespace: &str, reference: &Reference) -> Arc<Source> {
        let key = (reference.kind, namespace.to_owned(), reference.name.clone());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = open.get(&key).and_then(Weak::upgrade) {
            return source;
        }
        open.retain(|_, source| source.strong_count() > 0);
        let (sender, known) = watch::channel(Known::NotYet);
        let client = self.client.clone();
        let (namespace, name) = (namespace.to_owned(), reference.name.clone());
        let task = match reference.kind {
            Kind::ConfigMap => tokio::spawn(follow(Api::<ConfigMap>::namespaced(client, &namespace), name, sender)),
            Kind::Secret => tokio::spawn(follow(Api::<Secret>::namespaced(client, &namespace), name, sender)),
        };
        let source = Arc::new(Source { known, _task: AbortOnDropHandle::new(task) });
        open.insert(key, Arc::downgrade(&source));
        source
    }

    /// The object as it is now, without watching it.
    pub(crate) async fn get(&self, namespace: &str, reference: &Reference) -> kube::Result<Option<Arc<Payload>>> {
        let (client, name) = (self.client.clone(), reference.name.as_str());
        let payload = match reference.kind {
            Kind::ConfigMap => Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await?.map(Payload::from),
            Kind::Secret => Api::<Secret>::namespaced(client, namespace).get_opt(name).await?.map(Payload::from),
        };
        Ok(payload.map(Arc::new))
    }
}

async fn follow<K>(api: Api<K>, name: String, sender: watch::Sender<Known>)
where
    K: skiff_client::Watched + Into<Payload>,
{
    let config = watcher::Config::default().any_semantic().fields(&format!("metadata.name={name}"));
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut listed = Known::Absent;
    while let Some(event) = events.next().await {
        let known = match event {
            Ok(watcher::Event::Init) => {
                listed = Known::Absent;
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                listed = Known::Present(Arc::new(object.into()));
                continue;
            }
            Ok(watcher::Event::InitDone) => std::mem::replace(&mut listed, Known::Absent),
            Ok(watcher::Event::Apply(object)) => Known::Present(Arc::new(object.into())),
            Ok(watcher::Event::Delete(_)) => Known::Absent,
            Err(error) => {
                tracing::debug!(kind = %K::kind(&()), name, %error, "the watch broke and will be made again");
                continue;
            }
        };
        sender.send_if_modified(|had| {
            let changed = *had != known;
            *had = known;
            changed
        });
    }
}
