//! The node's own part: its link, addresses, routes and settings.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use skiff_linux::{
    link::{self, Address, AddressInfo, Batch, Link, Route, RouteInfo, RouteType, Scope},
    netlink::{self, Protocol, Socket},
};

use crate::{Config, Error, name, settings};

/// What became of the node.
pub(crate) struct Node {
    pub(crate) address: Ipv4Addr,
    pub(crate) mtu: u32,
}

/// Refuses configurations that cannot work.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    let (pod, cluster, services) = (config.pod_cidr, config.cluster_cidr, config.service_cidr);
    if !cluster.contains(&pod) {
        return Err(Error::Outside { pod, cluster });
    }
    if cluster.contains(&services) || services.contains(&cluster) {
        return Err(Error::Overlap { pods: cluster, services });
    }
    let prefix = &config.link_prefix;
    if !(1..=5).contains(&prefix.len()) || !prefix.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(Error::Prefix { prefix: prefix.clone() });
    }
    Ok(())
}

/// Makes what is missing; everything may be there already.
pub(crate) fn setup(config: &Config, socket: &mut Socket) -> Result<Node, Error> {
    let name = config.node_link();
    let links = link::links(socket)?;
    let own = ensure_link(&links, &name, socket)?;
    let (address, mtu) = discover(config, &links, own, socket)?;
    let mut batch = Batch::new(socket);
    batch.up(own).address(&host(own, first(config.pod_cidr), Scope::Global));
    batch.address(&host(own, config.dns_address, Scope::Link));
    if let Some(lo) = links.iter().find(|link| link.name == "lo" && !link.up) {
        batch.up(lo.index);
    }
    for route in routes(config, own, address) {
        batch.route(&route);
    }
    batch.commit().map_err(|source| Error::Kernel { operation: "set up the link", name, source })?;
    settings::apply(config)?;
    Ok(Node { address, mtu })
}

fn ensure_link(links: &[Link], name: &str, socket: &mut Socket) -> Result<u32, Error> {
    if let Some(link) = links.iter().find(|link| link.name == name) {
        return Ok(link.index);
    }
    let made = Batch::new(socket).bridge(name).commit();
    made.map_err(|source| Error::Kernel { operation: "make the link", name: name.to_owned(), source })?;
    link::index_of(name).ok_or_else(|| Error::LinkGone { name: name.to_owned() })
}

/// The node's address and the largest packet, from the configuration or from what the host has.
fn discover(config: &Config, links: &[Link], own: u32, socket: &mut Socket) -> Result<(Ipv4Addr, u32), Error> {
    let addresses = link::addresses(socket)?;
    let uplink = default_link(&link::routes(socket)?);
    let mtu_of = |index| links.iter().find(|link| link.index == index).map(|link| link.mtu);
    let mtu = config.mtu.or_else(|| uplink.and_then(mtu_of)).unwrap_or(1500);
    let last_resort = first(config.pod_cidr);
    if let Some(address) = config.node_ip {
        let there = address == last_resort || addresses.iter().any(|a| a.network.addr() == address);
        return if there { Ok((address, mtu)) } else { Err(Error::NotOurs { address }) };
    }
    let foreign = |a: &&AddressInfo| a.global && a.link != own && !a.network.addr().is_loopback();
    let by_uplink = addresses.iter().filter(foreign).find(|a| Some(a.link) == uplink);
    let any = || addresses.iter().find(foreign);
    Ok((by_uplink.or_else(any).map_or(last_resort, |a| a.network.addr()), mtu))
}

/// The link of the cheapest default route.
fn default_link(routes: &[RouteInfo]) -> Option<u32> {
    let default = routes.iter().filter(|route| route.destination.prefix_len() == 0 && !route.unreachable);
    default.min_by_key(|route| route.metric)?.link
}

/// The routes of the node itself: services to our link, and no way out for pod addresses nobody has.
fn routes(config: &Config, own: u32, node_ip: Ipv4Addr) -> [Route; 2] {
    let services = Route {
        destination: config.service_cidr,
        kind: RouteType::Unicast,
        link: Some(own),
        gateway: None,
        source: Some(node_ip),
    };
    let pods =
        Route { destination: config.pod_cidr, kind: RouteType::Unreachable, link: None, gateway: None, source: None };
    [services, pods]
}

/// Deletes our links (and with them their routes), our other routes, and puts settings back.
pub(crate) fn teardown(config: &Config, socket: &mut Socket) -> Result<(), Error> {
    for name in own_links(config, socket)? {
        delete_link(&name, socket)?;
    }
    for info in link::routes(socket)?.iter().filter(|route| route.ours) {
        let kind = if info.unreachable { RouteType::Unreachable } else { RouteType::Unicast };
        let route = Route { destination: info.destination, kind, link: info.link, gateway: info.gateway, source: None };
        match Batch::new(socket).delete_route(&route).commit() {
            Err(error) if error.errno() != Some(ESRCH) => {
                return Err(Error::Kernel {
                    operation: "delete the route to",
                    name: info.destination.to_string(),
                    source: error,
                });
            }
            _ => {}
        }
    }
    settings::restore(config)
}

const ENODEV: i32 = 19;
const ESRCH: i32 = 3;

/// Deletes a link; fine if there is none of that name.
pub(crate) fn delete_link(name: &str, socket: &mut Socket) -> Result<(), Error> {
    let outcome = Batch::new(socket).delete_link(name).commit();
    if netlink::errno_of(&outcome) == Some(ENODEV) {
        return Ok(());
    }
    outcome.map_err(|source| Error::Kernel { operation: "delete the link", name: name.to_owned(), source })
}

fn own_links(config: &Config, socket: &mut Socket) -> Result<Vec<String>, Error> {
    let links = link::links(socket)?;
    Ok(links.into_iter().map(|link| link.name).filter(|name| name::is_link(&config.link_prefix, name)).collect())
}

/// What of ours is on the host, in words: links and routes. Empty after a teardown.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn leftovers(config: &Config) -> Result<Vec<String>, Error> {
    let mut socket = Socket::open(Protocol::Route)?;
    let links = own_links(config, &mut socket)?.into_iter().map(|name| format!("link {name}"));
    let routes = link::routes(&mut socket)?;
    let routes = routes.iter().filter(|route| route.ours).map(|route| format!("route to {}", route.destination));
    Ok(links.chain(routes).collect())
}

fn first(range: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(range.network()).saturating_add(1))
}

fn host(link: u32, ip: Ipv4Addr, scope: Scope) -> Address {
    Address { link, network: Ipv4Net::from(ip), scope }
}
