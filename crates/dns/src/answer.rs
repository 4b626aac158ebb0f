//! From a question and the index to an answer. Pure: no clock, no I/O.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicUsize, Ordering},
};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType, rdata},
};

use crate::{
    entry::{Endpoint, Entry, Kind, Pointer, Port, Transport, undashed},
    index::Index,
    zones::{Place, Zones},
};

/// CNAMEs that are followed within our own zones.
const CHAIN: usize = 8;
/// The version of the specification that these answers follow.
const SPECIFICATION: &str = "1.1.0";

/// One question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// As it was asked; answers repeat its case.
    pub(crate) name: &'a Name,
    /// The same in lower case.
    pub(crate) lower: &'a Name,
    pub(crate) kind: RecordType,
    pub(crate) source: Option<IpAddr>,
}

/// What is sent back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: ResponseCode,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) extra: Vec<Record>,
}

/// What the index says, and whether somebody else has to be asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// It is answered.
    Here(Answer),
    /// The name is an alias that leads out of our zones.
    Follow { chain: Vec<Record>, target: Name },
    /// The name does not exist, but the client's search path goes on: with the upstream's search domains
    /// and then the bare name. `missing` is the answer when those do not exist either.
    Search { base: Name, missing: Answer },
    /// Not our name.
    Elsewhere,
}

/// What a name in our zones holds.
enum Holding {
    Missing,
    Records { answers: Vec<Record>, extra: Vec<Record> },
    Alias(Name),
}

impl Holding {
    const EMPTY: Self = Self::Records { answers: Vec::new(), extra: Vec::new() };

    fn of(answers: Vec<Record>) -> Self {
        Self::Records { answers, extra: Vec::new() }
    }
}

/// An index with the zones it is asked for.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) index: &'a Index,
    pub(crate) zones: &'a Zones,
    /// Where the next answer with several addresses starts.
    pub(crate) turn: &'a AtomicUsize,
}

