//! From one service and its endpoints to the elements it needs. Pure: nothing is remembered and nothing done.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
};

use ipnet::Ipv4Net;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use skiff_api::endpoints::{self, Endpoint, Place, PortEndpoints, Protocol};
use skiff_linux::nft::Data;

use crate::{
    Settings,
    chain::{ChainId, LOCAL_BASE},
    rules::{Content, Entry, Frontend, MapId, Rules},
};

/// The label by which a service asks to be left to somebody else's proxy.
const OTHER_PROXY_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// The order of the endpoints of a port, by protocol, port and scope: kept from plan to plan, so that one
/// endpoint's end moves one other only.
pub type Orders = BTreeMap<(Protocol, u16, bool), Vec<SocketAddrV4>>;

/// Who may still answer the clients of a UDP frontend.
pub type Answering = BTreeMap<Frontend, BTreeSet<SocketAddrV4>>;

/// The plan of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Its elements.
    pub rules: Rules,
    /// Its endpoints that might connect to themselves. Services share these.
    pub hairpins: BTreeSet<Ipv4Addr>,
    /// The order its endpoints are in.
    pub orders: Orders,
    /// Its UDP frontends.
    pub answering: Answering,
}

/// How a frontend is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// By its cluster address.
    Cluster,
    /// By an address that is not the cluster's, or a NodePort.
    External,
    /// By a load balancer's address: source ranges apply.
    Balancer,
}

/// The frontends of a service. Several services may ask for the same; who gets it is not decided here.
#[must_use]
pub fn frontends(service: &Service) -> BTreeSet<Frontend> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let mut found = BTreeSet::new();
    for port in ports {
        let Some(protocol) = Protocol::parse(port.protocol.as_deref()) else { continue };
        let Ok(number) = u16::try_from(port.port) else { continue };
        let node_port = port.node_port.and_then(|port| u16::try_from(port).ok());
        found.extend(reached(service, protocol, number, node_port).into_iter().map(|(frontend, _)| frontend));
    }
    found
}

fn reached(service: &Service, protocol: Protocol, port: u16, node_port: Option<u16>) -> Vec<(Frontend, Reach)> {
    let Some(spec) = service.spec.as_ref().filter(|_| ours(service)) else { return Vec::new() };
    let at = |reach| move |ip: Ipv4Addr| (Frontend { ip, protocol, port }, reach);
    let cluster = cluster_ips(service);
    if cluster.is_empty() {
        return Vec::new();
    }
    let external = spec.external_ips.iter().flatten().filter_map(|ip| address(ip));
    let node = node_port
        .filter(|port| *port > 0)
        .map(|port| (Frontend { ip: Ipv4Addr::UNSPECIFIED, protocol, port }, Reach::External));
    let mut all: Vec<(Frontend, Reach)> = cluster.into_iter().map(at(Reach::Cluster)).collect();
    all.extend(balancer_ips(service).into_iter().map(at(Reach::Balancer)));
    all.extend(external.map(at(Reach::External)));
    all.extend(node);
    all
}

/// Whether the service is for us to program at all.
fn ours(service: &Service) -> bool {
    let named = service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("ExternalName"));
    let other = service.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(OTHER_PROXY_LABEL));
    !named && !other
}

fn cluster_ips(service: &Service) -> Vec<Ipv4Addr> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let several = spec.cluster_ips.iter().flatten();
    let one = spec.cluster_ip.iter().filter(|_| spec.cluster_ips.as_ref().is_none_or(Vec::is_empty));
    several.chain(one).filter_map(|ip| address(ip)).collect()
}

/// The load balancer's addresses that lead here: not those that a proxy answers itself.
fn balancer_ips(service: &Service) -> Vec<Ipv4Addr> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_deref());
    let direct = balancer.unwrap_or_default().iter().filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"));
    direct.filter_map(|ingress| address(ingress.ip.as_deref()?)).collect()
}

/// An IPv4 address that packets can be rewritten from. Loopback addresses cannot: listeners serve those.
fn address(text: &str) -> Option<Ipv4Addr> {
    text.parse().ok().filter(|ip: &Ipv4Addr| !ip.is_loopback() && !ip.is_unspecified())
}

