//! What can go wrong with the pod network.

use std::{io, net::Ipv4Addr, path::PathBuf};

use ipnet::Ipv4Net;
use skiff_linux::{netlink, sysctl};

/// Why the pod network could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node's pods would not be in the cluster's range.
    #[error("the node's pod range {pod} is not within the cluster's, {cluster}")]
    Outside {
        /// The node's range.
        pod: Ipv4Net,
        /// The cluster's range.
        cluster: Ipv4Net,
    },
    /// Pods and services would share addresses.
    #[error("the pod range {pods} and the service range {services} overlap")]
    Overlap {
        /// The cluster's pod range.
        pods: Ipv4Net,
        /// The service range.
        services: Ipv4Net,
    },
    /// The prefix leaves no room for a name.
    #[error("the link prefix {prefix:?} must be 1 to 5 lower-case letters")]
    Prefix {
        /// The prefix.
        prefix: String,
    },
    /// The node's address is not on this host.
    #[error("the node address {address} is on none of this host's links")]
    NotOurs {
        /// The address.
        address: Ipv4Addr,
    },
    /// Every pod address is taken.
    #[error("all addresses of the pod range {range} are taken")]
    Exhausted {
        /// The range.
        range: Ipv4Net,
    },
    /// A link that was just made is not there.
    #[error("the link {name} is gone")]
    LinkGone {
        /// Its name.
        name: String,
    },
    /// The pod's namespace could not be entered.
    #[error("cannot enter the network namespace {}: {source}", path.display())]
    Namespace {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a change.
    #[error("cannot {operation} {name}: {source}")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// On what.
        name: String,
        /// Why not.
        #[source]
        source: netlink::Error,
    },
    /// The kernel could not be asked.
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
    /// A kernel setting could not be changed.
    #[error(transparent)]
    Setting(#[from] sysctl::Error),
    /// The record of changed settings could not be kept.
    #[error("cannot {operation} {}: {source}", path.display())]
    Record {
        /// What was tried.
        operation: &'static str,
        /// The record.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}
