//! Who listens where: a pure function of what services want and of what others hold.
//!
//! Node ports come first, since their numbers are not ours to choose. Then services keep the place they
//! have, older ones first; then the rest find one: the shared addresses, else the next free loopback address.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use skiff_api::endpoints::Protocol;

use crate::{
    holder::Holder,
    index::{Place, Port, ServiceKey, Wanted},
};

/// Loopback addresses that are tried for a service that finds its port taken on the shared ones.
const OWN_ADDRESSES: u32 = 4096;

/// What a listener is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Socket {
    pub(crate) protocol: Protocol,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

impl Socket {
    pub(crate) fn address(self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// What a listener is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) service: ServiceKey,
    /// The service's port, not the listener's.
    pub(crate) port: Port,
    pub(crate) node_port: bool,
}

/// Sockets that somebody else holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(BTreeMap<Socket, Refusal>);

/// Why a socket cannot be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another process has it.
    Held(Option<Holder>),
    /// Another service has it.
    Service(ServiceKey),
    /// The kernel refuses it for another reason.
    Refused(String),
    /// Listeners speak TCP and UDP only.
    Protocol,
}

impl Taken {
    /// Notes a refused socket; `everywhere` if no other address of its family would do.
    pub(crate) fn note(&mut self, socket: Socket, everywhere: bool, refusal: Refusal) {
        self.0.insert(if everywhere { everywhere_of(socket) } else { socket }, refusal);
    }

    fn of(&self, socket: Socket) -> Option<&Refusal> {
        self.0.get(&socket).or_else(|| self.0.get(&everywhere_of(socket)))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn everywhere_of(socket: Socket) -> Socket {
    let any = if socket.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    Socket { address: any, ..socket }
}

/// A port that a service does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The listener's port.
    pub(crate) port: Port,
    pub(crate) node_port: bool,
    pub(crate) refusal: Refusal,
}

/// What there is to plan with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) wanted: &'a BTreeMap<ServiceKey, Wanted>,
    /// Where services are now.
    pub(crate) places: &'a BTreeMap<ServiceKey, Place>,
    /// The addresses that services share.
    pub(crate) shared: &'a [IpAddr],
    /// The addresses that node ports answer on.
    pub(crate) node: &'a [IpAddr],
    /// Whether services may get loopback addresses of their own.
    pub(crate) own: bool,
    pub(crate) taken: &'a Taken,
}

/// Who listens where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) listeners: BTreeMap<Socket, Use>,
    pub(crate) places: BTreeMap<ServiceKey, Place>,
    pub(crate) problems: BTreeMap<ServiceKey, Vec<Problem>>,
}

/// Makes the plan.
pub(crate) fn plan(request: Request<'_>) -> Plan {
    let mut plan = Plan::default();
    for (key, wanted) in request.wanted {
        plan.node_ports(request, key, wanted);
    }
    let mut services: Vec<_> = request.wanted.iter().filter(|(_, wanted)| !wanted.balanced.is_empty()).collect();
    services.sort_by(|(a, one), (b, other)| (&one.created, a).cmp(&(&other.created, b)));
    let placed = |key: &ServiceKey, wanted: &Wanted| request.places.get(key).copied().or(wanted.published);
    let mut own = BTreeSet::new();
    let mut rest = Vec::new();
    for (key, wanted) in services {
        match placed(key, wanted) {
            Some(place) if allowed(request, place, &own) && plan.claim(request, key, wanted, place).is_ok() => {
                own.extend(own_address(place));
            }
            _ => rest.push((key, wanted)),
        }
    }
    for (key, wanted) in rest {
        if let Some(place) = plan.find(request, key, wanted, &own) {
            own.extend(own_address(place));
        }
    }
    plan
}

fn own_address(place: Place) -> Option<Ipv4Addr> {
    match place {
        Place::Shared => None,
        Place::Own(address) => Some(address),
    }
}

