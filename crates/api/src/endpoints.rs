//! Which endpoints a service port may use, seen from one node.
//!
//! The data plane and the LoadBalancer's listeners must agree on this, so both ask here. Everything is
//! pure: objects in, lists out, in a stable order.
//!
//! # Rules
//! - An endpoint is used while it is ready. If none is ready, those that still serve while they terminate
//!   are used. This is decided separately for the cluster-wide list and for the node's own.
//! - Topology hints narrow the cluster-wide list only: by node if every ready endpoint has node hints and
//!   one of them is for this node, else by zone under the same condition.
//! - An endpoint that several slices mention counts once, in its best condition.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::{self as discovery, EndpointSlice},
};

/// The label that ties an [`EndpointSlice`] to its service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// How long session affinity lasts unless the service says otherwise, in seconds.
pub const DEFAULT_AFFINITY_SECONDS: u32 = 10_800;

/// A transport protocol of a service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, also what a missing protocol means.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The protocol by its API name; `None` for a name that the API does not have.
    #[must_use]
    pub fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// The IP protocol number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// From where the endpoints are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The node's `topology.kubernetes.io/zone`, if it has one.
    pub zone: Option<&'a str>,
}

/// One address and port that serves a service port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// The node it runs on, if known.
    pub node: Option<String>,
    /// Whether that is the node asked for.
    pub local: bool,
    /// Whether it is ready for new connections.
    pub ready: bool,
    /// Whether it answers at all (a terminating pod may still do).
    pub serving: bool,
    /// Whether it is about to go.
    pub terminating: bool,
}

/// What one port of a service can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortEndpoints {
    /// The port's name, empty if it has none.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// The service's port.
    pub port: u16,
    /// The port on every node, if there is one.
    pub node_port: Option<u16>,
    /// The application protocol that the service declares.
    pub app_protocol: Option<String>,
    /// Usable endpoints of the whole cluster, by address.
    pub cluster: Vec<Endpoint>,
    /// Usable endpoints of this node, by address.
    pub local: Vec<Endpoint>,
    /// Everything that still answers, ready or not: connections to these may live on.
    pub serving: Vec<SocketAddr>,
}

impl PortEndpoints {
    /// The usable endpoints under a traffic policy: the node's own, or the cluster's.
    #[must_use]
    pub fn under(&self, local_only: bool) -> &[Endpoint] {
        if local_only { &self.local } else { &self.cluster }
    }
}

/// Namespace and name of the service that a slice belongs to.
#[must_use]
pub fn service_of(slice: &EndpointSlice) -> Option<(&str, &str)> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL)?;
    Some((slice.metadata.namespace.as_deref()?, name))
}

/// Whether traffic from inside the cluster stays on its node (`internalTrafficPolicy: Local`).
#[must_use]
pub fn internal_is_local(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.internal_traffic_policy.as_deref()) == Some("Local")
}

/// Whether traffic from outside stays on the node it reaches (`externalTrafficPolicy: Local`).
#[must_use]
pub fn external_is_local(service: &Service) -> bool {
    let Some(spec) = &service.spec else { return false };
    let reachable = match spec.type_.as_deref() {
        Some("NodePort" | "LoadBalancer") => true,
        Some("ClusterIP") | None => spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty()),
        Some(_) => false,
    };
    reachable && spec.external_traffic_policy.as_deref() == Some("Local")
}

/// For how many seconds a client is kept on its endpoint (`sessionAffinity: ClientIP`).
#[must_use]
pub fn affinity_seconds(service: &Service) -> Option<u32> {
    let spec = service.spec.as_ref()?;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let configured = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref()?.timeout_seconds);
    Some(configured.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(DEFAULT_AFFINITY_SECONDS))
}

/// The usable endpoints of every port of `service`, out of all its `slices`, in the order of its ports.
#[must_use]
pub fn usable<S: Borrow<EndpointSlice>>(service: &Service, slices: &[S], place: Place<'_>) -> Vec<PortEndpoints> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    ports.iter().filter_map(|port| port_endpoints(port, slices, place)).collect()
}

