//! Cluster DNS: the Kubernetes DNS specification 1.1, answered from an index in memory.
//!
//! # Flow
//! Services, EndpointSlices, Pods and Namespaces → `index` (persistent maps: a change costs what it
//! changed) → an immutable snapshot, swapped atomically → `plain` for address questions over UDP, which are nearly
//! all; `answer` (pure) behind hickory's messages for every other one, and over TCP.
//! Names that are not ours go to the upstream servers.
//!
//! # Guarantees
//! - Sockets are bound before informers are in sync, and read after: a query that comes early waits in the
//!   socket and is never answered from half an index.
//! - Our own zones are never forwarded, and a query that comes back to us through an upstream ends forwarding.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use hickory_server::Server;
use ipnet::IpNet;
use skiff_client::Informers;
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod answer;
mod datagrams;
mod entry;
mod error;
mod feed;
mod handler;
mod index;
mod listen;
mod long;
mod plain;
#[cfg(test)]
mod tests;
mod upstream;
mod zones;

pub use error::Error;

use crate::{datagrams::Datagrams, handler::Handler, index::Index, listen::Sockets, upstream::Upstream, zones::Zones};

/// The address that every node answers DNS on: pods ask it without NAT and conntrack.
pub const NODE_LOCAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(169, 254, 20, 10), 53));

/// Where other names than the cluster's are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstreams {
    /// The servers and search domains of a `resolv.conf`, which is read again when it changes.
    File(PathBuf),
    /// These servers, over UDP with TCP as the way out for large answers. None: other names get SERVFAIL.
    Servers(Vec<SocketAddr>),
}

/// How the DNS server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses to answer on, UDP and TCP. They need not exist on the host yet. Default: [`NODE_LOCAL`].
    pub listen: Vec<SocketAddr>,
    /// The cluster's domain, without a final dot. Default: `cluster.local`.
    pub domain: String,
    /// Where other names go. Default: `/etc/resolv.conf`.
    pub upstreams: Upstreams,
    /// Addresses of pods; their reverse names are ours alone. Default: 10.1.0.0/16.
    pub cluster_cidr: Vec<IpNet>,
    /// Addresses of Services; their reverse names are ours alone. Default: 10.96.0.0/12.
    pub service_cidr: Vec<IpNet>,
    /// How long clients may keep our answers, in seconds. Default: 5.
    pub ttl: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![NODE_LOCAL],
            domain: "cluster.local".to_owned(),
            upstreams: Upstreams::File(PathBuf::from("/etc/resolv.conf")),
            cluster_cidr: vec![IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(10, 1, 0, 0), 16))],
            service_cidr: vec![IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12))],
            ttl: 5,
        }
    }
}

/// A TCP client that says nothing for this long is let go.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// Answers that wait for a slow TCP client.
const TCP_BUFFER: usize = 32;

/// Serves DNS until `stop`.
///
/// # Errors
/// See [`Error`]; all of them come at the start.
pub async fn run(informers: &Informers, config: Config, stop: CancellationToken) -> Result<(), Error> {
    bind(config)?.serve(informers, stop).await
}

/// Binds the sockets of `config`; nothing is read from them yet. Must be called within a tokio runtime.
///
/// # Errors
/// A domain that is no DNS name, or an address that something else holds.
pub fn bind(config: Config) -> Result<Bound, Error> {
    let zones = Zones::new(&config)?;
    let sockets = Sockets::bind(&config.listen)?;
    Ok(Bound { config, zones, sockets })
}

/// A DNS server with its sockets bound.
#[derive(Debug)]
pub struct Bound {
    config: Config,
    zones: Zones,
    sockets: Sockets,
}

impl Bound {
    /// The addresses that are bound, with the ports that the kernel chose for port 0.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.sockets.addresses()
    }

    /// Answers from what the informers hold until `stop`.
    ///
    /// # Errors
    /// A socket that breaks.
    pub async fn serve(self, informers: &Informers, stop: CancellationToken) -> Result<(), Error> {
        let index = Arc::new(ArcSwap::from_pointee(Index::default()));
        let mut feed = feed::Feed::new(informers, Arc::clone(&index));
        if stop.run_until_cancelled(feed.synced()).await.is_none() {
            return Ok(());
        }
        let feed = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(feed.follow()));
        let served = self.answer(index, stop).await;
        drop(feed);
        served
    }

    async fn answer(self, index: Arc<ArcSwap<Index>>, stop: CancellationToken) -> Result<(), Error> {
        let upstream = Arc::new(Upstream::new(self.config.upstreams, self.sockets.addresses().to_vec()));
        let handler = Handler::new(index, self.zones, upstream);
        let (stop, waiting) = (stop.child_token(), TaskTracker::new());
        let _stopped = stop.clone().drop_guard();
        let mut streams = Server::new(handler.clone());
        let mut datagrams = JoinSet::new();
        let (sockets, listeners) = self.sockets.into_tokio()?;
        for socket in sockets.into_iter().map(Arc::new) {
            let (handler, stop, waiting) = (handler.clone(), stop.clone(), waiting.clone());
            datagrams.spawn(Datagrams { socket, handler, stop, waiting }.serve());
        }
        for listener in listeners {
            streams.register_listener(listener, TCP_IDLE, TCP_BUFFER);
        }
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => streams.shutdown_gracefully().await.map_err(Error::Server),
            ended = streams.block_until_done() => ended.map_err(Error::Server),
            Some(ended) = datagrams.join_next() => ended.map_err(io::Error::other).flatten().map_err(Error::Socket),
        };
        stop.cancel();
        while datagrams.join_next().await.is_some() {}
        waiting.close();
        waiting.wait().await;
        ended
    }
}

/// Answers from `objects` alone: what benches and in-process tests of the whole path need.
#[doc(hidden)]
pub mod fixed {
    use super::*;
    use k8s_openapi::api::{
        core::v1::{Namespace, Pod, Service},
        discovery::v1::EndpointSlice,
    };

    /// Objects to answer from.
    #[derive(Clone, Debug, Default)]
    pub struct Objects {
        /// Namespaces that exist.
        pub namespaces: Vec<Namespace>,
        /// Services.
        pub services: Vec<Service>,
        /// Their endpoints.
        pub slices: Vec<EndpointSlice>,
        /// Pods, for pod names and the search path.
        pub pods: Vec<Pod>,
    }

    impl Objects {
        pub(crate) fn index(self) -> index::Writer {
            let mut writer = index::Writer::default();
            self.namespaces.into_iter().for_each(|object| writer.namespace(&object));
            self.services.into_iter().for_each(|object| writer.service(Arc::new(object)));
            self.slices.into_iter().for_each(|object| writer.slice(Arc::new(object)));
            self.pods.into_iter().for_each(|object| writer.pod(&object));
            writer
        }
    }

    /// Serves `objects` from the bound sockets until `stop`.
    ///
    /// # Errors
    /// A socket that breaks.
    pub async fn serve(bound: Bound, objects: Objects, stop: CancellationToken) -> Result<(), Error> {
        let index = objects.index().snapshot();
        bound.answer(Arc::new(ArcSwap::from_pointee(index)), stop).await
    }
}
