//! The constant part of the table: its maps, its hooks and the rules that never change.
//!
//! Every new connection passes these; packets of known connections leave at the first rule of a filter chain
//! and never enter a NAT chain.
//!
//! # A packet's way
//! `guard` (source ranges) → `services` (destination) → `refuse` (nobody there) → `sources` (masquerade).
//! The frontend of a NodePort is the address 0.0.0.0: its rules load that instead of the packet's address.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use skiff_linux::nft::{
    Base, Chain, CtKey, Data, Element, Expr, Hook, HookKind, HookPoint, Kind, Map, MapValue, Meta, Op, Register,
    Rejection, Rule, Side, Value, Verdict, state, status,
};

use crate::{
    Settings,
    chain::{AFFINITY, destination, port, source},
    rules::MapId,
};

const FRONTEND: &[Kind] = &[Kind::Ipv4, Kind::Protocol, Kind::Port];
const ENDPOINT: &[Kind] = &[Kind::Ipv4, Kind::Port];
const WAY: MapValue = MapValue::Data(&[Kind::Number]);
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
const MULTICAST: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4);
const DNS_PORT: u16 = 53;
const UDP: u8 = 17;
const TCP: u8 = 6;

const GUARD: &str = "guard";
const REFUSE: &str = "refuse";
/// Refuses a packet at once.
const REJECT: &str = "reject";

/// The way that leaves a packet as it is.
pub(crate) const LEAVE: u32 = 0;
/// The number of the first way that picks an endpoint.
pub(crate) const FIRST_PICK: u32 = 1;
/// The refusal that says nothing.
pub(crate) const DROP: u32 = 0;
/// The refusal that says so.
pub(crate) const REFUSAL: u32 = 1;

/// The operations that make the constant part, in a table that is there and empty.
#[must_use]
pub(crate) fn constant(settings: &Settings) -> Vec<Op> {
    let maps = maps().into_iter().map(Op::AddMap);
    let chains = plain_chains().into_iter().chain(hooks()).map(Op::AddChain);
    let rules = rules(settings).into_iter().map(|(chain, steps)| Op::AddRule(Rule { chain: chain.into(), steps }));
    maps.chain(chains).chain(rules).chain(fixed_ways()).collect()
}

fn fixed_ways() -> [Op; 2] {
    let refusals = vec![way(DROP, Verdict::Drop), way(REFUSAL, Verdict::Goto(REJECT.into()))];
    [Op::Add(MapId::Ways.name(), vec![way(LEAVE, Verdict::Accept)]), Op::Add(MapId::Refusals.name(), refusals)]
}

/// A numbered decision.
pub(crate) fn way(number: u32, verdict: Verdict) -> Element {
    Element::with(Data::new().number(number), Value::Verdict(verdict))
}

fn maps() -> Vec<Map> {
    let map = |id: MapId, key, value| Map { name: id.name(), key, value, ranges: false, dynamic: false };
    let endpoint = MapValue::Data(ENDPOINT);
    vec![
        map(MapId::Services, FRONTEND, WAY),
        map(MapId::Outside, FRONTEND, WAY),
        map(MapId::Refused, FRONTEND, WAY),
        map(MapId::Ways, &[Kind::Number], MapValue::Verdict),
        map(MapId::Refusals, &[Kind::Number], MapValue::Verdict),
        map(MapId::Endpoints, &[Kind::Ipv4, Kind::Protocol, Kind::Port, Kind::Number], endpoint),
        map(MapId::Hairpin, &[Kind::Ipv4, Kind::Ipv4], MapValue::None),
        map(MapId::Masqueraded, FRONTEND, MapValue::None),
        map(MapId::Guarded, FRONTEND, MapValue::None),
        Map {
            ranges: true,
            ..map(MapId::Allowed, &[Kind::Ipv4, Kind::Protocol, Kind::Port, Kind::Ipv4], MapValue::None)
        },
        map(MapId::Sticky, FRONTEND, endpoint),
        map(
            MapId::Members,
            &[Kind::Ipv4, Kind::Protocol, Kind::Port, Kind::Number, Kind::Ipv4, Kind::Port],
            MapValue::None,
        ),
        Map {
            name: AFFINITY,
            key: &[Kind::Ipv4, Kind::Ipv4, Kind::Port, Kind::Protocol],
            value: endpoint,
            ranges: false,
            dynamic: true,
        },
    ]
}

fn plain_chains() -> Vec<Chain> {
    [GUARD, REFUSE, REJECT].into_iter().map(|name| Chain { name: name.into(), hook: None }).collect()
}

