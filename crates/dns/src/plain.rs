//! The short way: an address question for a cluster name, answered from the packet straight into the bytes to
//! send, without an allocation.
//!
//! Whatever is unusual is `None` here and goes the long way, through hickory. Both give the same answer; a test
//! compares them.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::{op::ResponseCode, rr::RecordType};

use crate::{
    answer::View,
    entry::{Entry, Kind, Transport},
    handler::{LARGEST, SMALLEST},
};

const HEADER: usize = 12;
const OPT: usize = 11;
/// A compressed owner, type, class, TTL and length.
const FIXED: usize = 12;
/// Names longer than this leave no room for those in an SOA record.
const LONGEST_DOMAIN: usize = 240;
/// With more addresses than this, an answer goes the long way.
const MOST: usize = 32;
const MOST_LABELS: usize = 4;
/// A pointer to the question's name.
const OWNER: u16 = 0xc000 | HEADER as u16;

/// A question of the plainest kind: one name, class IN, A or AAAA, at most an OPT record without options.
pub(crate) struct Plain<'a> {
    packet: &'a [u8],
    /// Name, type and class as they were sent.
    question: &'a [u8],
    kind: RecordType,
    edns: Option<Edns>,
    lower: [u8; 255],
}

#[derive(Clone, Copy)]
struct Edns {
    payload: u16,
    dnssec_ok: bool,
}

/// What the name holds.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for one answer; a box would be an allocation")]
enum Held {
    Addresses(List),
    Nothing(ResponseCode),
}

struct List {
    held: [IpAddr; MOST],
    count: usize,
}

impl<'a> Plain<'a> {
    pub(crate) fn read(packet: &'a [u8]) -> Option<Self> {
        // No response, opcode QUERY, nothing set but RD, AD and CD; one question and at most one other record.
        let [_, _, high, low, 0, 1, 0, 0, 0, 0, 0, extra @ (0 | 1), rest @ ..] = packet else { return None };
        if high & !0x01 != 0 || low & !0x30 != 0 {
            return None;
        }
        let length = name_length(rest)?;
        let (question, after) = rest.split_at_checked(length + 4)?;
        let kind = match question.get(length..)? {
            [0, 1, 0, 1] => RecordType::A,
            [0, 28, 0, 1] => RecordType::AAAA,
            _ => return None,
        };
        let edns = match (extra, after) {
            (0, []) => None,
            (1, [0, 0, 41, big, small, 0, 0, flags @ (0 | 0x80), 0, 0, 0]) => {
                Some(Edns { payload: u16::from_be_bytes([*big, *small]), dnssec_ok: *flags != 0 })
            }
            _ => return None,
        };
        let mut lower = [0; 255];
        let name = lower.get_mut(..length)?;
        name.copy_from_slice(question.get(..length)?);
        // Lengths are at most 63 and so no letters.
        name.make_ascii_lowercase();
        Some(Self { packet, question, kind, edns, lower })
    }

    /// Appends the answer to `out`.
    pub(crate) fn answer(&self, view: View<'_>, source: IpAddr, out: &mut Vec<u8>) -> Option<()> {
        let domain = &*view.zones.wire;
        let left = self.name().strip_suffix(domain).filter(|_| domain.len() <= LONGEST_DOMAIN)?;
        let mut buffer: [&[u8]; MOST_LABELS] = [&[]; MOST_LABELS];
        let count = split(left, &mut buffer)?;
        let mut held = self.find(view, buffer.get(..count)?, source)?;
        if let Held::Addresses(list) = &mut held {
            let size = FIXED + if self.kind == RecordType::A { 4 } else { 16 };
            let room = usize::from(self.limit()).checked_sub(HEADER + OPT + self.question.len())?;
            if list.count * size > room {
                return None;
            }
            view.rotate(list.all());
        }
        self.write(view, &held, HEADER + left.len(), out);
        Some(())
    }

    fn name(&self) -> &[u8] {
        self.lower.get(..self.question.len() - 4).unwrap_or_default()
    }

    fn limit(&self) -> u16 {
        self.edns.map_or(SMALLEST, |edns| edns.payload.clamp(SMALLEST, LARGEST))
    }

    /// `labels` are those left of the domain.
    fn find(&self, view: View<'_>, labels: &[&[u8]], source: IpAddr) -> Option<Held> {
        let (rest, service, namespace) = match labels {
            [service, namespace, b"svc"] => (None, service, namespace),
            [label, service, namespace, b"svc"] => (Some(*label), service, namespace),
            _ => return None,
        };
        let entry = view.index.service(service, namespace);
        let list = match entry {
            Some(entry) => held_by(entry, rest)?,
            None => List::EMPTY,
        };
        if list.count > 0 {
            let mut list = list.of(self.kind);
            list.settle();
            let nothing = list.count == 0;
            return Some(if nothing { Held::Nothing(ResponseCode::NoError) } else { Held::Addresses(list) });
        }
        // The search path of the pod that asks may go on from here.
        let searched = view.index.pod(source).is_some_and(|pod| pod.searches && pod.namespace.as_bytes() == *namespace);
        (!searched).then_some(Held::Nothing(ResponseCode::NXDomain))
    }

