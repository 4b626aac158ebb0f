//! The pod network of one node: routed veth pairs, no bridge between pods, no helper executables.
//!
//! # Layout
//! - `skiff0` holds the node-local addresses: the one that pods ask for names, and the node's address of
//!   last resort (the first of its pod range) for hosts that have none. It is a bridge without ports: dummy
//!   links are missing from many kernels (this project's own test kernel among them), a veth pair would be
//!   two links that talk ARP to each other, a VXLAN link binds a UDP port. Every kernel that runs containers
//!   has bridges, and one without ports never sends anything.
//! - The service range is routed to `skiff0`, so that a host without any default route finds a way for a
//!   ClusterIP; the packet filter rewrites the destination before the packet would leave.
//! - The pod range is unreachable unless a pod has the address: its traffic fails at once and cannot leave.
//! - A pod has a /32 address and one router, 169.254.1.1, which exists only as a permanent neighbour entry;
//!   the host has a /32 route and a permanent neighbour entry for the pod. Nobody asks ARP questions.
//!
//! # Guarantees
//! - What exists is the state: a link's alias says whose it is, its route says the address. A restart reads
//!   both back, and there is no file to disagree with them.
//! - An address that was given back is the last to be handed out again.
//! - Everything is ours by name or by route protocol, and [`leftovers`] lists it.
//!
//! # Errors
//! [`Error`]; whatever was half made by a failed call is removed again.
//!
//! All calls are synchronous and short (an attach takes about a millisecond or two): from asynchronous code
//! use `spawn_blocking`.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod error;
mod name;
mod node;
mod pod;
mod settings;

pub use address::Pool;
pub use error::Error;
pub use node::leftovers;

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ipnet::Ipv4Net;
use skiff_linux::netlink::{Protocol, Socket};

/// The address of pods' router. No link has it.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// What the node's network is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The pod addresses of this node, such as 10.1.0.0/24.
    pub pod_cidr: Ipv4Net,
    /// The pod addresses of all nodes, such as 10.1.0.0/16; contains `pod_cidr`.
    pub cluster_cidr: Ipv4Net,
    /// The addresses of services, such as 10.96.0.0/12.
    pub service_cidr: Ipv4Net,
    /// The node's address. Without it, that of the link with the default route, else any global address,
    /// else the first of `pod_cidr`.
    pub node_ip: Option<Ipv4Addr>,
    /// The node-local address of the DNS server.
    pub dns_address: Ipv4Addr,
    /// The prefix of all link names, at most 5 bytes.
    pub link_prefix: String,
    /// The largest packet of pods' links; without it, that of the link with the default route, else 1500.
    pub mtu: Option<u32>,
    /// Where the settings that were changed are remembered.
    pub run_dir: PathBuf,
}

impl Config {
    /// The defaults, with everything that is kept on disk under `run_dir`.
    #[must_use]
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        let net = |a, b, prefix| Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix);
        Self {
            pod_cidr: net(10, 1, 24),
            cluster_cidr: net(10, 1, 16),
            service_cidr: net(10, 96, 12),
            node_ip: None,
            dns_address: Ipv4Addr::new(169, 254, 20, 10),
            link_prefix: "skiff".to_owned(),
            mtu: None,
            run_dir: run_dir.into(),
        }
    }

    /// The name of the link with the node-local addresses.
    #[must_use]
    pub fn node_link(&self) -> String {
        format!("{}{}", self.link_prefix, name::NODE)
    }
}

/// A pod's place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodAddress {
    /// The pod's address; its prefix is always /32.
    pub ip: Ipv4Addr,
    /// The pod's router.
    pub gateway: Ipv4Addr,
}

/// The pod network of this node. Clones share it.
#[derive(Clone, Debug)]
pub struct Network {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    node_ip: Ipv4Addr,
    mtu: u32,
    socket: Mutex<Socket>,
    pool: Mutex<Pool>,
}

impl Network {
    /// Makes the node's part of the network in the calling thread's namespace, or takes over what is there.
    ///
    /// # Errors
    /// When the configuration contradicts itself or the kernel refuses.
    pub fn setup(config: Config) -> Result<Self, Error> {
        node::check(&config)?;
        let mut socket = Socket::open(Protocol::Route)?;
        let node = node::setup(&config, &mut socket)?;
        let mut pool = Pool::new(config.pod_cidr);
        for (uid, ip) in pod::existing(&config, &mut socket)? {
            pool.adopt(&uid, ip);
        }
        let shared =
            Shared { node_ip: node.address, mtu: node.mtu, config, socket: Mutex::new(socket), pool: Mutex::new(pool) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The node's address.
    #[must_use]
    pub fn node_ip(&self) -> Ipv4Addr {
        self.shared.node_ip
    }

    /// What the network was made from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Connects the pod `uid`, whose network namespace is at `netns`. A pod that is connected already keeps
    /// its address; its link is made anew if the namespace is another one.
    ///
    /// # Errors
    /// When addresses ran out or the kernel refuses; nothing is left behind then.
    pub fn attach(&self, uid: &str, netns: &Path) -> Result<PodAddress, Error> {
        let ip = self.pool().allocate(uid)?;
        let plan = pod::Plan::new(&self.shared.config, uid, ip, self.shared.node_ip, self.shared.mtu);
        if let Err(error) = pod::connect(&plan, netns, &self.shared.socket) {
            let _ = pod::disconnect(&plan.link, &mut self.socket());
            self.pool().release(uid);
            return Err(error);
        }
        Ok(PodAddress { ip, gateway: GATEWAY })
    }

    /// The address of a connected pod.
    #[must_use]
    pub fn address(&self, uid: &str) -> Option<PodAddress> {
        self.pool().get(uid).map(|ip| PodAddress { ip, gateway: GATEWAY })
    }

    /// Disconnects the pod `uid`; fine if it was not connected.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn detach(&self, uid: &str) -> Result<(), Error> {
        pod::disconnect(&name::link(&self.shared.config.link_prefix, uid), &mut self.socket())?;
        self.pool().release(uid);
        Ok(())
    }

    /// After a restart: disconnects every pod but the `known` ones. The uids that were disconnected.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn restore<S: AsRef<str>>(&self, known: &[S]) -> Result<Vec<String>, Error> {
        let known: BTreeSet<&str> = known.iter().map(AsRef::as_ref).collect();
        let strangers: Vec<String> =
            self.pool().uids().into_iter().filter(|uid| !known.contains(uid.as_str())).collect();
        for uid in &strangers {
            self.detach(uid)?;
        }
        Ok(strangers)
    }

    /// Removes everything of ours from the host and puts changed settings back.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn teardown(self) -> Result<(), Error> {
        teardown(&self.shared.config)
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        // Every use starts with a fresh sequence number: a panic leaves nothing half done.
        self.shared.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // The pool changes in single steps: a panic leaves nothing half done.
        self.shared.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes everything of ours from the host, whoever set it up, and puts changed settings back.
///
/// # Errors
/// When the kernel refuses.
pub fn teardown(config: &Config) -> Result<(), Error> {
    let mut socket = Socket::open(Protocol::Route)?;
    node::teardown(config, &mut socket)
}