fn hooks() -> Vec<Chain> {
    use HookKind::{Filter, Nat};
    use HookPoint::{Forward, Input, Output, Postrouting, Prerouting};
    let hook =
        |name: &str, kind, point, priority| Chain { name: name.into(), hook: Some(Hook { kind, point, priority }) };
    vec![
        hook("raw-prerouting", Filter, Prerouting, -300),
        hook("raw-output", Filter, Output, -300),
        hook("guard-prerouting", Filter, Prerouting, -110),
        hook("guard-output", Filter, Output, -110),
        hook("services-prerouting", Nat, Prerouting, -100),
        hook("services-output", Nat, Output, -100),
        hook("refuse-input", Filter, Input, 0),
        hook("refuse-forward", Filter, Forward, 0),
        hook("refuse-output", Filter, Output, 0),
        hook("sources", Nat, Postrouting, 100),
    ]
}

type Bodies = Vec<(&'static str, Vec<Expr>)>;

fn rules(settings: &Settings) -> Bodies {
    let mut rules = untracked(settings);
    for chain in ["guard-prerouting", "guard-output"] {
        rules.push((chain, first_packet(GUARD)));
    }
    for chain in ["refuse-input", "refuse-forward", "refuse-output"] {
        rules.push((chain, first_packet(REFUSE)));
    }
    rules.extend(guard());
    rules.extend(services(settings));
    rules.extend(refuse(settings));
    rules.extend(sources(settings));
    rules
}

/// Names are asked for so often that connection tracking would be most of the cost.
fn untracked(settings: &Settings) -> Bodies {
    let Some(dns) = settings.dns_address else { return Vec::new() };
    let exchange = |address: Expr, port_offset| {
        let port = Expr::Payload { base: Base::Transport, offset: port_offset, length: 2, to: 2 };
        [
            ipv4(0),
            vec![address, is(0, Data::new().ip(dns)), protocol(1), is(1, Data::new().protocol(UDP).cut(1))],
            vec![port, is(2, Data::new().port(DNS_PORT).cut(2)), Expr::Untrack],
        ]
        .concat()
    };
    vec![("raw-prerouting", exchange(destination(0), 2)), ("raw-output", exchange(source(0), 0))]
}

/// First packets of IPv4 connections go to `chain`; all others go on at once.
fn first_packet(chain: &str) -> Vec<Expr> {
    let state = [Expr::Conntrack { key: CtKey::State, to: 0 }, bits(0, state::NEW), isnt(0, Data::new().number(0))];
    [state.to_vec(), ipv4(0), vec![Expr::Verdict(Verdict::Jump(chain.into()))]].concat()
}

/// Frontends with source ranges drop everybody else, before the frontend is rewritten.
fn guard() -> Bodies {
    let guarded = Expr::Lookup { map: MapId::Guarded.name(), key: 0, to: None, missing: false };
    let stranger = Expr::Lookup { map: MapId::Allowed.name(), key: 0, to: None, missing: true };
    let steps = [frontend(), vec![source(3), guarded, stranger, Expr::Verdict(Verdict::Drop)]].concat();
    vec![(GUARD, steps)]
}

fn services(settings: &Settings) -> Bodies {
    let outside = || [vec![source(4)], range(4, settings.cluster_cidr, false)].concat();
    let branch = |map: MapId| follow(map, MapId::Ways);
    let (incoming, own) = ("services-prerouting", "services-output");
    vec![
        (incoming, other_families()),
        (incoming, [outside(), frontend(), branch(MapId::Outside)].concat()),
        (incoming, [frontend(), branch(MapId::Services)].concat()),
        (incoming, [outside(), node_port(), branch(MapId::Outside)].concat()),
        (incoming, [node_port(), branch(MapId::Services)].concat()),
        (own, other_families()),
        (own, [frontend(), branch(MapId::Services)].concat()),
        (own, [node_port(), branch(MapId::Services)].concat()),
    ]
}

/// What was not rewritten and cannot be meant for anybody else.
fn refuse(settings: &Settings) -> Bodies {
    let refused = || follow(MapId::Refused, MapId::Refusals);
    let services = [vec![destination(0)], range(0, settings.service_cidr, true)].concat();
    let tcp = vec![protocol(0), is(0, Data::new().protocol(TCP).cut(1)), Expr::Reject(Rejection::Reset)];
    vec![
        (REFUSE, [frontend(), refused()].concat()),
        (REFUSE, [node_port(), refused()].concat()),
        (REFUSE, [services, vec![Expr::Verdict(Verdict::Goto(REJECT.into()))]].concat()),
        (REJECT, tcp),
        (REJECT, vec![Expr::Reject(Rejection::PortUnreachable)]),
    ]
}

/// Who must not be seen by the endpoint, or could not be answered.
fn sources(settings: &Settings) -> Bodies {
    let hairpin = Expr::Lookup { map: MapId::Hairpin.name(), key: 0, to: None, missing: false };
    let masqueraded = Expr::Lookup { map: MapId::Masqueraded.name(), key: 0, to: None, missing: false };
    let rewritten = || {
        let changed = status::DESTINATION_CHANGED;
        vec![Expr::Conntrack { key: CtKey::Status, to: 0 }, bits(0, changed), isnt(0, Data::new().number(0))]
    };
    let original = || {
        vec![
            Expr::Conntrack { key: CtKey::OriginalDestination, to: 0 },
            protocol(1),
            Expr::Conntrack { key: CtKey::OriginalPort, to: 2 },
        ]
    };
    let node_port = vec![Expr::Immediate { value: Data::new().ip(Ipv4Addr::UNSPECIFIED), to: 0 }];
    let by_cluster_ip = [original(), range(0, settings.service_cidr, true), vec![source(4)]].concat();
    let leaving = [vec![source(0)], range(0, settings.cluster_cidr, true), vec![destination(1)]].concat();
    let away = [range(1, settings.cluster_cidr, false), vec![destination(1)], range(1, MULTICAST, false)].concat();
    vec![
        ("sources", other_families()),
        ("sources", vec![source(0), destination(1), hairpin, Expr::Masquerade]),
        ("sources", [rewritten(), original(), vec![masqueraded.clone(), Expr::Masquerade]].concat()),
        ("sources", [rewritten(), original(), node_port, vec![masqueraded, Expr::Masquerade]].concat()),
        (
            "sources",
            [rewritten(), by_cluster_ip, range(4, settings.cluster_cidr, false), vec![Expr::Masquerade]].concat(),
        ),
        ("sources", [leaving, away, vec![Expr::Masquerade]].concat()),
    ]
}

/// Goes the way that the frontend has in `map`.
fn follow(map: MapId, ways: MapId) -> Vec<Expr> {
    const WAY: Register = 5;
    let number = Expr::Lookup { map: map.name(), key: 0, to: Some(WAY), missing: false };
    vec![number, Expr::Branch { map: ways.name(), key: WAY }]
}

/// Loads what the packet is sent to.
fn frontend() -> Vec<Expr> {
    vec![destination(0), protocol(1), port(2)]
}

/// The same for an address of this host. Loopback addresses are served by listeners of their own: a packet
/// from there could not be answered from elsewhere.
fn node_port() -> Vec<Expr> {
    const LOCAL: u32 = 2;
    let local =
        vec![Expr::AddressType { of: Side::Destination, to: 0 }, is(0, Data::new().number(LOCAL)), destination(0)];
    let node = vec![Expr::Immediate { value: Data::new().ip(Ipv4Addr::UNSPECIFIED), to: 0 }, protocol(1), port(2)];
    [local, range(0, LOOPBACK, false), node].concat()
}

fn other_families() -> Vec<Expr> {
    vec![family(0), isnt(0, Data::new().byte(IPV4).cut(1)), Expr::Verdict(Verdict::Accept)]
}

const IPV4: u8 = 2;

fn ipv4(to: Register) -> Vec<Expr> {
    vec![family(to), is(to, Data::new().byte(IPV4).cut(1))]
}

fn family(to: Register) -> Expr {
    Expr::Meta { key: Meta::Family, to }
}

fn protocol(to: Register) -> Expr {
    Expr::Meta { key: Meta::Protocol, to }
}

fn is(register: Register, value: Data) -> Expr {
    Expr::Compare { register, equal: true, value }
}

fn isnt(register: Register, value: Data) -> Expr {
    Expr::Compare { register, equal: false, value }
}

fn bits(register: Register, bits: u32) -> Expr {
    Expr::Mask { register, mask: Data::new().number(bits) }
}

/// Whether the address in `register` is `within` the range or not. The register keeps only the network part.
fn range(register: Register, range: Ipv4Net, within: bool) -> Vec<Expr> {
    let mask = Expr::Mask { register, mask: Data::new().ip(range.netmask()) };
    let network = Expr::Compare { register, equal: within, value: Data::new().ip(range.network()) };
    vec![mask, network]
}
