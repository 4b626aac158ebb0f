//! Why a pod could not be placed for now; it is tried again.

use thiserror::Error;

/// What the scheduler runs into.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server refused the binding or could not be reached.
    #[error("bind pod {pod} to node {node}: {source}")]
    Bind {
        /// The pod, as namespace/name.
        pod: String,
        /// The chosen node.
        node: String,
        /// The API server's answer.
        source: Box<kube::Error>,
    },
    /// The pod's condition could not be written.
    #[error("write the PodScheduled condition of {pod}: {source}")]
    Condition {
        /// The pod, as namespace/name.
        pod: String,
        /// The API server's answer.
        source: Box<kube::Error>,
    },
}
