//! The chains that pick an endpoint. There is one per distinct way to pick, made when first needed; how many
//! services use it does not matter.

use std::{fmt::Write as _, net::Ipv4Addr, time::Duration};

use skiff_linux::nft::{Base, Data, Expr, Meta, Name, Register, Rule, Verdict};

use crate::rules::MapId;

/// The map that rules fill: client and service address → endpoint.
pub const AFFINITY: &str = "affinity";

/// Local endpoints are numbered from here, the cluster's from 0, within the same map.
pub(crate) const LOCAL_BASE: u32 = 1 << 16;

/// A way to pick an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId {
    /// Out of how many.
    pub count: u32,
    /// Only among the node's own endpoints.
    pub local: bool,
    /// For a NodePort.
    pub node: bool,
    /// For how many seconds a client stays with its endpoint.
    pub sticky: Option<u32>,
}

/// Registers: the frontend, the scope or index, the endpoint; then the client's key in the affinity map.
const FRONTEND: Register = 0;
const PROTOCOL: Register = 1;
const PORT: Register = 2;
const INDEX: Register = 3;
const ENDPOINT: Register = 4;
const ENDPOINT_PORT: Register = 5;
const CLIENT: Register = 8;
const SERVICE: Register = 9;
const CLIENT_PROTOCOL: Register = 11;

impl ChainId {
    /// The chain's name, such as `lb_3` or `np_2_local_10800s`.
    #[must_use]
    pub fn name(self) -> Name {
        let mut name = format!("{}_{}", if self.node { "np" } else { "lb" }, self.count);
        if self.local {
            name.push_str("_local");
        }
        if let Some(seconds) = self.sticky {
            // Writing to a string cannot fail.
            let _ = write!(name, "_{seconds}s");
        }
        name.into()
    }

    /// The chain that this one ends in.
    #[must_use]
    pub fn base(self) -> Option<Self> {
        self.sticky.map(|_| Self { sticky: None, ..self })
    }

    /// Its rules.
    #[must_use]
    pub fn rules(self) -> Vec<Rule> {
        let chain = self.name();
        let bodies = match self.sticky {
            None => vec![self.pick(true), self.pick(false)],
            Some(seconds) => self.sticky_rules(Duration::from_secs(seconds.into())),
        };
        bodies.into_iter().map(|steps| Rule { chain: chain.clone(), steps }).collect()
    }

    /// A hit; else whatever was remembered is void; else a pick that is remembered; else a plain pick.
    fn sticky_rules(self, timeout: Duration) -> Vec<Vec<Expr>> {
        let remember = Expr::Remember { map: AFFINITY, key: CLIENT, value: ENDPOINT, timeout };
        let known = Expr::Lookup { map: AFFINITY, key: CLIENT, to: Some(ENDPOINT), missing: false };
        let allowed = Expr::Lookup { map: MapId::Members.name(), key: FRONTEND, to: None, missing: false };
        let scope = Expr::Immediate { value: Data::new().number(self.local.into()), to: INDEX };
        let forget = Expr::Forget { map: AFFINITY, key: CLIENT, value: CLIENT };
        let hit = [self.client(), vec![known, scope, allowed, remember.clone(), dnat()]].concat();
        let void = [self.client(), vec![forget]].concat();
        let pick = [self.client(), self.index(true), vec![endpoint(), remember, dnat()]].concat();
        let base = Self { sticky: None, ..self };
        vec![hit, void, pick, vec![Expr::Verdict(Verdict::Goto(base.name()))]]
    }

    /// A random endpoint, or the first: kernels may miss an element for the moment in which it is replaced.
    fn pick(self, random: bool) -> Vec<Expr> {
        [self.frontend(), self.index(random), vec![endpoint(), dnat()]].concat()
    }

    /// Loads what the client connects to.
    fn frontend(self) -> Vec<Expr> {
        let address = if self.node {
            Expr::Immediate { value: Data::new().ip(Ipv4Addr::UNSPECIFIED), to: FRONTEND }
        } else {
            destination(FRONTEND)
        };
        vec![address, Expr::Meta { key: Meta::Protocol, to: PROTOCOL }, port(PORT)]
    }

    /// Loads the frontend, and the client's key under the service's own address.
    fn client(self) -> Vec<Expr> {
        let own = Expr::Lookup { map: MapId::Sticky.name(), key: FRONTEND, to: Some(SERVICE), missing: false };
        let protocol = Expr::Meta { key: Meta::Protocol, to: CLIENT_PROTOCOL };
        [self.frontend(), vec![source(CLIENT), own, protocol]].concat()
    }

    fn index(self, random: bool) -> Vec<Expr> {
        let offset = if self.local { LOCAL_BASE } else { 0 };
        vec![if random {
            Expr::Random { modulus: self.count.max(1), offset, to: INDEX }
        } else {
            Expr::Immediate { value: Data::new().number(offset), to: INDEX }
        }]
    }
}

fn endpoint() -> Expr {
    Expr::Lookup { map: MapId::Endpoints.name(), key: FRONTEND, to: Some(ENDPOINT), missing: false }
}

fn dnat() -> Expr {
    Expr::Dnat { address: ENDPOINT, port: ENDPOINT_PORT }
}

/// Loads the packet's source address.
pub(crate) fn source(to: Register) -> Expr {
    Expr::Payload { base: Base::Network, offset: 12, length: 4, to }
}

/// Loads the packet's destination address.
pub(crate) fn destination(to: Register) -> Expr {
    Expr::Payload { base: Base::Network, offset: 16, length: 4, to }
}

/// Loads the packet's destination port.
pub(crate) fn port(to: Register) -> Expr {
    Expr::Payload { base: Base::Transport, offset: 2, length: 2, to }
}
