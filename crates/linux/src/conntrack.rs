//! Deletes connections that the kernel still tracks though their endpoint is gone.
//!
//! Only UDP needs this: without a handshake, a client that keeps sending keeps its entry, and with it the old
//! destination, alive for ever.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::netlink::{ACK, Attributes, Error, Message, REQUEST, Socket, Writer, attributes, errno_of, u16_be};

const SUBSYSTEM: u16 = 1 << 8;
const NEW: u16 = SUBSYSTEM;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const IPV4: [u8; 4] = [libc::AF_INET as u8, 0, 0, 0];
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const UDP: u8 = 17;
const ENOENT: i32 = 2;

/// A tracked UDP exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where the client sent to.
    pub destination: SocketAddrV4,
    /// Who answers.
    pub answering: SocketAddrV4,
}

/// Deletes the UDP entries that `stale` picks; how many there were.
///
/// # Errors
/// When the kernel refuses. Entries that vanish meanwhile are no error.
pub fn delete_udp(socket: &mut Socket, mut stale: impl FnMut(&Flow) -> bool) -> Result<usize, Error> {
    let mut doomed: Vec<Writer> = Vec::new();
    socket.dump(GET, only_udp, |message| {
        if let Some((flow, entry)) = parse(message)
            && stale(&flow)
        {
            doomed.push(entry);
        }
    })?;
    for entry in &doomed {
        let sequence = socket.next_sequence();
        let mut writer = Writer::new();
        writer.message(DELETE, REQUEST | ACK, sequence, |w| {
            w.raw(&IPV4);
            w.raw(entry.bytes());
        });
        socket.send(writer.bytes())?;
        let outcome = socket.acknowledged(sequence, 1);
        if outcome.is_err() && errno_of(&outcome) != Some(ENOENT) {
            outcome?;
        }
    }
    Ok(doomed.len())
}

/// Asks for UDP only. Kernels before 5.8 do not know the filter and send everything.
fn only_udp(w: &mut Writer) {
    const BY_PROTOCOL: u32 = 1 << 3;
    w.raw(&IPV4);
    w.nest(TUPLE_ORIGINAL, |w| w.nest(2, |w| w.attr(1, &[UDP])));
    w.nest(FILTER, |w| w.number(1, BY_PROTOCOL));
}

/// The flow, and the attributes that name it in a deletion.
fn parse(message: &Message<'_>) -> Option<(Flow, Writer)> {
    let found = attributes(message.payload.get(4..).filter(|_| message.kind == NEW)?);
    let original = found.find(TUPLE_ORIGINAL)?;
    let (protocol, _, destination) = tuple(&attributes(original))?;
    let (_, answering, _) = tuple(&attributes(found.find(TUPLE_REPLY)?))?;
    if protocol != UDP {
        return None;
    }
    let mut entry = Writer::new();
    entry.nest(TUPLE_ORIGINAL, |w| w.raw(original));
    if let Some(zone) = found.find(ZONE) {
        entry.attr(ZONE, zone);
    }
    Some((Flow { destination, answering }, entry))
}

/// Protocol, source and destination.
fn tuple(found: &Attributes<'_>) -> Option<(u8, SocketAddrV4, SocketAddrV4)> {
    let (ip, transport) = (attributes(found.find(1)?), attributes(found.find(2)?));
    let address = |kind| ip.find(kind)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets));
    let port = |kind| transport.find(kind).and_then(u16_be);
    let protocol = *transport.find(1)?.first()?;
    Some((protocol, SocketAddrV4::new(address(1)?, port(2)?), SocketAddrV4::new(address(2)?, port(3)?)))
}