/// The plan of `service`, given its slices, the orders of the plan before, and which frontends are its own.
#[must_use]
pub fn plan(
    service: &Service,
    slices: &[&EndpointSlice],
    before: &Orders,
    owns: impl Fn(&Frontend) -> bool,
    settings: &Settings,
) -> Plan {
    let place = Place { node: &settings.node, zone: settings.zone.as_deref() };
    let mut plan = Plan::default();
    for port in endpoints::usable(service, slices, place) {
        let mut draft = Draft::new(service, &port, before, settings);
        for (frontend, reach) in reached(service, port.protocol, port.port, port.node_port) {
            if owns(&frontend) {
                draft.frontend(frontend, reach, &mut plan);
            }
        }
        draft.finish(&mut plan);
    }
    plan
}

/// One port of a service, while its elements are collected.
struct Draft<'a> {
    port: &'a PortEndpoints,
    settings: &'a Settings,
    cluster: Vec<SocketAddrV4>,
    local: Vec<SocketAddrV4>,
    internal_local: bool,
    external_local: bool,
    sticky: Option<(u32, Ipv4Addr)>,
    ranges: Option<Vec<Ipv4Net>>,
    used: bool,
}

impl<'a> Draft<'a> {
    fn new(service: &Service, port: &'a PortEndpoints, before: &Orders, settings: &'a Settings) -> Self {
        let key = |local| (port.protocol, port.port, local);
        let arranged = |list: &[Endpoint], local| arrange(before.get(&key(local)), &ipv4(list));
        let service_ip = cluster_ips(service).first().copied();
        Self {
            cluster: arranged(&port.cluster, false),
            local: arranged(&port.local, true),
            internal_local: endpoints::internal_is_local(service),
            external_local: endpoints::external_is_local(service),
            sticky: endpoints::affinity_seconds(service).zip(service_ip),
            ranges: source_ranges(service),
            used: false,
            port,
            settings,
        }
    }

    fn list(&self, local: bool) -> &[SocketAddrV4] {
        if local { &self.local } else { &self.cluster }
    }

    fn frontend(&mut self, frontend: Frontend, reach: Reach, plan: &mut Plan) {
        self.used = true;
        match reach {
            Reach::Cluster => self.inside(frontend, plan),
            Reach::External | Reach::Balancer => self.outside(frontend, plan),
        }
        if reach == Reach::Balancer
            && let Some(ranges) = &self.ranges
        {
            guard(frontend, ranges, self.settings.node_ip, &mut plan.rules);
        }
        if frontend.protocol == Protocol::Udp {
            let answering = self.port.serving.iter().filter_map(|address| v4(*address)).collect();
            plan.answering.insert(frontend, answering);
        }
    }

    /// A cluster address: one list, by the internal policy.
    fn inside(&self, frontend: Frontend, plan: &mut Plan) {
        if !self.list(self.internal_local).is_empty() {
            self.serve(frontend, MapId::Services, self.internal_local, plan);
        } else if self.internal_local && !self.cluster.is_empty() {
            plan.rules.add(MapId::Refused, frontend.key(), Content::Drop);
        } else if !self.settings.service_cidr.contains(&frontend.ip) {
            plan.rules.add(MapId::Refused, frontend.key(), Content::Reject);
        }
    }

    /// Any other address: everybody gets the cluster's list, unless the external policy gives those from
    /// outside the node's own.
    fn outside(&self, frontend: Frontend, plan: &mut Plan) {
        if self.cluster.is_empty() && (!self.external_local || self.local.is_empty()) {
            plan.rules.add(MapId::Refused, frontend.key(), Content::Reject);
            return;
        }
        if !self.cluster.is_empty() {
            self.serve(frontend, MapId::Services, false, plan);
        }
        if !self.external_local {
            plan.rules.add(MapId::Masqueraded, frontend.key(), Content::Nothing);
        } else if self.local.is_empty() {
            plan.rules.add(MapId::Outside, frontend.key(), Content::Leave);
            plan.rules.add(MapId::Refused, frontend.key(), Content::Drop);
        } else {
            self.serve(frontend, MapId::Outside, true, plan);
        }
    }