    fn write(&self, view: View<'_>, held: &Held, domain: usize, out: &mut Vec<u8>) {
        let (code, answers, authorities) = match held {
            Held::Addresses(list) => (ResponseCode::NoError, list.count as u8, 0),
            Held::Nothing(code) => (*code, 0, 1),
        };
        let [one, two, high, low, ..] = *self.packet else { return };
        // A response, authoritative, recursion desired as asked; recursion available, CD as asked.
        out.extend([one, two, 0x84 | high & 0x01, 0x80 | low & 0x10 | code.low()]);
        out.extend([0, 1, 0, answers, 0, authorities, 0, u8::from(self.edns.is_some())]);
        out.extend(self.question);
        match held {
            Held::Addresses(list) => list.held.iter().take(list.count).for_each(|ip| address(*ip, view.zones.ttl, out)),
            Held::Nothing(_) => soa(view, 0xc000 | domain as u16, out),
        }
        if let Some(edns) = self.edns {
            out.extend([0, 0, 41]);
            out.extend(self.limit().to_be_bytes());
            out.extend([0, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        }
    }
}

impl List {
    const EMPTY: Self = Self { held: [IpAddr::V4(Ipv4Addr::UNSPECIFIED); MOST], count: 0 };

    fn collect(addresses: impl Iterator<Item = IpAddr>) -> Option<Self> {
        let mut list = Self::EMPTY;
        for address in addresses {
            *list.held.get_mut(list.count)? = address;
            list.count += 1;
        }
        Some(list)
    }

    fn all(&mut self) -> &mut [IpAddr] {
        self.held.get_mut(..self.count).unwrap_or_default()
    }

    /// Only the addresses that answer a question of that kind.
    fn of(mut self, kind: RecordType) -> Self {
        self.retain(|_, address| address.is_ipv4() == (kind == RecordType::A));
        self
    }

    /// In order, and each once.
    fn settle(&mut self) {
        if self.count > 1 {
            self.all().sort_unstable();
            self.retain(|last, address| last != Some(address));
        }
    }

    /// Keeps what `keep` wants, which is told the last address that was kept.
    fn retain(&mut self, keep: impl Fn(Option<IpAddr>, IpAddr) -> bool) {
        let (mut kept, mut last) = (0, None);
        for at in 0..self.count {
            let address = self.held[at];
            if keep(last, address) {
                (self.held[kept], last) = (address, Some(address));
                kept += 1;
            }
        }
        self.count = kept;
    }
}

/// The addresses of a Service or of one of its endpoints, of both families; none if there is no such name.
fn held_by(entry: &Entry, label: Option<&[u8]>) -> Option<List> {
    match (&entry.kind, label) {
        (Kind::External(_), _) => None,
        (_, Some(label)) if Transport::from_label(label).is_some() => None,
        (Kind::Headless, Some(_)) if entry.endpoints.is_empty() => Some(List::EMPTY),
        (_, Some(label)) => List::collect(entry.endpoints_named(label).map(|endpoint| endpoint.address)),
        (Kind::Cluster { addresses, .. }, None) => List::collect(addresses.iter().copied()),
        (Kind::Headless, None) => List::collect(entry.endpoints.iter().map(|endpoint| endpoint.address)),
    }
}

/// The length of the name that `bytes` begin with, its root label included. Compressed names have none.
fn name_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            0 => return (at < 255).then_some(at + 1),
            length @ 1..=63 => at += usize::from(*length) + 1,
            _ => return None,
        }
    }
}

/// Splits labels off; `None` where there are too many, or where they don't end with `bytes`.
fn split<'a>(mut bytes: &'a [u8], labels: &mut [&'a [u8]; MOST_LABELS]) -> Option<usize> {
    let mut count = 0;
    while let [length, rest @ ..] = bytes {
        let (label, after) = rest.split_at_checked(usize::from(*length))?;
        *labels.get_mut(count)? = label;
        count += 1;
        bytes = after;
    }
    Some(count)
}

fn fixed(owner: u16, kind: RecordType, ttl: u32, length: u16, out: &mut Vec<u8>) {
    out.extend(owner.to_be_bytes());
    out.extend(u16::from(kind).to_be_bytes());
    out.extend([0, 1]);
    out.extend(ttl.to_be_bytes());
    out.extend(length.to_be_bytes());
}

fn address(address: IpAddr, ttl: u32, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            fixed(OWNER, RecordType::A, ttl, 4, out);
            out.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            fixed(OWNER, RecordType::AAAA, ttl, 16, out);
            out.extend(v6.octets());
        }
    }
}

/// The SOA record of the cluster's domain; `domain` is a pointer to its name.
fn soa(view: View<'_>, domain: u16, out: &mut Vec<u8>) {
    const NUMBERS: usize = 5 * 4;
    let (server, mail) = (b"\x02ns\x03dns", b"\x0ahostmaster");
    let length = server.len() + mail.len() + 2 * 2 + NUMBERS;
    fixed(domain, RecordType::SOA, view.zones.ttl, length as u16, out);
    out.extend(server);
    out.extend(domain.to_be_bytes());
    out.extend(mail);
    out.extend(domain.to_be_bytes());
    for number in view.zones.soa_numbers(view.index.serial) {
        out.extend(number.to_be_bytes());
    }
}
