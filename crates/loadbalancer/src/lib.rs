//! LoadBalancer services on this machine: published on `localhost` or on the node's addresses.
//!
//! # Flow
//! Services and EndpointSlices → `index` → `plan` (pure: who listens where) → `apply` (sockets) →
//! `status` (what users see). Connections are relayed to endpoints chosen as the data plane chooses them; those of
//! programs on this machine are led past the relay (`shortcut`) where the kernel and the service allow it.
//!
//! # Guarantees
//! - A status names an address only while all ports of the service are bound there.
//! - A service keeps its place while it can, over restarts too.
//! - A service whose ports are taken is retried when a service goes, and else with a growing pause.
//! - Connections outlive changes of endpoints, and the listener they came by.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use skiff_client::Informers;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

mod apply;
mod error;
mod holder;
mod index;
mod plan;
mod relay;
mod route;
mod service;
mod shortcut;
mod status;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use holder::Holder;
pub use index::{CLASS, PROXY_PROTOCOL, ServiceKey};
pub use plan::Refusal;
pub use skiff_api::endpoints::Protocol;

use crate::service::Balancer;

/// Where LoadBalancer services are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// On `localhost`, or on a loopback address of their own where a port is taken.
    #[default]
    Localhost,
    /// On the addresses of this node.
    Node,
    /// Nowhere: they stay pending. Their node ports work.
    None,
}

/// How LoadBalancer services are published.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's name, for traffic policies and topology.
    pub node: String,
    /// Where services are published. Default: localhost.
    pub mode: Mode,
    /// The addresses to publish on. Default: those of the mode, which are 127.0.0.1 and ::1 (if the host has
    /// it) for localhost, and the InternalIPs of the Node object for node.
    pub addresses: Vec<IpAddr>,
    /// How many relayed connections may be open at once. Default: 16,384.
    pub connections: usize,
}

impl Config {
    /// The defaults, on the node of that name.
    #[must_use]
    pub fn new(node: &str) -> Self {
        Self { node: node.to_owned(), mode: Mode::default(), addresses: Vec::new(), connections: 16_384 }
    }
}

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// A listener that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The transport.
    pub protocol: Protocol,
    /// Where it listens.
    pub address: SocketAddr,
    /// The service behind it.
    pub service: ServiceKey,
    /// The service's port behind it.
    pub port: u16,
    /// Whether it is a node port rather than a published port.
    pub node_port: bool,
}

/// A port that a service does not get for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The service.
    pub service: ServiceKey,
    /// The transport.
    pub protocol: Protocol,
    /// The port that is in want of a listener.
    pub port: u16,
    /// Whether it is a node port; then the service is published all the same.
    pub node_port: bool,
    /// What is in the way.
    pub refusal: Refusal,
}

/// What is open and what is in the way: for `skiff status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Open listeners.
    pub listeners: Vec<Listener>,
    /// Ports that could not be had.
    pub pending: Vec<Pending>,
}

/// Publishes LoadBalancer services until `stop`, and says in `report` how it stands.
///
/// # Errors
/// See [`Error`]; all of them come at the start.
pub async fn run(
    informers: &Informers,
    config: Config,
    report: watch::Sender<Report>,
    stop: CancellationToken,
) -> Result<(), Error> {
    Balancer::new(informers, config, report)?.run(stop).await;
    Ok(())
}

/// One relay without a cluster: for benches.
#[doc(hidden)]
pub mod fixed {
    use std::{io, sync::Arc};

    use tokio::net::TcpListener;

    use super::{SocketAddr, relay, route};

    /// Relays connections to `endpoints` for as long as the runtime lives; returns the address it listens on.
    ///
    /// # Errors
    /// An address that is taken.
    pub async fn relay(address: SocketAddr, endpoints: Vec<SocketAddr>) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let slot = route::Slot::default();
        slot.set(route::Route { endpoints, ..route::Route::default() });
        tokio::spawn(relay::tcp::listen(listener, Arc::new(slot), true, relay::Shared::new(1024)));
        Ok(address)
    }
}
