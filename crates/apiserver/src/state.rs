//! What all requests share.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use skiff_api::meta;
use skiff_store::{Committed, Op, Store, TransactError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    allocate::Allocator,
    authz::{Authorizer, Pods, Rbac},
    config::Config,
    custom::Definitions,
    documents::Documents,
    error::Error,
    expiry::Expiry,
    kind::{self, Kind, decode},
    kinds::Kinds,
    layers::AT_ONCE,
    resource::Meter,
    token::{Issuer, Key, Known},
};

/// The group of roles and their bindings.
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";

/// What all requests share.
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) config: Config,
    pub(crate) authorizer: Authorizer,
    pub(crate) allocator: Allocator,
    pub(crate) tokens: Issuer,
    pub(crate) known: Known,
    pub(crate) documents: Documents,
    pub(crate) definitions: Definitions,
    /// What is served.
    pub(crate) kinds: Kinds,
    pub(crate) expiry: Expiry,
    /// What was last seen of the nodes' counters.
    pub(crate) meter: Meter,
    /// Requests that may be worked on at once.
    pub(crate) slots: Semaphore,
    /// Cancelled when the server stops: watches end.
    pub(crate) stopping: CancellationToken,
}

impl State {
    /// The state over what the store holds: roles indexed, addresses taken.
    pub(crate) fn new(store: Store, config: Config) -> Result<Arc<Self>, Error> {
        let key = Key::from_pem(config.pki.service_account_key()).map_err(|_| Error::ServiceAccountKey)?;
        let ports = (config.node_ports.first, config.node_ports.last);
        let state = Self {
            tokens: Issuer::new(key, config.issuer()),
            allocator: Allocator::new(config.service_cidr, ports),
            known: Known::default(),
            authorizer: Authorizer { rbac: Rbac::default() },
            documents: Documents::default(),
            definitions: Definitions::default(),
            kinds: Kinds::default(),
            expiry: Expiry::default(),
            meter: Meter::default(),
            slots: Semaphore::new(AT_ONCE),
            stopping: CancellationToken::new(),
            store,
            config,
        };
        state.restore();
        Ok(Arc::new(state))
    }

    fn restore(&self) {
        let snapshot = self.store.snapshot();
        for kind in kind::all().iter().filter(|kind| kind.resource.group() == RBAC) {
            for entry in snapshot.range(&kind.prefix_in(""), None) {
                let (namespace, name) = kind.names(&entry.key);
                self.authorizer.rbac.apply(kind.resource.plural(), namespace, name, || decode(entry).ok());
            }
        }
        let Some(services) = kind::of("", "services") else { return };
        for entry in snapshot.range(&services.prefix_in(""), None) {
            let Ok(service) = decode(entry) else { continue };
            for doubled in self.allocator.restore(&service) {
                let (namespace, name) = (meta::namespace(&service), meta::name(&service));
                tracing::warn!(namespace, name, doubled, "two Services hold one address or node port");
            }
        }
    }

    /// Commits, then does what must follow; both happen even if the client goes away meanwhile.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        operations: Vec<Op>,
        after: impl FnOnce(&Self, &Committed) + Send + 'static,
    ) -> Result<Committed, TransactError> {
        let state = Arc::clone(self);
        let work = tokio::spawn(async move {
            let committed = state.store.transact(operations).await?;
            after(&state, &committed);
            Ok(committed)
        });
        work.await.unwrap_or(Err(TransactError::Closed))
    }

    /// Applies what is stored now under a key of RBAC's kinds.
    pub(crate) fn roles_changed(&self, kind: &Kind, namespace: &str, name: &str) {
        self.authorizer.rbac.apply(kind.resource.plural(), namespace, name, || {
            decode(self.store.snapshot().get(&kind.key(namespace, name))?).ok()
        });
    }
}

/// The present time as objects hold it.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

impl Pods for State {
    fn is_on(&self, namespace: &str, pod: &str, node: &str) -> bool {
        self.object("", "pods", namespace, pod).is_some_and(|pod| pod["spec"]["nodeName"] == node)
    }

    fn refers(&self, node: &str, namespace: &str, resource: &str, name: &str) -> bool {
        let Some(kind) = kind::of("", "pods") else { return false };
        let snapshot = self.store.snapshot();
        let prefix = kind.prefix_in(namespace);
        snapshot
            .range(&prefix, None)
            .filter_map(|entry| decode(entry).ok())
            .any(|pod| pod["spec"]["nodeName"] == node && references(&pod, resource, name))
    }
}

/// Whether a pod's spec names an object, as far as kubelets fetch them.
fn references(pod: &Value, resource: &str, name: &str) -> bool {
    let spec = &pod["spec"];
    match resource {
        "serviceaccounts" => spec["serviceAccountName"] == name,
        "secrets" => {
            names_in(spec, &["secretKeyRef", "secretRef"], "name", name)
                || names_in(spec, &["secret"], "secretName", name)
                || names_in(spec, &["secret"], "name", name)
                || spec["imagePullSecrets"].as_array().into_iter().flatten().any(|secret| secret["name"] == name)
        }
        "configmaps" => names_in(spec, &["configMapKeyRef", "configMapRef", "configMap"], "name", name),
        _ => false,
    }
}

/// Whether anywhere in `value` an object under one of `keys` has `field` equal to `name`.
fn names_in(value: &Value, keys: &[&str], field: &str, name: &str) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| {
            (keys.contains(&key.as_str()) && value[field] == name) || names_in(value, keys, field, name)
        }),
        Value::Array(list) => list.iter().any(|value| names_in(value, keys, field, name)),
        _ => false,
    }
}
