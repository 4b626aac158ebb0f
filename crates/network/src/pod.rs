//! A pod's connection: a veth pair, one address, one route each way.

use std::{
    collections::BTreeMap,
    fs::File,
    net::Ipv4Addr,
    os::fd::AsFd as _,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use ipnet::Ipv4Net;
use skiff_linux::{
    link::{self, Address, Batch, Mac, Neighbour, Route, RouteType, Scope, Veth},
    netlink::{self, Protocol, Socket},
    netns,
};

use crate::{Config, Error, GATEWAY, name, node};

/// The name of a pod's link within the pod.
const POD_LINK: &str = "eth0";
/// In every namespace, the loopback link is the first.
const LOOPBACK: u32 = 1;
const EEXIST: i32 = 17;
/// For how many milliseconds a link may take to pass packets.
const PATIENCE: u32 = 100;

/// Everything about a connection, before anything is done.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) link: String,
    uid: String,
    ip: Ipv4Addr,
    node_ip: Ipv4Addr,
    mtu: u32,
    host_mac: Mac,
    pod_mac: Mac,
}

impl Plan {
    pub(crate) fn new(config: &Config, uid: &str, ip: Ipv4Addr, node_ip: Ipv4Addr, mtu: u32) -> Self {
        let (host_mac, pod_mac) = name::macs(uid);
        let link = name::link(&config.link_prefix, uid);
        Self { link, uid: uid.to_owned(), ip, node_ip, mtu, host_mac, pod_mac }
    }
}

/// Connects the namespace at `path` as planned.
pub(crate) fn connect(plan: &Plan, path: &Path, socket: &Mutex<Socket>) -> Result<(), Error> {
    let namespace = File::open(path).map_err(|source| Error::Namespace { path: path.to_owned(), source })?;
    let lock = || socket.lock().unwrap_or_else(PoisonError::into_inner);
    let index = {
        let mut socket = lock();
        make_pair(plan, &namespace, &mut socket)?;
        host_side(plan, &mut socket)?
    };
    let inside = netns::within_open(&namespace, || pod_side(plan));
    inside.map_err(|source| Error::Namespace { path: path.to_owned(), source })??;
    wait_until_it_passes(index, &mut lock())
}

/// The host's end came up first and learns of the other's a moment later. What it sends until then is lost,
/// and would be sent again only after the second that TCP waits.
fn wait_until_it_passes(index: u32, socket: &mut Socket) -> Result<(), Error> {
    for _ in 0..PATIENCE {
        if link::passes(socket, index)? {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    // Late is no reason to fail: a busy kernel gets there.
    Ok(())
}

fn make_pair(plan: &Plan, namespace: &File, socket: &mut Socket) -> Result<(), Error> {
    let veth = Veth {
        name: &plan.link,
        mac: plan.host_mac,
        alias: &plan.uid,
        peer_name: POD_LINK,
        peer_mac: plan.pod_mac,
        peer_namespace: namespace.as_fd(),
        mtu: plan.mtu,
    };
    let mut outcome = Batch::new(socket).veth(&veth).commit();
    if netlink::errno_of(&outcome) == Some(EEXIST) {
        // A link of an earlier attempt: its other end may be anywhere.
        node::delete_link(&plan.link, socket)?;
        outcome = Batch::new(socket).veth(&veth).commit();
    }
    outcome.map_err(|source| failed("make the link", &plan.link, source))
}

fn host_side(plan: &Plan, socket: &mut Socket) -> Result<u32, Error> {
    let index = link::index_of(&plan.link).ok_or_else(|| Error::LinkGone { name: plan.link.clone() })?;
    let route = Route {
        destination: Ipv4Net::from(plan.ip),
        kind: RouteType::Unicast,
        link: Some(index),
        gateway: None,
        source: Some(plan.node_ip),
    };
    let neighbour = Neighbour { link: index, address: plan.ip, mac: plan.pod_mac };
    let outcome = Batch::new(socket).up(index).neighbour(&neighbour).route(&route).commit();
    outcome.map_err(|source| failed("set up the link", &plan.link, source))?;
    Ok(index)
}

/// Runs within the pod's namespace.
fn pod_side(plan: &Plan) -> Result<(), Error> {
    let mut socket = Socket::open(Protocol::Route)?;
    let index = link::index_of(POD_LINK).ok_or_else(|| Error::LinkGone { name: POD_LINK.to_owned() })?;
    let address = Address { link: index, network: Ipv4Net::from(plan.ip), scope: Scope::Global };
    let default = Route {
        destination: Ipv4Net::default(),
        kind: RouteType::Unicast,
        link: Some(index),
        gateway: Some(GATEWAY),
        source: None,
    };
    let mut batch = Batch::new(&mut socket);
    batch.up(LOOPBACK).no_link_local(index).address(&address).up(index);
    batch.neighbour(&Neighbour { link: index, address: GATEWAY, mac: plan.host_mac }).route(&default);
    batch.commit().map_err(|source| failed("set up the pod's end of", &plan.link, source))
}

/// Deletes the host's end, and with it the pod's end and both routes.
pub(crate) fn disconnect(link: &str, socket: &mut Socket) -> Result<(), Error> {
    node::delete_link(link, socket)
}

/// The pods that are connected: whose the links are by their alias, which address by their route.
/// A link without either was left half made and is deleted.
pub(crate) fn existing(config: &Config, socket: &mut Socket) -> Result<BTreeMap<String, Ipv4Addr>, Error> {
    let routes: BTreeMap<u32, Ipv4Addr> = link::routes(socket)?
        .iter()
        .filter(|route| route.ours && route.destination.prefix_len() == 32)
        .filter_map(|route| Some((route.link?, route.destination.addr())))
        .collect();
    let mut pods = BTreeMap::new();
    let own = config.node_link();
    for link in link::links(socket)? {
        if !name::is_link(&config.link_prefix, &link.name) || link.name == own {
            continue;
        }
        match routes.get(&link.index) {
            Some(ip) if name::link(&config.link_prefix, &link.alias) == link.name => {
                pods.insert(link.alias, *ip);
            }
            _ => node::delete_link(&link.name, socket)?,
        }
    }
    Ok(pods)
}

fn failed(operation: &'static str, name: &str, source: netlink::Error) -> Error {
    Error::Kernel { operation, name: name.to_owned(), source }
}
