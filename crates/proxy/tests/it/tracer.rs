//! A model of the table: takes the same operations as the kernel, as strictly, and walks packets through it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddrV4},
};

use skiff_linux::nft::{
    Base, Chain, CtKey, Data, Element, Error, Expr, Hook, HookPoint, Meta, Name, Op, Rejection, Side, Tables, Value,
    Verdict,
};
use skiff_proxy::Target;

/// The elements of a map by key, with the end of their range and their value.
type Elements = BTreeMap<Data, (Option<Data>, Option<Value>)>;

/// The table as the kernel would hold it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) maps: BTreeMap<&'static str, Elements>,
    pub(crate) chains: BTreeMap<Name, (Option<Hook>, Vec<Vec<Expr>>)>,
    /// Addresses of the host.
    pub(crate) own: BTreeSet<Ipv4Addr>,
    /// How many commits are still to be refused.
    pub(crate) refusals: usize,
    /// How many operations were committed.
    pub(crate) operations: usize,
}

/// A first packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) source: SocketAddrV4,
    pub(crate) destination: SocketAddrV4,
    pub(crate) protocol: u8,
    /// What stands in for chance.
    pub(crate) pick: u32,
}

impl Packet {
    pub(crate) fn tcp(source: [u8; 4], destination: Ipv4Addr, port: u16) -> Self {
        let source = SocketAddrV4::new(source.into(), 40_000);
        Self { source, destination: SocketAddrV4::new(destination, port), protocol: 6, pick: 0 }
    }

    pub(crate) fn udp(source: [u8; 4], destination: Ipv4Addr, port: u16) -> Self {
        Self { protocol: 17, ..Self::tcp(source, destination, port) }
    }

    pub(crate) fn picking(self, pick: u32) -> Self {
        Self { pick, ..self }
    }
}

/// Where a packet lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landing {
    /// There, from its own address.
    Plain(SocketAddrV4),
    /// There, from an address of the host.
    Masqueraded(SocketAddrV4),
    /// Nowhere.
    Dropped,
    /// Refused.
    Refused(Rejection),
}

impl Tables for Model {
    fn commit(&mut self, ops: &[Op]) -> Result<(), Error> {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Err(refused(0, "as the test wants it"));
        }
        let mut next = self.clone();
        for (index, op) in ops.iter().enumerate() {
            next.apply(op).map_err(|why| refused(index, &format!("{why}: {op:?}")))?;
        }
        *self = next;
        self.operations += ops.len();
        Ok(())
    }
}

impl Target for Model {
    fn remembered(&mut self) -> Vec<Element> {
        let elements = self.maps.get(skiff_proxy::AFFINITY).into_iter().flatten();
        elements.map(|(key, (_, value))| Element { value: value.clone(), ..Element::key(*key) }).collect()
    }
}

fn refused(index: usize, detail: &str) -> Error {
    Error::Refused { index, source: io::Error::from(io::ErrorKind::InvalidInput), detail: Some(detail.to_owned()) }
}

