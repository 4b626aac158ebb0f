//! An API server over a store in a temporary folder, without sockets.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use skiff_apiserver::{ApiServer, Config, NodeRegistry, User};
use skiff_client::{Informers, in_process};
use skiff_store::{Options, Store};
use tempfile::TempDir;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Why a cluster for a test does not start.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// No temporary folder.
    #[error("cannot make a temporary folder: {0}")]
    Folder(#[from] std::io::Error),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] skiff_store::OpenError),
    /// The certificates cannot be made.
    #[error(transparent)]
    Pki(#[from] skiff_apiserver::pki::PkiError),
    /// The API server does not start.
    #[error(transparent)]
    Server(#[from] skiff_apiserver::Error),
    /// A first object cannot be created.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// An API server of a test's own. It ends, with everything it stored, when this is dropped.
pub struct Cluster {
    server: ApiServer,
    store: Store,
    client: Client,
    informers: Informers,
    stop: CancellationToken,
    // Dropped last: the folder that the store is in.
    folder: TempDir,
}

impl Cluster {
    /// Starts one. There is no controller in it: a service account `default` exists in the namespace
    /// `default` so that pods can be created there.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn start() -> Result<Self, ClusterError> {
        Self::start_with(|_| {}).await
    }

    /// The same with another configuration of the API server.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub async fn start_with(configure: impl FnOnce(&mut Config)) -> Result<Self, ClusterError> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(folder.path().join("store"), Options::default())?;
        let mut config = Config::with_pki_dir(&folder.path().join("pki"), IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        configure(&mut config);
        let server = ApiServer::new(store.clone(), config).await?;
        let stop = CancellationToken::new();
        let client = in_process(server.service_as(User::master("system:test")), "default");
        let informers = Informers::new(client.clone(), stop.clone());
        let cluster = Self { server, store, client, informers, stop, folder };
        cluster.account("default").await?;
        Ok(cluster)
    }

    /// Creates a namespace with its `default` service account.
    ///
    /// # Errors
    /// If the API refuses.
    pub async fn namespace(&self, name: &str) -> Result<(), ClusterError> {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(self.client()).create(&PostParams::default(), &namespace).await?;
        self.account(name).await
    }

    async fn account(&self, namespace: &str) -> Result<(), ClusterError> {
        let metadata = ObjectMeta { name: Some("default".to_owned()), ..ObjectMeta::default() };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        Api::namespaced(self.client(), namespace).create(&PostParams::default(), &account).await?;
        Ok(())
    }

    /// An administrator's client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client that is `user`.
    #[must_use]
    pub fn client_as(&self, user: User) -> Client {
        in_process(self.server.service_as(user), "default")
    }

    /// Informers over [`Cluster::client`].
    #[must_use]
    pub fn informers(&self) -> &Informers {
        &self.informers
    }

    /// The server itself.
    #[must_use]
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// The store under it.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How the server reaches kubelets.
    #[must_use]
    pub fn nodes(&self) -> &NodeRegistry {
        self.server.nodes()
    }

    /// A folder of the test's own, gone with the cluster.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Cancelled when the cluster is dropped: hand it to the component under test.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