impl View<'_> {
    pub(crate) fn find(&self, question: Question<'_>) -> Found {
        let place = self.zones.place(question.lower);
        if place == Place::Elsewhere {
            return Found::Elsewhere;
        }
        let holding = self.hold(&place, question.name, question.kind);
        if let (Holding::Missing, Place::Cluster(labels)) = (&holding, &place)
            && let Some(found) = self.search(labels, question)
        {
            return found;
        }
        self.finish(Vec::new(), question.name, question.kind, holding)
    }

    /// Follows aliases through our zones, from `holding`, which is what `owner` holds.
    fn finish(&self, mut chain: Vec<Record>, owner: &Name, kind: RecordType, holding: Holding) -> Found {
        let (mut owner, mut holding) = (owner.clone(), holding);
        for _ in 0..CHAIN {
            let target = match holding {
                Holding::Missing => return self.negative(chain, &owner, ResponseCode::NXDomain),
                Holding::Records { answers, .. } if answers.is_empty() => {
                    return self.negative(chain, &owner, ResponseCode::NoError);
                }
                Holding::Records { answers, extra } => {
                    chain.extend(answers);
                    return Found::Here(Answer { answers: chain, extra, ..Answer::default() });
                }
                Holding::Alias(target) => target,
            };
            chain.push(self.zones.record(&owner, RData::CNAME(rdata::CNAME(target.clone()))));
            if kind == RecordType::CNAME || kind == RecordType::ANY {
                return Found::Here(Answer { answers: chain, ..Answer::default() });
            }
            let lower = target.to_lowercase();
            let place = self.zones.place(&lower);
            if place == Place::Elsewhere {
                return Found::Follow { chain, target };
            }
            holding = self.hold(&place, &target, kind);
            owner = target;
        }
        Found::Here(Answer { code: ResponseCode::ServFail, ..Answer::default() })
    }

    fn negative(&self, answers: Vec<Record>, name: &Name, code: ResponseCode) -> Found {
        let authorities = vec![self.zones.soa(&name.to_lowercase(), self.index.serial)];
        Found::Here(Answer { code, answers, authorities, extra: Vec::new() })
    }

    /// Walks the search path of the pod that asks, which put its first domain behind the name.
    fn search(&self, labels: &[&[u8]], question: Question<'_>) -> Option<Found> {
        let pod = self.index.pod(question.source?).filter(|pod| pod.searches)?;
        let base = labels.strip_suffix(&[pod.namespace.as_bytes(), b"svc"])?;
        if base.is_empty() {
            return None;
        }
        let mut bare = Name::from_labels(base.iter().copied()).ok()?;
        bare.set_fqdn(true);
        let mut with_svc = base.to_vec();
        with_svc.push(b"svc");
        let candidates = [self.zones.under(&with_svc), self.zones.under(base), Some(bare.clone())];
        for candidate in candidates.into_iter().flatten() {
            let place = self.zones.place(&candidate);
            if place == Place::Elsewhere {
                continue;
            }
            let holding = self.hold(&place, &candidate, question.kind);
            if !matches!(holding, Holding::Missing) {
                let alias = Holding::Alias(candidate);
                return Some(self.finish(Vec::new(), question.name, question.kind, alias));
            }
        }
        let Found::Here(missing) = self.negative(Vec::new(), question.lower, ResponseCode::NXDomain) else {
            return None;
        };
        Some(if self.zones.holds(&bare) { Found::Here(missing) } else { Found::Search { base: bare, missing } })
    }

    fn hold(&self, place: &Place<'_>, owner: &Name, kind: RecordType) -> Holding {
        match place {
            Place::Cluster(labels) => self.cluster(labels, owner, kind),
            Place::Localhost(labels) => self.localhost(labels, owner, kind),
            Place::Reverse(address) => self.pointers(*address, owner, kind),
            Place::ReverseAbove => Holding::EMPTY,
            Place::ReverseBelow | Place::Elsewhere => Holding::Missing,
        }
    }

    fn cluster(&self, labels: &[&[u8]], owner: &Name, kind: RecordType) -> Holding {
        match labels {
            [] => self.apex(owner, kind),
            [b"dns-version"] => self.version(owner, kind),
            [b"svc" | b"pod" | b"dns"] => Holding::EMPTY,
            [b"ns", b"dns"] => match self.index.service(b"kube-dns", b"kube-system").map(|entry| &entry.kind) {
                Some(Kind::Cluster { addresses, .. }) => self.addresses(owner, kind, addresses.iter().copied()),
                _ => Holding::EMPTY,
            },
            [namespace, b"svc" | b"pod"] if self.index.has_namespace(namespace) => Holding::EMPTY,
            [address, namespace, b"pod"] => self.pod(address, namespace, owner, kind),
            [rest @ .., service, namespace, b"svc"] => match self.index.service(service, namespace) {
                Some(entry) => self.service(entry, rest, owner, kind),
                None => Holding::Missing,
            },
            _ => Holding::Missing,
        }
    }

    fn apex(&self, owner: &Name, kind: RecordType) -> Holding {
        match kind {
            RecordType::SOA => Holding::of(vec![self.zones.soa(&self.zones.domain, self.index.serial)]),
            RecordType::NS => match self.zones.under(&[b"ns", b"dns"]) {
                Some(server) => Holding::of(vec![self.zones.record(owner, RData::NS(rdata::NS(server)))]),
                None => Holding::EMPTY,
            },
            _ => Holding::EMPTY,
        }
    }

    fn version(&self, owner: &Name, kind: RecordType) -> Holding {
        if matches!(kind, RecordType::TXT | RecordType::ANY) {
            let text = rdata::TXT::new(vec![SPECIFICATION.to_owned()]);
            return Holding::of(vec![self.zones.record(owner, RData::TXT(text))]);
        }
        Holding::EMPTY
    }

    fn pod(&self, label: &[u8], namespace: &[u8], owner: &Name, kind: RecordType) -> Holding {
        let address = undashed(label)
            .filter(|address| self.index.pod(*address).is_some_and(|pod| pod.namespace.as_bytes() == namespace));
        address.map_or(Holding::Missing, |address| self.addresses(owner, kind, [address]))
    }

    /// `rest` are the labels left of the Service's name.
    fn service(&self, entry: &Entry, rest: &[&[u8]], owner: &Name, kind: RecordType) -> Holding {
        match (&entry.kind, rest) {
            (Kind::External(target), []) => Holding::Alias(target.clone()),
            (Kind::External(_), _) => Holding::Missing,
            (Kind::Headless, _) if entry.endpoints.is_empty() => Holding::Missing,
            (_, []) if kind == RecordType::SRV => self.services(entry, owner, |_| true, Holding::EMPTY),
            (Kind::Cluster { addresses, .. }, []) => self.addresses(owner, kind, addresses.iter().copied()),
            (Kind::Headless, []) => self.addresses(owner, kind, entry.endpoints.iter().map(|found| found.address)),
            (_, [port, protocol]) => self.port(entry, port, protocol, owner, kind),
            (_, [label]) => self.label(entry, label, owner, kind),
            _ => Holding::Missing,
        }
    }

    /// `_port._protocol` of a Service.
    fn port(&self, entry: &Entry, port: &[u8], protocol: &[u8], owner: &Name, kind: RecordType) -> Holding {
        let (Some(transport), [b'_', name @ ..]) = (Transport::from_label(protocol), port) else {
            return Holding::Missing;
        };
        let wanted = |port: &Port| port.transport == transport && port.name.as_bytes() == name;
        match self.services(entry, owner, wanted, Holding::Missing) {
            Holding::Records { .. } if kind != RecordType::SRV && kind != RecordType::ANY => Holding::EMPTY,
            holding => holding,
        }
    }

    /// One label left of a Service: an endpoint, or the empty parent of its SRV names.
    fn label(&self, entry: &Entry, label: &[u8], owner: &Name, kind: RecordType) -> Holding {
        if let Some(transport) = Transport::from_label(label) {
            let any = ports(entry).any(|port| port.transport == transport);
            return if any { Holding::EMPTY } else { Holding::Missing };
        }
        let mut found = entry.endpoints_named(label).map(|endpoint| endpoint.address).peekable();
        if found.peek().is_none() {
            return Holding::Missing;
        }
        self.addresses(owner, kind, found)
    }

    /// SRV records of the ports that are wanted, with the addresses of their targets beside them.
    fn services(&self, entry: &Entry, owner: &Name, wanted: impl Fn(&Port) -> bool, none: Holding) -> Holding {
        let own: [&[u8]; 3] = [entry.name.as_bytes(), entry.namespace.as_bytes(), b"svc"];
        let mut targets: Vec<(u16, Name, Vec<IpAddr>)> = Vec::new();
        if let Kind::Cluster { addresses, ports } = &entry.kind {
            let Some(target) = self.zones.under(&own) else { return none };
            let ports = ports.iter().filter(|port| wanted(port));
            targets.extend(ports.map(|port| (port.number, target.clone(), addresses.to_vec())));
        } else {
            for endpoint in &entry.endpoints {
                let [name, namespace, svc] = own;
                let Some(target) = self.zones.under(&[endpoint.label.as_bytes(), name, namespace, svc]) else {
                    continue;
                };
                for port in endpoint.ports.iter().filter(|port| wanted(port)) {
                    targets.push((port.number, target.clone(), vec![endpoint.address]));
                }
            }
        }
        if targets.is_empty() {
            return none;
        }
        self.rotate(&mut targets);
        self.srv_records(owner, targets)
    }

    fn srv_records(&self, owner: &Name, targets: Vec<(u16, Name, Vec<IpAddr>)>) -> Holding {
        let weight = u16::try_from((100 / targets.len()).max(1)).unwrap_or(1);
        let (mut answers, mut extra) = (Vec::new(), Vec::<Record>::new());
        for (number, target, addresses) in targets {
            for record in addresses.into_iter().map(|address| self.zones.address(&target, address)) {
                if !extra.contains(&record) {
                    extra.push(record);
                }
            }
            let record = self.zones.record(owner, RData::SRV(rdata::SRV::new(0, weight, number, target)));
            if !answers.contains(&record) {
                answers.push(record);
            }
        }
        Holding::Records { answers, extra }
    }

    fn localhost(&self, labels: &[&[u8]], owner: &Name, kind: RecordType) -> Holding {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        match labels {
            [] => self.addresses(owner, kind, both),
            [service, namespace] => match self.index.service(service, namespace) {
                Some(entry) if !entry.loopback.is_empty() => {
                    self.addresses(owner, kind, entry.loopback.iter().copied())
                }
                _ => Holding::Missing,
            },
            _ => Holding::Missing,
        }
    }

    fn pointers(&self, address: IpAddr, owner: &Name, kind: RecordType) -> Holding {
        let pointers = self.index.pointers(address);
        if pointers.is_empty() {
            return Holding::Missing;
        }
        if !matches!(kind, RecordType::PTR | RecordType::ANY) {
            return Holding::EMPTY;
        }
        let names = pointers.into_iter().filter_map(|pointer| self.pointer_name(pointer));
        Holding::of(names.map(|name| self.zones.record(owner, RData::PTR(rdata::PTR(name)))).collect())
    }

    fn pointer_name(&self, pointer: &Pointer) -> Option<Name> {
        let own: [&[u8]; 3] = [pointer.name.as_bytes(), pointer.namespace.as_bytes(), b"svc"];
        match &pointer.label {
            Some((label, _)) => self.zones.under(&[label.as_bytes(), own[0], own[1], own[2]]),
            None => self.zones.under(&own),
        }
    }

    /// The addresses of the family that is asked for, each once, starting at another one each time.
    fn addresses(&self, owner: &Name, kind: RecordType, addresses: impl IntoIterator<Item = IpAddr>) -> Holding {
        let wanted = |address: &IpAddr| match kind {
            RecordType::A => address.is_ipv4(),
            RecordType::AAAA => address.is_ipv6(),
            RecordType::ANY => true,
            _ => false,
        };
        let mut found: Vec<IpAddr> = addresses.into_iter().filter(wanted).collect();
        if found.len() > 1 {
            found.sort_unstable();
            found.dedup();
            self.rotate(&mut found);
        }
        Holding::of(found.into_iter().map(|address| self.zones.address(owner, address)).collect())
    }

    /// Starts a list of several at another place each time.
    pub(crate) fn rotate<T>(&self, list: &mut [T]) {
        if list.len() > 1 {
            let start = self.turn.fetch_add(1, Ordering::Relaxed) % list.len();
            list.rotate_left(start);
        }
    }
}

fn ports(entry: &Entry) -> impl Iterator<Item = &Port> {
    let own: &[Port] = if let Kind::Cluster { ports, .. } = &entry.kind { ports } else { &[] };
    let headless = matches!(entry.kind, Kind::Headless);
    let endpoints: &[Endpoint] = if headless { &entry.endpoints } else { &[] };
    own.iter().chain(endpoints.iter().flat_map(|endpoint| endpoint.ports.iter()))
}