impl Model {
    fn apply(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::AddTable => {}
            Op::DeleteTable => {
                self.maps.clear();
                self.chains.clear();
            }
            Op::AddMap(map) => drop(self.maps.insert(map.name, Elements::new())),
            Op::AddChain(Chain { name, hook }) => drop(self.chains.insert(name.clone(), (*hook, Vec::new()))),
            Op::AddRule(rule) => self.chains.get_mut(&rule.chain).ok_or("no such chain")?.1.push(rule.steps.clone()),
            Op::Add(map, elements) => {
                for element in elements {
                    self.check_target(element.value.as_ref())?;
                    let held = self.maps.get_mut(map).ok_or("no such map")?;
                    if held.insert(element.key, (element.end, element.value.clone())).is_some() {
                        return Err(format!("{:?} is there already", element.key));
                    }
                }
            }
            Op::Remove(map, elements) => {
                let held = self.maps.get_mut(map).ok_or("no such map")?;
                for element in elements {
                    held.remove(&element.key).ok_or_else(|| format!("{:?} is not there", element.key))?;
                }
            }
        }
        Ok(())
    }

    fn check_target(&self, value: Option<&Value>) -> Result<(), String> {
        match value {
            Some(Value::Verdict(Verdict::Goto(chain) | Verdict::Jump(chain))) if !self.chains.contains_key(chain) => {
                Err(format!("no chain {chain}"))
            }
            _ => Ok(()),
        }
    }

    /// Walks a first packet through every hook on its way.
    pub(crate) fn trace(&mut self, packet: Packet) -> Landing {
        let mut walk = Walk { packet, original: packet.destination, masqueraded: false, registers: [0; 64] };
        let first = if self.own.contains(packet.source.ip()) { HookPoint::Output } else { HookPoint::Prerouting };
        if let Some(end) = self.hooks(first, &mut walk) {
            return end;
        }
        let delivered = self.own.contains(walk.packet.destination.ip());
        let second = if delivered { HookPoint::Input } else { HookPoint::Forward };
        let rest = if first == HookPoint::Output {
            vec![HookPoint::Postrouting]
        } else {
            vec![second, HookPoint::Postrouting]
        };
        for point in rest.into_iter().filter(|point| !(delivered && *point == HookPoint::Postrouting)) {
            if let Some(end) = self.hooks(point, &mut walk) {
                return end;
            }
        }
        let landed = walk.packet.destination;
        if walk.masqueraded { Landing::Masqueraded(landed) } else { Landing::Plain(landed) }
    }

    fn hooks(&mut self, point: HookPoint, walk: &mut Walk) -> Option<Landing> {
        let at = |(name, (hook, _)): (&Name, &(Option<Hook>, _))| {
            hook.filter(|hook| hook.point == point).map(|hook| (hook.priority, name.clone()))
        };
        let mut order: Vec<(i32, Name)> = self.chains.iter().filter_map(at).collect();
        order.sort();
        order.into_iter().find_map(|(_, name)| match self.chain(&name, walk) {
            Some(Stop::Drop) => Some(Landing::Dropped),
            Some(Stop::Reject(how)) => Some(Landing::Refused(how)),
            Some(Stop::Accept) | None => None,
        })
    }

    fn chain(&mut self, name: &Name, walk: &mut Walk) -> Option<Stop> {
        for rule in self.chains[name].1.clone() {
            match self.rule(&rule, walk) {
                Step::On => {}
                Step::Stop(stop) => return Some(stop),
                Step::Return => return None,
                Step::Goto(chain) => return self.chain(&chain, walk),
                Step::Jump(chain) => {
                    if let Some(stop) = self.chain(&chain, walk) {
                        return Some(stop);
                    }
                }
            }
        }
        None
    }

    fn rule(&mut self, steps: &[Expr], walk: &mut Walk) -> Step {
        for expr in steps {
            match self.step(expr, walk) {
                Ok(None) => {}
                Ok(Some(step)) => return step,
                Err(Unmatched) => return Step::On,
            }
        }
        Step::On
    }

    fn step(&mut self, expr: &Expr, walk: &mut Walk) -> Result<Option<Step>, Unmatched> {
        match expr {
            Expr::Meta { key: Meta::Family, to } => walk.load(*to, &[2]),
            Expr::Meta { key: Meta::Protocol, to } => walk.load(*to, &[walk.packet.protocol]),
            Expr::Payload { base, offset, to, .. } => walk.load(*to, &walk.bytes(*base, *offset)),
            Expr::Conntrack { key, to } => walk.load(*to, &walk.connection(*key)),
            Expr::AddressType { of, to } => {
                let ip = if *of == Side::Source { walk.packet.source.ip() } else { walk.packet.destination.ip() };
                let kind: u32 = if self.own.contains(ip) || ip.is_loopback() { 2 } else { 1 };
                walk.load(*to, &kind.to_ne_bytes());
            }
            Expr::Immediate { value, to } => walk.load(*to, value.bytes()),
            Expr::Mask { register, mask } => walk.mask(*register, mask.bytes()),
            Expr::Compare { register, equal, value } => {
                let held = &walk.registers[usize::from(*register) * 4..][..value.bytes().len()];
                return if (held == value.bytes()) == *equal { Ok(None) } else { Err(Unmatched) };
            }
            Expr::Random { modulus, offset, to } => {
                walk.load(*to, &(offset + walk.packet.pick % modulus).to_ne_bytes());
            }
            _ => return self.table_step(expr, walk),
        }
        Ok(None)
    }

    fn table_step(&mut self, expr: &Expr, walk: &mut Walk) -> Result<Option<Step>, Unmatched> {
        match expr {
            Expr::Lookup { map, key, to, missing } => match (self.find(map, *key, walk), missing) {
                (Some(value), false) => {
                    if let (Some(to), Some(Value::Data(data))) = (to, value) {
                        walk.load(*to, data.bytes());
                    }
                }
                (None, true) => {}
                _ => return Err(Unmatched),
            },
            Expr::Branch { map, key } => {
                return Ok(match self.find(map, *key, walk) {
                    Some(Some(Value::Verdict(verdict))) => Some(decide(&verdict)),
                    _ => return Err(Unmatched),
                });
            }
            Expr::Remember { map, key, value, .. } => {
                let (key, value) = (walk.data(*key, 16), walk.data(*value, 8));
                self.maps.get_mut(map).unwrap().entry(key).or_insert((None, Some(Value::Data(value))));
            }
            Expr::Forget { map, key, .. } => drop(self.maps.get_mut(map).unwrap().remove(&walk.data(*key, 16))),
            Expr::Dnat { address, port } => {
                walk.packet.destination = walk.socket(*address, *port);
                return Ok(Some(Step::Stop(Stop::Accept)));
            }
            Expr::Masquerade => {
                walk.masqueraded = true;
                return Ok(Some(Step::Stop(Stop::Accept)));
            }
            Expr::Reject(how) => return Ok(Some(Step::Stop(Stop::Reject(*how)))),
            Expr::Verdict(verdict) => return Ok(Some(decide(verdict))),
            _ => {}
        }
        Ok(None)
    }

    /// The element that the registers from `key` on name: exactly, or within its range.
    fn find(&self, map: &str, key: u8, walk: &Walk) -> Option<Option<Value>> {
        self.maps[map].iter().find_map(|(held, (end, value))| {
            let wanted = walk.data(key, held.bytes().len());
            let within = end.map_or(wanted == *held, |end| {
                let fields = held.bytes().chunks(4).zip(end.bytes().chunks(4)).zip(wanted.bytes().chunks(4));
                fields.into_iter().all(|((low, high), field)| low <= field && field <= high)
            });
            within.then(|| value.clone())
        })
    }
}

