//! Changes of links, addresses, routes and neighbours, sent together.

use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd},
};

use ipnet::Ipv4Net;

use super::ROUTE_PROTOCOL;
use crate::netlink::{ACK, CREATE, EXCLUSIVE, Error, REPLACE, REQUEST, Socket, Writer};

/// A hardware address.
pub type Mac = [u8; 6];

pub(super) const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const NEW_NEIGHBOUR: u16 = 28;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const AF_INET6: u16 = 10;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IFF_UP: u32 = 1;

/// A pair of virtual Ethernet links, one end here and one in another namespace.
#[derive(Debug)]
pub struct Veth<'a> {
    /// The name of this end, at most 15 bytes.
    pub name: &'a str,
    /// The hardware address of this end.
    pub mac: Mac,
    /// A note kept with this end.
    pub alias: &'a str,
    /// The other end's name.
    pub peer_name: &'a str,
    /// The other end's hardware address.
    pub peer_mac: Mac,
    /// The other end's namespace.
    pub peer_namespace: BorrowedFd<'a>,
    /// The largest packet of both ends.
    pub mtu: u32,
}

/// How far an address or route reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    Global = 0,
    /// The link it is on. Such an address is never picked as a source by itself.
    Link = 253,
}

/// An address on a link.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The address with its prefix length.
    pub network: Ipv4Net,
    /// How far it reaches.
    pub scope: Scope,
}

/// What a route does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteType {
    /// Sends it on.
    Unicast = 1,
    /// Answers that the host cannot be reached.
    Unreachable = 7,
}

/// A route in the main table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Where to.
    pub destination: Ipv4Net,
    /// What happens to the packet.
    pub kind: RouteType,
    /// The link it leaves by.
    pub link: Option<u32>,
    /// The router, taken to be on the link whatever the addresses say.
    pub gateway: Option<Ipv4Addr>,
    /// The source address of packets that start here.
    pub source: Option<Ipv4Addr>,
}

/// A permanent neighbour: nobody ever asks for its hardware address.
#[derive(Clone, Copy, Debug)]
pub struct Neighbour {
    /// The link's index.
    pub link: u32,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its hardware address.
    pub mac: Mac,
}

/// Requests that go to the kernel together.
#[derive(Debug)]
pub struct Batch<'a> {
    socket: &'a mut Socket,
    writer: Writer,
    first: u32,
    count: usize,
}

impl<'a> Batch<'a> {
    /// An empty batch for `socket`.
    pub fn new(socket: &'a mut Socket) -> Self {
        Self { socket, writer: Writer::new(), first: 0, count: 0 }
    }

