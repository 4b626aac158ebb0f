//! Which names are ours: the cluster's domain, the reverse names of its addresses, and `localhost`.

use std::net::IpAddr;

use hickory_proto::rr::{Name, RData, Record, rdata};
use ipnet::IpNet;

use crate::{Config, Error};

/// The zones we answer for.
#[derive(Clone, Debug)]
pub(crate) struct Zones {
    pub(crate) domain: Name,
    /// The domain as it stands in a message.
    pub(crate) wire: Box<[u8]>,
    pub(crate) ttl: u32,
    networks: Vec<IpNet>,
}

/// Where a name lies. The labels are those left of the zone's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Cluster(Vec<&'a [u8]>),
    Localhost(Vec<&'a [u8]>),
    /// The reverse name of one of our addresses.
    Reverse(IpAddr),
    /// In our reverse zone, above an address.
    ReverseAbove,
    /// In our reverse zone, but no reverse name.
    ReverseBelow,
    Elsewhere,
}

impl Zones {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let fail = |reason: String| Error::Domain { domain: config.domain.clone(), reason };
        let mut domain = Name::from_ascii(&config.domain).map_err(|error| fail(error.to_string()))?.to_lowercase();
        domain.set_fqdn(true);
        if domain.is_root() {
            return Err(fail("it is empty".to_owned()));
        }
        let networks = config.service_cidr.iter().chain(&config.cluster_cidr).copied().collect();
        let labels = domain.iter().flat_map(|label| std::iter::once(label.len() as u8).chain(label.iter().copied()));
        let wire = labels.chain([0]).collect();
        Ok(Self { domain, wire, ttl: config.ttl, networks })
    }

    /// Finds the zone of a lower-case name.
    pub(crate) fn place<'a>(&self, name: &'a Name) -> Place<'a> {
        if self.domain.zone_of_case(name) {
            return Place::Cluster(left_of(name, self.domain.iter().len()));
        }
        match name.iter().next_back() {
            Some(b"localhost") => Place::Localhost(left_of(name, 1)),
            Some(b"arpa") => self.reverse(name),
            _ => Place::Elsewhere,
        }
    }

    /// Whether the name is ours to answer.
    pub(crate) fn holds(&self, name: &Name) -> bool {
        self.place(name) != Place::Elsewhere
    }

    fn reverse<'a>(&self, name: &Name) -> Place<'a> {
        let mut net = name.parse_arpa_name().ok();
        let below = net.is_none();
        let mut parent = name.clone();
        // A name below an address (`_dns-sd._udp.1.0.96.10.in-addr.arpa`) is in that address's zone.
        while net.is_none() && !parent.is_root() {
            parent = parent.base_name();
            net = parent.parse_arpa_name().ok();
        }
        let Some(net) = net.filter(|net| self.networks.iter().any(|ours| ours.contains(net))) else {
            return Place::Elsewhere;
        };
        if below {
            Place::ReverseBelow
        } else if net.prefix_len() == net.max_prefix_len() {
            Place::Reverse(net.addr())
        } else {
            Place::ReverseAbove
        }
    }

    /// A name under the domain.
    pub(crate) fn under(&self, labels: &[&[u8]]) -> Option<Name> {
        Name::from_labels(labels.iter().copied()).ok()?.append_domain(&self.domain).ok()
    }

    pub(crate) fn record(&self, name: &Name, data: RData) -> Record {
        Record::from_rdata(name.clone(), self.ttl, data)
    }

    pub(crate) fn address(&self, name: &Name, address: IpAddr) -> Record {
        let data = match address {
            IpAddr::V4(address) => RData::A(rdata::A(address)),
            IpAddr::V6(address) => RData::AAAA(rdata::AAAA(address)),
        };
        self.record(name, data)
    }

    /// The SOA record of the zone that holds `name`.
    pub(crate) fn soa(&self, name: &Name, serial: u32) -> Record {
        let zone = match self.place(name) {
            Place::Localhost(_) => name.trim_to(1),
            Place::Reverse(_) | Place::ReverseAbove | Place::ReverseBelow => self.reverse_zone(name),
            Place::Cluster(_) | Place::Elsewhere => self.domain.clone(),
        };
        let server = self.under(&[b"ns", b"dns"]).unwrap_or_else(|| self.domain.clone());
        let mail = self.under(&[b"hostmaster"]).unwrap_or_else(|| self.domain.clone());
        let [serial, refresh, retry, expire, minimum] = self.soa_numbers(serial);
        let [refresh, retry, expire] = [refresh, retry, expire].map(u32::cast_signed);
        self.record(&zone, RData::SOA(rdata::SOA::new(server, mail, serial, refresh, retry, expire, minimum)))
    }

    /// The numbers of an SOA record, from the serial number to the time that negative answers are kept.
    pub(crate) fn soa_numbers(&self, serial: u32) -> [u32; 5] {
        [serial, 7200, 1800, 86_400, self.ttl.min(i32::MAX.cast_unsigned())]
    }

    /// The name of our network that holds the address, cut to whole labels.
    fn reverse_zone(&self, name: &Name) -> Name {
        let mut zone = name.clone();
        while !zone.is_root() {
            let parent = zone.base_name();
            let inside = parent.parse_arpa_name().is_ok_and(|net| self.networks.iter().any(|ours| ours.contains(&net)));
            if !inside {
                break;
            }
            zone = parent;
        }
        zone
    }
}

fn left_of(name: &Name, labels: usize) -> Vec<&[u8]> {
    let all = name.iter();
    let keep = all.len().saturating_sub(labels);
    all.take(keep).collect()
}
