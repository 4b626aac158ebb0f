//! Why DNS cannot be served.

use std::{io, net::SocketAddr};

use hickory_server::net::NetError;
use thiserror::Error;

/// Why DNS cannot be served.
#[derive(Debug, Error)]
pub enum Error {
    /// The cluster's domain is no DNS name.
    #[error("the cluster domain {domain:?} is not a DNS name: {reason}")]
    Domain {
        /// The domain as configured.
        domain: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address cannot be bound.
    #[error("cannot answer DNS on {address}/{protocol}: {source}; is another DNS server running on it?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The bound sockets cannot be read from.
    #[error("cannot read from a DNS socket: {0}")]
    Socket(#[from] io::Error),
    /// A socket broke while it was served.
    #[error("the DNS server ended: {0}")]
    Server(#[source] NetError),
}