fn port_endpoints<S: Borrow<EndpointSlice>>(
    port: &ServicePort,
    slices: &[S],
    place: Place<'_>,
) -> Option<PortEndpoints> {
    let protocol = Protocol::parse(port.protocol.as_deref())?;
    let name = port.name.clone().unwrap_or_default();
    let candidates = candidates(&name, protocol, slices, place);
    let own: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.endpoint.local).collect();
    let near = narrowed(&candidates, place);
    Some(PortEndpoints {
        name,
        protocol,
        port: u16::try_from(port.port).ok().filter(|port| *port > 0)?,
        node_port: port.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0),
        app_protocol: port.app_protocol.clone(),
        cluster: ready_first(&near),
        local: ready_first(&own),
        serving: candidates
            .iter()
            .filter(|c| c.endpoint.serving || c.endpoint.ready)
            .map(|c| c.endpoint.address)
            .collect(),
    })
}

struct Candidate {
    endpoint: Endpoint,
    nodes: BTreeSet<String>,
    zones: BTreeSet<String>,
}

/// Every endpoint behind that port, once each, by address.
fn candidates<S: Borrow<EndpointSlice>>(
    name: &str,
    protocol: Protocol,
    slices: &[S],
    place: Place<'_>,
) -> Vec<Candidate> {
    let mut found: BTreeMap<SocketAddr, Candidate> = BTreeMap::new();
    for slice in slices.iter().map(Borrow::borrow) {
        let Some(port) = slice_port(slice, name, protocol) else { continue };
        for endpoint in slice.endpoints.as_deref().unwrap_or_default() {
            let Some(candidate) = candidate(endpoint, port, place) else { continue };
            match found.entry(candidate.endpoint.address) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(candidate);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    if rank(&candidate.endpoint) > rank(&entry.get().endpoint) {
                        entry.insert(candidate);
                    }
                }
            }
        }
    }
    found.into_values().collect()
}

fn rank(endpoint: &Endpoint) -> (bool, bool) {
    (endpoint.ready, endpoint.serving)
}

fn slice_port(slice: &EndpointSlice, name: &str, protocol: Protocol) -> Option<u16> {
    if slice.address_type == "FQDN" {
        return None;
    }
    let port = slice.ports.as_deref()?.iter().find(|port| {
        port.name.as_deref().unwrap_or_default() == name && Protocol::parse(port.protocol.as_deref()) == Some(protocol)
    })?;
    u16::try_from(port.port?).ok().filter(|port| *port > 0)
}

fn candidate(endpoint: &discovery::Endpoint, port: u16, place: Place<'_>) -> Option<Candidate> {
    let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    let ready = conditions.ready.unwrap_or(true);
    let hints = endpoint.hints.clone().unwrap_or_default();
    Some(Candidate {
        endpoint: Endpoint {
            address: SocketAddr::new(ip, port),
            node: endpoint.node_name.clone(),
            local: endpoint.node_name.as_deref() == Some(place.node),
            ready,
            serving: conditions.serving.unwrap_or(ready),
            terminating: conditions.terminating.unwrap_or(false),
        },
        nodes: hints.for_nodes.unwrap_or_default().into_iter().map(|node| node.name).collect(),
        zones: hints.for_zones.unwrap_or_default().into_iter().map(|zone| zone.name).collect(),
    })
}

/// What the topology hints leave over.
fn narrowed<'a>(candidates: &'a [Candidate], place: Place<'_>) -> Vec<&'a Candidate> {
    let hinted = |hints: fn(&Candidate) -> &BTreeSet<String>, wanted: &str| {
        let mut ready = candidates.iter().filter(|candidate| candidate.endpoint.ready).map(hints).peekable();
        ready.peek().is_some()
            && ready.clone().all(|hints| !hints.is_empty())
            && ready.any(|hints| hints.contains(wanted))
    };
    if hinted(|candidate| &candidate.nodes, place.node) {
        return candidates.iter().filter(|candidate| candidate.nodes.contains(place.node)).collect();
    }
    if let Some(zone) = place.zone
        && hinted(|candidate| &candidate.zones, zone)
    {
        return candidates.iter().filter(|candidate| candidate.zones.contains(zone)).collect();
    }
    candidates.iter().collect()
}

fn ready_first(candidates: &[&Candidate]) -> Vec<Endpoint> {
    let pick = |wanted: fn(&Endpoint) -> bool| -> Vec<Endpoint> {
        candidates.iter().map(|candidate| &candidate.endpoint).filter(|e| wanted(e)).cloned().collect()
    };
    let ready = pick(|endpoint| endpoint.ready);
    if ready.is_empty() { pick(|endpoint| endpoint.serving && endpoint.terminating) } else { ready }
}

#[cfg(test)]
mod tests;