fn allowed(request: Request<'_>, place: Place, own: &BTreeSet<Ipv4Addr>) -> bool {
    own_address(place).is_none_or(|address| request.own && !own.contains(&address))
}

impl Plan {
    fn node_ports(&mut self, request: Request<'_>, key: &ServiceKey, wanted: &Wanted) {
        for (port, service_port) in &wanted.node_ports {
            for &address in request.node {
                let socket = Socket { protocol: port.protocol, address, port: port.number };
                if let Some(refusal) = self.refusal(request, key, socket) {
                    self.problem(key, *port, true, refusal);
                    continue;
                }
                let port = Port { number: *service_port, ..*port };
                self.listeners.insert(socket, Use { service: key.clone(), port, node_port: true });
            }
        }
    }

    fn find(
        &mut self,
        request: Request<'_>,
        key: &ServiceKey,
        wanted: &Wanted,
        own: &BTreeSet<Ipv4Addr>,
    ) -> Option<Place> {
        let mut refused = match self.claim(request, key, wanted, Place::Shared) {
            Ok(()) => return Some(Place::Shared),
            Err(refused) => refused,
        };
        let first = u32::from(Ipv4Addr::LOCALHOST) + 1;
        for address in (first..first + OWN_ADDRESSES).map(Ipv4Addr::from).filter(|_| request.own) {
            if own.contains(&address) || request.shared.contains(&IpAddr::V4(address)) {
                continue;
            }
            match self.claim(request, key, wanted, Place::Own(address)) {
                Ok(()) => return Some(Place::Own(address)),
                Err(here) => {
                    let hopeless = wanted.balanced.iter().any(|port| {
                        let socket = Socket { protocol: port.protocol, address: address.into(), port: port.number };
                        port.protocol == Protocol::Sctp || request.taken.0.contains_key(&everywhere_of(socket))
                    });
                    refused = here;
                    if hopeless {
                        break;
                    }
                }
            }
        }
        for (port, refusal) in refused {
            self.problem(key, port, false, refusal);
        }
        None
    }

    /// Gives the service all its sockets at that place, or none and the reasons.
    fn claim(
        &mut self,
        request: Request<'_>,
        key: &ServiceKey,
        wanted: &Wanted,
        place: Place,
    ) -> Result<(), Vec<(Port, Refusal)>> {
        let single = own_address(place).map(IpAddr::V4);
        let addresses = single.as_ref().map_or(request.shared, std::slice::from_ref);
        let sockets = wanted.balanced.iter().flat_map(|port| {
            addresses
                .iter()
                .map(|address| (*port, Socket { protocol: port.protocol, address: *address, port: port.number }))
        });
        let sockets: Vec<(Port, Socket)> = sockets.collect();
        let refused: Vec<(Port, Refusal)> =
            sockets.iter().filter_map(|(port, socket)| Some((*port, self.refusal(request, key, *socket)?))).collect();
        if !refused.is_empty() || sockets.is_empty() {
            return Err(refused);
        }
        for (port, socket) in sockets {
            self.listeners.insert(socket, Use { service: key.clone(), port, node_port: false });
        }
        self.places.insert(key.clone(), place);
        Ok(())
    }

    fn refusal(&self, request: Request<'_>, key: &ServiceKey, socket: Socket) -> Option<Refusal> {
        if socket.protocol == Protocol::Sctp {
            return Some(Refusal::Protocol);
        }
        let ours = self.listeners.get(&socket).map(|held| Refusal::Service(held.service.clone()));
        // A service's own node port may have the number of its port: one listener serves both no less.
        let ours = ours.filter(|refusal| *refusal != Refusal::Service(key.clone()));
        ours.or_else(|| request.taken.of(socket).cloned())
    }

    fn problem(&mut self, key: &ServiceKey, port: Port, node_port: bool, refusal: Refusal) {
        let problems = self.problems.entry(key.clone()).or_default();
        if !problems.iter().any(|known| known.port == port && known.node_port == node_port) {
            problems.push(Problem { port, node_port, refusal });
        }
    }
}
