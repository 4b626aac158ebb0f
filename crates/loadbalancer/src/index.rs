//! What the Services and their EndpointSlices want from us. No I/O, no clock.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use k8s_openapi::{
    api::{core::v1::Service, discovery::v1::EndpointSlice},
    apimachinery::pkg::apis::meta::v1::Time,
};
use skiff_api::endpoints::{self, PortEndpoints, Protocol};

use crate::route::Route;

/// Asks that the backend be told of the client's address: `v2` is the binary form.
pub const PROXY_PROTOCOL: &str = "skiff.dev/proxy-protocol";
/// The load-balancer class that is ours; services without a class are ours too.
pub const CLASS: &str = "skiff.dev/localhost";

/// Namespace and name of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl ServiceKey {
    /// The key of a Service; `None` if it lacks a name.
    pub(crate) fn of(service: &Service) -> Option<Self> {
        Some(Self { namespace: service.metadata.namespace.clone()?, name: service.metadata.name.clone()? })
    }

    fn owner(slice: &EndpointSlice) -> Option<Self> {
        let (namespace, name) = endpoints::service_of(slice)?;
        Some(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// A port of a Service. Protocol and number are unique within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Port {
    pub(crate) protocol: Protocol,
    pub(crate) number: u16,
}

/// Where a Service is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the addresses that all services share.
    Shared,
    /// On an address of its own.
    Own(Ipv4Addr),
}

/// What one Service wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Older services are served first.
    pub(crate) created: Option<Time>,
    /// The ports to publish; empty if it is not ours to publish.
    pub(crate) balanced: Vec<Port>,
    /// Its node ports, with the service port behind each.
    pub(crate) node_ports: Vec<(Port, u16)>,
    /// Where its status says that it was published before.
    pub(crate) published: Option<Place>,
}

/// All Services and EndpointSlices.
#[derive(Debug, Default)]
pub(crate) struct Index {
    services: BTreeMap<ServiceKey, Arc<Service>>,
    slices: BTreeMap<ServiceKey, BTreeMap<String, Arc<EndpointSlice>>>,
}

impl Index {
    pub(crate) fn apply_service(&mut self, service: Arc<Service>) -> Option<ServiceKey> {
        let key = ServiceKey::of(&service)?;
        self.services.insert(key.clone(), service);
        Some(key)
    }

    pub(crate) fn remove_service(&mut self, service: &Service) -> Option<ServiceKey> {
        let key = ServiceKey::of(service)?;
        self.services.remove(&key);
        Some(key)
    }

    pub(crate) fn apply_slice(&mut self, slice: Arc<EndpointSlice>) -> Option<ServiceKey> {
        let key = ServiceKey::owner(&slice)?;
        let name = slice.metadata.name.clone()?;
        self.slices.entry(key.clone()).or_default().insert(name, slice);
        Some(key)
    }

    pub(crate) fn remove_slice(&mut self, slice: &EndpointSlice) -> Option<ServiceKey> {
        let key = ServiceKey::owner(slice)?;
        if let Some(slices) = self.slices.get_mut(&key) {
            slices.remove(slice.metadata.name.as_deref()?);
            if slices.is_empty() {
                self.slices.remove(&key);
            }
        }
        Some(key)
    }

    pub(crate) fn service(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// What a Service wants; `None` if it needs no listener. `publish` says whether we publish at all.
    pub(crate) fn wanted(&self, key: &ServiceKey, publish: bool) -> Option<Wanted> {
        let service = self.services.get(key)?;
        let balanced = if publish && is_ours(service) { ports(service) } else { Vec::new() };
        let node_ports = node_ports(service);
        if balanced.is_empty() && node_ports.is_empty() {
            return None;
        }
        let created = service.metadata.creation_timestamp.clone();
        Some(Wanted { created, balanced, node_ports, published: published(service) })
    }

    /// Where connections to each port of a Service go.
    pub(crate) fn routes(&self, key: &ServiceKey, place: endpoints::Place<'_>) -> Vec<(Port, Route)> {
        let Some(service) = self.services.get(key) else { return Vec::new() };
        let slices: Vec<&EndpointSlice> =
            self.slices.get(key).into_iter().flat_map(BTreeMap::values).map(|s| &**s).collect();
        let local = endpoints::external_is_local(service);
        let annotation = service.metadata.annotations.as_ref().and_then(|map| map.get(PROXY_PROTOCOL));
        let sources = source_ranges(service);
        let route = |port: &PortEndpoints| Route {
            endpoints: port.under(local).iter().map(|endpoint| endpoint.address).collect(),
            affinity: endpoints::affinity_seconds(service).map(|seconds| Duration::from_secs(seconds.into())),
            proxy_protocol: annotation.is_some_and(|version| version == "v2"),
            sources: sources.clone(),
        };
        let usable = endpoints::usable(service, &slices, place);
        usable.iter().map(|port| (Port { protocol: port.protocol, number: port.port }, route(port))).collect()
    }
}

/// Whether a Service is a LoadBalancer that we publish.
pub(crate) fn is_ours(service: &Service) -> bool {
    let Some(spec) = &service.spec else { return false };
    let class = spec.load_balancer_class.as_deref();
    let going = service.metadata.deletion_timestamp.is_some();
    spec.type_.as_deref() == Some("LoadBalancer") && class.is_none_or(|class| class == CLASS) && !going
}

fn ports(service: &Service) -> Vec<Port> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = u16::try_from(port.port).ok().filter(|port| *port > 0)?;
            Some(Port { protocol: Protocol::parse(port.protocol.as_deref())?, number })
        })
        .collect()
}

fn node_ports(service: &Service) -> Vec<(Port, u16)> {
    let Some(spec) = &service.spec else { return Vec::new() };
    if !matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer")) {
        return Vec::new();
    }
    let with_node_port = spec.ports.iter().flatten().filter_map(|port| {
        let protocol = Protocol::parse(port.protocol.as_deref()).filter(|protocol| *protocol != Protocol::Sctp)?;
        let number = u16::try_from(port.node_port?).ok().filter(|port| *port > 0)?;
        Some((Port { protocol, number }, u16::try_from(port.port).ok()?))
    });
    with_node_port.collect()
}

fn source_ranges(service: &Service) -> Vec<IpNet> {
    let ranges = service.spec.iter().flat_map(|spec| spec.load_balancer_source_ranges.iter().flatten());
    ranges.filter_map(|range| range.trim().parse().ok()).collect()
}

fn published(service: &Service) -> Option<Place> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_deref()?;
    let own = ingress.iter().find_map(|point| match point.ip.as_deref()?.parse() {
        Ok(IpAddr::V4(address)) if address.is_loopback() && address != Ipv4Addr::LOCALHOST => Some(Place::Own(address)),
        _ => None,
    });
    let addressed = ingress.iter().any(|point| point.ip.is_some() || point.hostname.is_some());
    own.or_else(|| addressed.then_some(Place::Shared))
}