    fn serve(&self, frontend: Frontend, map: MapId, local: bool, plan: &mut Plan) {
        let list = self.list(local);
        // Far more endpoints than a service can have.
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let sticky = self.sticky.map(|(seconds, _)| seconds);
        let chain = ChainId { count, local, node: frontend.is_node(), sticky };
        plan.rules.add(map, frontend.key(), Content::Pick(chain));
        let base = if local { LOCAL_BASE } else { 0 };
        for (index, endpoint) in (base..).zip(list) {
            let content = Content::Address(*endpoint.ip(), endpoint.port());
            plan.rules.add(MapId::Endpoints, frontend.key().number(index), content);
        }
        if let Some((_, service_ip)) = self.sticky {
            let own = Content::Address(service_ip, self.port.port);
            plan.rules.add(MapId::Sticky, frontend.key(), own);
            for endpoint in list {
                let member = frontend.key().number(local.into()).ip(*endpoint.ip()).port(endpoint.port());
                plan.rules.add(MapId::Members, member, Content::Nothing);
            }
        }
    }

    fn finish(self, plan: &mut Plan) {
        if !self.used {
            return;
        }
        // An endpoint without a node may be here as well.
        let here = self.port.cluster.iter().chain(&self.port.local).filter(|e| e.local || e.node.is_none());
        plan.hairpins.extend(here.filter_map(|e| v4(e.address)).map(|address| *address.ip()));
        for (local, list) in [(false, self.cluster), (true, self.local)] {
            plan.orders.insert((self.port.protocol, self.port.port, local), list);
        }
    }
}

/// The source ranges of a load balancer; `None` if everybody may come.
fn source_ranges(service: &Service) -> Option<Vec<Ipv4Net>> {
    let spec = service.spec.as_ref().filter(|spec| spec.type_.as_deref() == Some("LoadBalancer"))?;
    let ranges = spec.load_balancer_source_ranges.as_deref().filter(|ranges| !ranges.is_empty())?;
    Some(ranges.iter().filter_map(|range| range.trim().parse().ok()).collect())
}

fn guard(frontend: Frontend, ranges: &[Ipv4Net], node_ip: Option<Ipv4Addr>, rules: &mut Rules) {
    rules.add(MapId::Guarded, frontend.key(), Content::Nothing);
    let mut allowed = ranges.to_vec();
    // The node's own packets to the address may carry that very address as their source.
    if node_ip.is_some_and(|node| ranges.iter().any(|range| range.contains(&node))) {
        allowed.push(frontend.ip.into());
    }
    for range in Ipv4Net::aggregate(&allowed) {
        let entry = Entry {
            map: MapId::Allowed,
            key: frontend.key().ip(range.network()),
            end: Some(frontend.key().ip(range.broadcast())),
        };
        rules.elements.insert(entry, Content::Nothing);
    }
}

/// The endpoints in an order close to the one before: those that stay keep their place if they can, the
/// places of those that left are taken by new ones, then by the last.
#[must_use]
pub fn arrange(before: Option<&Vec<SocketAddrV4>>, now: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
    let wanted: BTreeSet<&SocketAddrV4> = now.iter().collect();
    let old = before.map(Vec::as_slice).unwrap_or_default();
    let kept: BTreeSet<&SocketAddrV4> = old.iter().filter(|endpoint| wanted.contains(endpoint)).collect();
    let mut fresh = now.iter().filter(|endpoint| !kept.contains(endpoint)).copied();
    let mut places: Vec<Option<SocketAddrV4>> = Vec::with_capacity(now.len());
    for endpoint in old {
        places.push(if wanted.contains(endpoint) { Some(*endpoint) } else { fresh.next() });
    }
    places.extend(fresh.map(Some));
    while places.len() > now.len() {
        if let Some(last) = places.pop().flatten()
            && let Some(hole) = places.iter_mut().find(|place| place.is_none())
        {
            *hole = Some(last);
        }
    }
    places.into_iter().flatten().collect()
}

fn ipv4(list: &[Endpoint]) -> Vec<SocketAddrV4> {
    list.iter().filter_map(|endpoint| v4(endpoint.address)).collect()
}

fn v4(address: SocketAddr) -> Option<SocketAddrV4> {
    match (address.ip(), address.port()) {
        (IpAddr::V4(ip), port) => Some(SocketAddrV4::new(ip, port)),
        (IpAddr::V6(_), _) => None,
    }
}

/// The key of a hairpin.
pub(crate) fn hairpin(ip: Ipv4Addr) -> Entry {
    Entry { map: MapId::Hairpin, key: Data::new().ip(ip).ip(ip), end: None }
}
