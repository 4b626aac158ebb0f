//! How the API server reaches the nodes: their kubelets' HTTP interface, by node name.
//!
//! In one process the kubelet hands in its router and no socket is involved; an agent's connection
//! looks the same from here.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
};

use axum::body::Body;
use http::{Request, Response};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

/// A kubelet's HTTP interface: `GET /containerLogs/{namespace}/{pod}/{container}` and more.
pub type NodeService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The kubelets that can be reached, by node name. Clones share one registry.
#[derive(Clone, Default)]
pub struct NodeRegistry {
    nodes: Arc<RwLock<HashMap<String, NodeService>>>,
}

impl NodeRegistry {
    /// A registry without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on requests for `node` go to `service` (an `axum::Router` is one).
    pub fn register<S>(&self, node: impl Into<String>, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        nodes.insert(node.into(), BoxCloneSyncService::new(service));
    }

    /// Forgets `node`.
    pub fn forget(&self, node: &str) {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner).remove(node);
    }

    /// Sends a request to `node`; `None` if it is not connected.
    pub async fn call(&self, node: &str, request: Request<Body>) -> Option<Response<Body>> {
        let service = self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(node).cloned()?;
        // The error type has no values.
        service.oneshot(request).await.ok()
    }
}