    fn add(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Writer)) -> &mut Self {
        let sequence = self.socket.next_sequence();
        if self.count == 0 {
            self.first = sequence;
        }
        self.writer.message(kind, flags | REQUEST | ACK, sequence, body);
        self.count += 1;
        self
    }

    /// Makes a veth pair; fails if one of the names is taken.
    pub fn veth(&mut self, veth: &Veth<'_>) -> &mut Self {
        self.add(NEW_LINK, CREATE | EXCLUSIVE, |w| {
            w.raw(&link_header(0, 0));
            w.text(IFLA_IFNAME, veth.name);
            w.attr(IFLA_ADDRESS, &veth.mac);
            w.number(IFLA_MTU, veth.mtu);
            w.nest(IFLA_LINKINFO, |w| {
                w.text(IFLA_INFO_KIND, "veth");
                w.nest(IFLA_INFO_DATA, |w| w.nest(VETH_INFO_PEER, |w| peer(w, veth)));
            });
        });
        self.add(SET_LINK, 0, |w| {
            w.raw(&link_header(0, 0));
            w.text(IFLA_IFNAME, veth.name);
            w.attr(IFLA_IFALIAS, veth.alias.as_bytes());
            no_link_local(w);
        })
    }

    /// Makes a bridge; fails if the name is taken.
    pub fn bridge(&mut self, name: &str) -> &mut Self {
        self.add(NEW_LINK, CREATE | EXCLUSIVE, |w| {
            w.raw(&link_header(0, 0));
            w.text(IFLA_IFNAME, name);
            w.nest(IFLA_LINKINFO, |w| w.text(IFLA_INFO_KIND, "bridge"));
        });
        self.add(SET_LINK, 0, |w| {
            w.raw(&link_header(0, 0));
            w.text(IFLA_IFNAME, name);
            no_link_local(w);
        })
    }

    /// Keeps a link from making itself an IPv6 link-local address.
    pub fn no_link_local(&mut self, link: u32) -> &mut Self {
        self.add(SET_LINK, 0, |w| {
            w.raw(&link_header(link, 0));
            no_link_local(w);
        })
    }

    /// Sets a link up.
    pub fn up(&mut self, link: u32) -> &mut Self {
        self.add(SET_LINK, 0, |w| w.raw(&link_header(link, IFF_UP)))
    }

    /// Deletes the link of that name, and with it its addresses, routes and peer.
    pub fn delete_link(&mut self, name: &str) -> &mut Self {
        self.add(DELETE_LINK, 0, |w| {
            w.raw(&link_header(0, 0));
            w.text(IFLA_IFNAME, name);
        })
    }

    /// Adds an address, or leaves it as it is.
    pub fn address(&mut self, address: &Address) -> &mut Self {
        self.add(NEW_ADDRESS, CREATE | REPLACE, |w| {
            w.raw(&[libc::AF_INET as u8, address.network.prefix_len(), 0, address.scope as u8]);
            w.raw(&address.link.to_ne_bytes());
            w.attr(1, &address.network.addr().octets());
            w.attr(2, &address.network.addr().octets());
        })
    }

    /// Adds a route, or replaces the one to the same destination.
    pub fn route(&mut self, route: &Route) -> &mut Self {
        self.add(NEW_ROUTE, CREATE | REPLACE, |w| write_route(w, route))
    }

    /// Deletes a route of ours.
    pub fn delete_route(&mut self, route: &Route) -> &mut Self {
        self.add(DELETE_ROUTE, 0, |w| write_route(w, route))
    }

    /// Adds or replaces a neighbour.
    pub fn neighbour(&mut self, neighbour: &Neighbour) -> &mut Self {
        const PERMANENT: u16 = 0x80;
        self.add(NEW_NEIGHBOUR, CREATE | REPLACE, |w| {
            w.raw(&[libc::AF_INET as u8, 0, 0, 0]);
            w.raw(&neighbour.link.to_ne_bytes());
            w.raw(&PERMANENT.to_ne_bytes());
            w.raw(&[0, 0]);
            w.attr(1, &neighbour.address.octets());
            w.attr(2, &neighbour.mac);
        })
    }

    /// Sends the batch and waits for all answers.
    ///
    /// # Errors
    /// The first refusal; later requests of the batch were tried nevertheless.
    pub fn commit(&mut self) -> Result<(), Error> {
        let (writer, count) = (std::mem::take(&mut self.writer), std::mem::take(&mut self.count));
        if count == 0 {
            return Ok(());
        }
        self.socket.send(writer.bytes())?;
        self.socket.acknowledged(self.first, count)
    }
}

fn peer(w: &mut Writer, veth: &Veth<'_>) {
    w.raw(&link_header(0, 0));
    w.text(IFLA_IFNAME, veth.peer_name);
    w.attr(IFLA_ADDRESS, &veth.peer_mac);
    w.number(IFLA_MTU, veth.mtu);
    w.attr(IFLA_NET_NS_FD, &veth.peer_namespace.as_raw_fd().to_ne_bytes());
}

/// We route IPv4 only over these links: a link-local address would only cause chatter.
fn no_link_local(w: &mut Writer) {
    const NONE: u8 = 1;
    w.nest(IFLA_AF_SPEC, |w| w.nest(AF_INET6, |w| w.attr(IFLA_INET6_ADDR_GEN_MODE, &[NONE])));
}

fn link_header(index: u32, up: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&up.to_ne_bytes());
    header[12..16].copy_from_slice(&up.to_ne_bytes());
    header
}

fn write_route(w: &mut Writer, route: &Route) {
    const MAIN: u8 = 254;
    const ONLINK: u32 = 4;
    let scope = if route.gateway.is_some() || route.link.is_none() { Scope::Global } else { Scope::Link };
    let flags = if route.gateway.is_some() { ONLINK } else { 0 };
    let prefix = route.destination.prefix_len();
    w.raw(&[libc::AF_INET as u8, prefix, 0, 0, MAIN, ROUTE_PROTOCOL, scope as u8, route.kind as u8]);
    w.raw(&flags.to_ne_bytes());
    if prefix > 0 {
        w.attr(1, &route.destination.network().octets());
    }
    if let Some(link) = route.link {
        w.number(4, link);
    }
    if let Some(gateway) = route.gateway {
        w.attr(5, &gateway.octets());
    }
    if let Some(source) = route.source {
        w.attr(7, &source.octets());
    }
}
