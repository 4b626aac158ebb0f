//! Services on this node: every ClusterIP, NodePort, external and load-balancer address leads to an endpoint.
//!
//! # Flow
//! Services and EndpointSlices come from the shared informers into an [`Index`]. The [`Planner`] turns what
//! changed into elements of a few constant maps, and those into operations; the [`Programmer`] commits them to
//! the kernel as one netlink transaction. One thread does all of it, so that a transaction never waits for a
//! busy runtime.
//!
//! # Guarantees
//! - The first transaction happens when both kinds were listed, and replaces whatever an earlier server left:
//!   there is no moment without rules. Stopping leaves the table in place; [`remove`] takes it away.
//! - The rules are constant and the work of a change grows with the change.
//! - A packet of a known connection is looked at by no rule of ours, whatever the number of services.
//! - Only our one table is touched; if somebody else touches it, it is rebuilt within a second.
//!
//! # Errors
//! Starting fails with [`Error`]. Later errors are logged and tried again, with back-off.
//!
//! Addresses of the second family are left alone for now: the maps here are those of IPv4.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apply;
mod chain;
mod error;
mod index;
mod plan;
mod planner;
mod rules;
mod run;
mod sweep;
mod table;

pub use apply::{Event, Programmer, Round, Target};
pub use chain::{AFFINITY, ChainId};
pub use error::Error;
pub use index::{Index, ServiceKey};
pub use plan::{Answering, Orders, Plan, arrange, frontends, plan};
pub use planner::{Change, Planner};
pub use rules::{Content, Entry, Frontend, MapId, Rules};
pub use run::{Handle, Programmed, exists, remove, run, start};
pub use sweep::sweep;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// What the plans depend on besides services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The node's name, as in `nodeName` of endpoints.
    pub node: String,
    /// The node's `topology.kubernetes.io/zone`, for topology hints.
    pub zone: Option<String>,
    /// The node's address.
    pub node_ip: Option<Ipv4Addr>,
    /// The pod addresses of all nodes, such as 10.1.0.0/16. Other sources are outside.
    pub cluster_cidr: Ipv4Net,
    /// The addresses of services, such as 10.96.0.0/12. What has no service there is refused.
    pub service_cidr: Ipv4Net,
    /// The node-local address of the DNS server, whose datagrams are not tracked. It must not be an endpoint
    /// of any service: its answers could not be traced back.
    pub dns_address: Option<Ipv4Addr>,
}

/// How services are programmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name of the nf_tables table, in the family `inet`; `skiff` unless several servers share a host.
    pub table: String,
    /// What the plans depend on.
    pub settings: Settings,
}
