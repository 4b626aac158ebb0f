//! Why the LoadBalancer cannot run, or cannot write a status.

use std::net::IpAddr;

use skiff_client::kube;
use thiserror::Error;

/// Why the LoadBalancer cannot run, or cannot write a status.
#[derive(Debug, Error)]
pub enum Error {
    /// An address to publish on stands for all addresses.
    #[error("{0} is not one address: name the addresses that LoadBalancer services are published on one by one")]
    Unspecified(IpAddr),
    /// A status could not be written.
    #[error("the status of service {service} could not be written: {source}")]
    Status {
        /// `namespace/name`.
        service: String,
        /// What the API said.
        source: Box<kube::Error>,
    },
}
