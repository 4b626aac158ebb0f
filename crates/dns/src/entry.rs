//! What DNS knows about one Service: computed from it and its EndpointSlices, kept until either changes.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use hickory_proto::rr::Name;
use k8s_openapi::api::{
    core::v1::Service,
    discovery::v1::{EndpointPort, EndpointSlice},
};

/// A transport as it stands in SRV names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Udp,
    Sctp,
}

impl Transport {
    fn of(protocol: Option<&str>) -> Self {
        match protocol {
            Some("UDP") => Self::Udp,
            Some("SCTP") => Self::Sctp,
            _ => Self::Tcp,
        }
    }

    /// From a lower-case label with its underscore.
    pub(crate) fn from_label(label: &[u8]) -> Option<Self> {
        match label {
            b"_tcp" => Some(Self::Tcp),
            b"_udp" => Some(Self::Udp),
            b"_sctp" => Some(Self::Sctp),
            _ => None,
        }
    }
}

/// A port that has a name; others have no SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: Box<str>,
    pub(crate) transport: Transport,
    pub(crate) number: u16,
}

/// A ready endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Its host name, or its address with dashes.
    pub(crate) label: Box<str>,
    /// Whether `label` is a host name that somebody chose.
    pub(crate) named: bool,
    pub(crate) address: IpAddr,
    pub(crate) ports: Arc<[Port]>,
}

/// What the Service's own name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cluster { addresses: Box<[IpAddr]>, ports: Box<[Port]> },
    Headless,
    External(Name),
}

/// All that DNS knows about a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Box<str>,
    pub(crate) namespace: Box<str>,
    pub(crate) kind: Kind,
    /// Sorted by label.
    pub(crate) endpoints: Box<[Endpoint]>,
    /// Loopback addresses that a LoadBalancer answers on.
    pub(crate) loopback: Box<[IpAddr]>,
}

impl Entry {
    /// `None` where the Service has no name in DNS (yet): no address, or no usable external name.
    pub(crate) fn new<'a>(service: &Service, slices: impl Iterator<Item = &'a EndpointSlice>) -> Option<Self> {
        let kind = kind(service)?;
        let endpoints = if matches!(kind, Kind::External(_)) { Box::default() } else { endpoints(slices) };
        Some(Self {
            name: service.metadata.name.as_deref()?.into(),
            namespace: service.metadata.namespace.as_deref()?.into(),
            kind,
            endpoints,
            loopback: loopback(service),
        })
    }

    /// The endpoints of that label.
    pub(crate) fn endpoints_named<'a>(&'a self, label: &'a [u8]) -> impl Iterator<Item = &'a Endpoint> {
        let from = self.endpoints.partition_point(|endpoint| endpoint.label.as_bytes() < label);
        self.endpoints.iter().skip(from).take_while(move |endpoint| endpoint.label.as_bytes() == label)
    }

    /// Addresses whose reverse name is this Service's, or one of its endpoints'.
    pub(crate) fn pointers(&self) -> HashSet<(IpAddr, Pointer)> {
        let pointer = |label: Option<(Box<str>, bool)>| Pointer {
            label,
            name: self.name.clone(),
            namespace: self.namespace.clone(),
        };
        match &self.kind {
            Kind::External(_) => HashSet::new(),
            Kind::Cluster { addresses, .. } => addresses.iter().map(|address| (*address, pointer(None))).collect(),
            Kind::Headless => self
                .endpoints
                .iter()
                .map(|endpoint| (endpoint.address, pointer(Some((endpoint.label.clone(), endpoint.named)))))
                .collect(),
        }
    }
}

/// The target of a reverse name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pointer {
    /// The endpoint's label and whether somebody chose it; `None` for the Service itself.
    pub(crate) label: Option<(Box<str>, bool)>,
    pub(crate) name: Box<str>,
    pub(crate) namespace: Box<str>,
}

fn kind(service: &Service) -> Option<Kind> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        let mut target = Name::from_ascii(spec.external_name.as_deref()?).ok()?;
        target.set_fqdn(true);
        return Some(Kind::External(target));
    }
    if spec.cluster_ip.as_deref() == Some("None") {
        return Some(Kind::Headless);
    }
    let listed = spec.cluster_ips.iter().flatten().chain(spec.cluster_ip.iter());
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in listed.filter_map(|address| address.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let ports = spec.ports.iter().flatten().filter_map(|port| {
        let name = port.name.as_deref().filter(|name| !name.is_empty())?;
        named_port(name, port.protocol.as_deref(), port.port)
    });
    let kind = Kind::Cluster { ports: ports.collect(), addresses: addresses.into() };
    matches!(&kind, Kind::Cluster { addresses, .. } if !addresses.is_empty()).then_some(kind)
}

fn named_port(name: &str, protocol: Option<&str>, number: i32) -> Option<Port> {
    let number = u16::try_from(number).ok()?;
    Some(Port { name: name.to_ascii_lowercase().into(), transport: Transport::of(protocol), number })
}

fn endpoints<'a>(slices: impl Iterator<Item = &'a EndpointSlice>) -> Box<[Endpoint]> {
    let mut endpoints = Vec::new();
    for slice in slices.filter(|slice| slice.address_type != "FQDN") {
        let ports: Arc<[Port]> = slice.ports.iter().flatten().filter_map(slice_port).collect();
        for endpoint in slice.endpoints.iter().flatten() {
            let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
            if !ready {
                continue;
            }
            let hostname = endpoint.hostname.as_deref().filter(|name| !name.is_empty());
            for address in endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok()) {
                let label = hostname.map_or_else(|| dashed(address), str::to_ascii_lowercase).into();
                endpoints.push(Endpoint { label, named: hostname.is_some(), address, ports: Arc::clone(&ports) });
            }
        }
    }
    endpoints.sort_by(|a, b| (&a.label, a.address).cmp(&(&b.label, b.address)));
    endpoints.dedup_by(|a, b| a.label == b.label && a.address == b.address && a.ports == b.ports);
    endpoints.into()
}

fn slice_port(port: &EndpointPort) -> Option<Port> {
    let name = port.name.as_deref().filter(|name| !name.is_empty())?;
    named_port(name, port.protocol.as_deref(), port.port?)
}

/// An address as one label: `10-1-0-5`.
pub(crate) fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

/// The address that a dashed label means.
pub(crate) fn undashed(label: &[u8]) -> Option<IpAddr> {
    let label = std::str::from_utf8(label).ok()?;
    let v4 = || label.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    let v6 = || label.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    v4().or_else(v6)
}

fn loopback(service: &Service) -> Box<[IpAddr]> {
    let balanced = service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.and_then(|status| status.ingress.as_deref()).filter(|_| balanced).unwrap_or_default();
    let mut addresses = Vec::new();
    for point in ingress {
        if point.hostname.as_deref() == Some("localhost") {
            addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
        }
        addresses.extend(point.ip.as_deref().and_then(|ip| ip.parse().ok()).filter(IpAddr::is_loopback));
    }
    addresses.into()
}
