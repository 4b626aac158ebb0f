//! The API server: Kubernetes's HTTP interface over skiff's store.
//!
//! # Flow
//! A connection (TLS, Unix socket, or a call within the process) says who is at its other end → the
//! layers find the user, ask whether they may, and bound the request → `dispatch` picks documents,
//! health or objects → a verb reads the store's snapshot, or decodes, defaults, admits, validates and
//! allocates, and commits.
//!
//! # Guarantees
//! - Kinds are data: no handler knows a kind by name beyond what Kubernetes itself special-cases
//!   (pods' grace, namespaces' finalizers, Services' addresses).
//! - An answer to a write means that the write is durable. Conflicts are found by the store, not by locks.
//! - Reads are bytes from the snapshot: a get or a plain list parses nothing.
//! - No address or node port is ever held by two Services.
//!
//! # Errors
//! What a client does wrong is a `Status` in Kubernetes's words. [`Error`] is why a server cannot start.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admission;
mod allocate;
mod authz;
mod bootstrap;
mod components;
mod config;
mod connect;
mod conversion;
mod custom;
mod dispatch;
mod documents;
mod error;
mod expiry;
mod health;
mod http;
mod kind;
mod kinds;
mod layers;
mod nodes;
mod oidc;
pub mod pki;
mod protobuf;
mod resource;
mod review;
mod serve;
mod service;
mod state;
mod token;
mod user;
mod webhook;

use std::sync::Arc;

use skiff_store::Store;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use self::state::State;
pub use self::{
    components::ComponentRegistry,
    config::{Config, Dns, PortRange},
    error::Error,
    nodes::{NodeRegistry, NodeService},
    service::InProcess,
    user::User,
};

/// The version that the server says it is, such as `v1.36.0+skiff0.1.0`.
pub const VERSION: &str = documents::VERSION;

/// An API server. Clones are handles of the same one.
#[derive(Clone)]
pub struct ApiServer {
    state: Arc<State>,
}

impl ApiServer {
    /// An API server over `store`, with the objects that every cluster has in place.
    ///
    /// # Errors
    /// If the keys are unusable or the first objects cannot be written.
    pub async fn new(store: Store, config: Config) -> Result<Self, Error> {
        let state = State::new(store, config)?;
        bootstrap::run(&state).await?;
        custom::start(&state);
        Ok(Self { state })
    }

    /// The API as `user` sees it, without a socket: for components of the same process.
    #[must_use]
    pub fn service_as(&self, user: User) -> InProcess {
        InProcess::new(Arc::clone(&self.state), user)
    }

    /// How kubelets are reached.
    #[must_use]
    pub fn nodes(&self) -> &NodeRegistry {
        &self.state.config.nodes
    }

    /// What ComponentStatuses tell about.
    #[must_use]
    pub fn components(&self) -> &ComponentRegistry {
        &self.state.config.components
    }

    /// Serves TLS until `stop`; then watches end and connections get the configured grace.
    /// Clients show a certificate of the cluster's authority, a token, or nothing.
    ///
    /// # Errors
    /// If the certificates do not make a TLS server.
    pub async fn serve_tls(&self, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
        let (tls, grace) = (self.state.config.pki.server_config()?, self.state.config.shutdown_grace);
        let serve = serve::tls(listener, tls, Arc::clone(&self.state), stop.clone(), grace);
        tokio::join!(serve, self.stop_watches(stop));
        Ok(())
    }

    /// Serves HTTP on a Unix socket until `stop`. Root, and whom the server runs as, are administrators.
    pub async fn serve_unix(&self, listener: UnixListener, stop: CancellationToken) {
        let grace = self.state.config.shutdown_grace;
        let serve = serve::unix(listener, Arc::clone(&self.state), stop.clone(), grace);
        tokio::join!(serve, self.stop_watches(stop));
    }

    async fn stop_watches(&self, stop: CancellationToken) {
        stop.cancelled().await;
        self.state.stopping.cancel();
    }
}