struct Unmatched;

enum Stop {
    Accept,
    Drop,
    Reject(Rejection),
}

enum Step {
    On,
    Return,
    Stop(Stop),
    Goto(Name),
    Jump(Name),
}

fn decide(verdict: &Verdict) -> Step {
    match verdict {
        Verdict::Accept => Step::Stop(Stop::Accept),
        Verdict::Drop => Step::Stop(Stop::Drop),
        Verdict::Return => Step::Return,
        Verdict::Jump(chain) => Step::Jump(chain.clone()),
        Verdict::Goto(chain) => Step::Goto(chain.clone()),
    }
}

struct Walk {
    packet: Packet,
    original: SocketAddrV4,
    masqueraded: bool,
    registers: [u8; 64],
}

impl Walk {
    /// Loading fills whole words: what is short is followed by zeros.
    fn load(&mut self, to: u8, bytes: &[u8]) {
        let start = usize::from(to) * 4;
        self.registers[start..start + bytes.len().next_multiple_of(4)].fill(0);
        self.registers[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn mask(&mut self, register: u8, mask: &[u8]) {
        let start = usize::from(register) * 4;
        self.registers[start..].iter_mut().zip(mask).for_each(|(byte, mask)| *byte &= mask);
    }

    fn data(&self, from: u8, length: usize) -> Data {
        Data::from_bytes(&self.registers[usize::from(from) * 4..][..length]).unwrap()
    }

    fn socket(&self, address: u8, port: u8) -> SocketAddrV4 {
        let (ip, port) = (self.data(address, 4), self.data(port, 2));
        let octets: [u8; 4] = ip.bytes().try_into().unwrap();
        SocketAddrV4::new(octets.into(), u16::from_be_bytes(port.bytes().try_into().unwrap()))
    }

    fn bytes(&self, base: Base, offset: u8) -> Vec<u8> {
        match (base, offset) {
            (Base::Network, 12) => self.packet.source.ip().octets().to_vec(),
            (Base::Network, 16) => self.packet.destination.ip().octets().to_vec(),
            (Base::Transport, 0) => self.packet.source.port().to_be_bytes().to_vec(),
            (Base::Transport, 2) => self.packet.destination.port().to_be_bytes().to_vec(),
            other => panic!("no rule should look at {other:?}"),
        }
    }

    fn connection(&self, key: CtKey) -> Vec<u8> {
        match key {
            CtKey::State => 8_u32.to_ne_bytes().to_vec(),
            CtKey::Status if self.packet.destination == self.original => vec![0; 4],
            CtKey::Status => 0x20_u32.to_ne_bytes().to_vec(),
            CtKey::OriginalDestination => self.original.ip().octets().to_vec(),
            CtKey::OriginalPort => self.original.port().to_be_bytes().to_vec(),
        }
    }
}
