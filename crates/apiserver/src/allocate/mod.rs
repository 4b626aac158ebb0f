//! Handing out ClusterIPs and NodePorts: in memory, rebuilt from the store at start, never one twice.
//!
//! An address is claimed before its Service is written and given back if the write fails; a Service's
//! old addresses are given back only after the write that drops them. Both happen under the pools'
//! locks, so that no order of requests makes two Services hold one address.

mod carry;
mod families;
mod pool;
mod service;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use thiserror::Error;

use self::pool::{Pool, PoolError};
pub(crate) use self::{carry::carry, service::Claims};

/// Why a Service cannot have what it asks for.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum AllocationError {
    /// The ClusterIP that was asked for.
    #[error("failed to allocate IP {address}: {source}")]
    Address { address: String, all: Vec<String>, source: PoolError },
    /// The NodePort that was asked for.
    #[error("{source}")]
    Port { index: usize, port: i64, source: PoolError },
    /// The health-check NodePort that was asked for.
    #[error("failed to allocate requested HealthCheck NodePort {port}: {source}")]
    HealthCheckPort { port: i64, source: PoolError },
    /// No address is free.
    #[error("failed to allocate a serviceIP: {0}")]
    NoAddress(PoolError),
    /// No port is free.
    #[error("failed to allocate a nodePort: {0}")]
    NoPort(PoolError),
    /// An IP family that this cluster does not have.
    #[error("not configured on this cluster")]
    Family { index: usize, family: String },
    /// Two families are wanted where there is one.
    #[error("this cluster is not configured for dual-stack services")]
    DualStack,
}

/// The cluster's Service addresses and node ports.
pub(crate) struct Allocator {
    addresses: Pool,
    ports: Pool,
}

impl Allocator {
    /// Nothing is handed out yet. `ports` is inclusive.
    pub(crate) fn new(cidr: Ipv4Net, ports: (u16, u16)) -> Self {
        // The network's own address and its last one are never given out.
        let size = (1_u64 << (32 - u32::from(cidr.prefix_len()))).saturating_sub(2).min(u64::from(u32::MAX));
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let reserved = if size < 16 { 0 } else { (size / 16).clamp(16, 256) };
        let first = u32::from(cidr.network()).saturating_add(1);
        let addresses = Pool::new(first, size, reserved, cidr.to_string());
        let count = u32::from(ports.1.saturating_sub(ports.0)) + 1;
        let reserved = if count < 16 { 0 } else { (count / 32).clamp(16, 128) };
        let ports = Pool::new(u32::from(ports.0), count, reserved, format!("{}-{}", ports.0, ports.1));
        Self { addresses, ports }
    }
}

/// The list at a JSON pointer, to be changed; empty if there is none. Unlike indexing, looking does not
/// make one.
pub(crate) fn list_mut<'a>(object: &'a mut serde_json::Value, pointer: &str) -> &'a mut [serde_json::Value] {
    let list = object.pointer_mut(pointer).and_then(serde_json::Value::as_array_mut);
    list.map(Vec::as_mut_slice).unwrap_or_default()
}

fn number(address: &str) -> Option<u32> {
    address.parse::<Ipv4Addr>().ok().map(u32::from)
}
