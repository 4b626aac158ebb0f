//! What links, addresses and routes there are.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{ROUTE_PROTOCOL, RouteType, batch::NEW_LINK};
use crate::netlink::{Attributes, Error, Message, Socket, attributes, u32_native};

const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
const MAIN: u32 = 254;

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The note kept with it.
    pub alias: String,
    /// Whether it is set up.
    pub up: bool,
    /// Its largest packet.
    pub mtu: u32,
}

/// An IPv4 address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressInfo {
    /// The link's index.
    pub link: u32,
    /// The address with its prefix length.
    pub network: Ipv4Net,
    /// Whether it is good for talking to anybody.
    pub global: bool,
}

/// An IPv4 route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// Where to.
    pub destination: Ipv4Net,
    /// Whether it refuses packets instead of sending them on.
    pub unreachable: bool,
    /// The link it leaves by.
    pub link: Option<u32>,
    /// The router.
    pub gateway: Option<Ipv4Addr>,
    /// The source address of packets that start here.
    pub source: Option<Ipv4Addr>,
    /// Its cost: lower wins.
    pub metric: u32,
    /// Whether we made it.
    pub ours: bool,
}

/// The index of the link of that name.
#[must_use]
pub fn index_of(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

/// Whether a link passes packets. One whose other end came up after it drops what it should send until the
/// kernel's own work on that is done, a moment later; asking makes the kernel (6.8 or newer) do it first.
///
/// # Errors
/// When there is no such link.
pub fn passes(socket: &mut Socket, link: u32) -> Result<bool, Error> {
    const OPERATIONAL_STATE: u16 = 16;
    const UP: u8 = 6;
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    let mut up = false;
    socket.query(
        GET_LINK,
        |w| w.raw(&header),
        |message| {
            let found = message.payload.get(16..).map(attributes);
            up |= found.and_then(|found| found.find(OPERATIONAL_STATE)?.first().copied()) == Some(UP);
        },
    )?;
    Ok(up)
}

/// All links.
///
/// # Errors
/// When the kernel refuses.
pub fn links(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    let mut found = Vec::new();
    socket.dump(GET_LINK, |w| w.raw(&[0; 16]), |message| found.extend(parse_link(message)))?;
    Ok(found)
}

/// All IPv4 addresses.
///
/// # Errors
/// When the kernel refuses.
pub fn addresses(socket: &mut Socket) -> Result<Vec<AddressInfo>, Error> {
    let mut found = Vec::new();
    let header = [libc::AF_INET as u8, 0, 0, 0, 0, 0, 0, 0];
    socket.dump(GET_ADDRESS, |w| w.raw(&header), |message| found.extend(parse_address(message)))?;
    Ok(found)
}

/// All IPv4 routes of the main table.
///
/// # Errors
/// When the kernel refuses.
pub fn routes(socket: &mut Socket) -> Result<Vec<RouteInfo>, Error> {
    let mut found = Vec::new();
    let mut header = [0; 12];
    header[0] = libc::AF_INET as u8;
    socket.dump(GET_ROUTE, |w| w.raw(&header), |message| found.extend(parse_route(message)))?;
    Ok(found)
}

fn parse_link(message: &Message<'_>) -> Option<Link> {
    let header = message.payload.get(..16).filter(|_| message.kind == NEW_LINK)?;
    let found = attributes(&message.payload[16..]);
    Some(Link {
        index: u32_native(&header[4..])?,
        name: text(found.find(3)?),
        alias: found.find(20).map(text).unwrap_or_default(),
        up: u32_native(&header[8..])? & 1 != 0,
        mtu: found.find(4).and_then(u32_native).unwrap_or_default(),
    })
}

fn parse_address(message: &Message<'_>) -> Option<AddressInfo> {
    let header = message.payload.get(..8).filter(|_| message.kind == NEW_ADDRESS)?;
    let found = attributes(&message.payload[8..]);
    let address = ip(&found, 2).or_else(|| ip(&found, 1))?;
    Some(AddressInfo {
        link: u32_native(&header[4..])?,
        network: Ipv4Net::new(address, header[1]).ok()?,
        global: header[3] == 0,
    })
}

fn parse_route(message: &Message<'_>) -> Option<RouteInfo> {
    let header = message.payload.get(..12).filter(|_| message.kind == NEW_ROUTE)?;
    let found = attributes(&message.payload[12..]);
    let table = found.find(15).and_then(u32_native).unwrap_or(u32::from(header[4]));
    if table != MAIN {
        return None;
    }
    Some(RouteInfo {
        destination: Ipv4Net::new(ip(&found, 1).unwrap_or(Ipv4Addr::UNSPECIFIED), header[1]).ok()?,
        unreachable: header[7] == RouteType::Unreachable as u8,
        link: found.find(4).and_then(u32_native),
        gateway: ip(&found, 5),
        source: ip(&found, 7),
        metric: found.find(6).and_then(u32_native).unwrap_or_default(),
        ours: header[5] == ROUTE_PROTOCOL,
    })
}

fn ip(found: &Attributes<'_>, kind: u16) -> Option<Ipv4Addr> {
    found.find(kind)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}
