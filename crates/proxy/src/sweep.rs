//! Frees UDP clients from endpoints that are gone.
//!
//! A client that keeps sending keeps its tracked connection, and that keeps the destination it was given. So
//! entries whose destination is one of our frontends and which somebody answers who no longer may are deleted.

use std::{collections::HashSet, net::Ipv4Addr};

use skiff_api::endpoints::Protocol;
use skiff_linux::{
    conntrack::{self, Flow},
    link,
    netlink::{Error, Protocol as Family, Socket},
};

use crate::{plan::Answering, rules::Frontend};

/// Deletes the entries of those frontends that lead to nobody; how many.
///
/// # Errors
/// When the kernel refuses.
pub fn sweep(answering: &Answering) -> Result<usize, Error> {
    if answering.is_empty() {
        return Ok(0);
    }
    let own = own_addresses()?;
    let mut socket = Socket::open(Family::Netfilter)?;
    conntrack::delete_udp(&mut socket, |flow| is_stale(flow, answering, &own))
}

fn own_addresses() -> Result<HashSet<Ipv4Addr>, Error> {
    let mut socket = Socket::open(Family::Route)?;
    Ok(link::addresses(&mut socket)?.iter().map(|address| address.network.addr()).collect())
}

fn is_stale(flow: &Flow, answering: &Answering, own: &HashSet<Ipv4Addr>) -> bool {
    let (ip, port) = (*flow.destination.ip(), flow.destination.port());
    let at = |ip| answering.get(&Frontend { ip, protocol: Protocol::Udp, port });
    let node = || at(Ipv4Addr::UNSPECIFIED).filter(|_| own.contains(&ip) && !ip.is_loopback());
    at(ip).or_else(node).is_some_and(|allowed| !allowed.contains(&flow.answering))
}
