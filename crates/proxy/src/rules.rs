//! What a service needs of the table: elements of its maps, before they are operations.

use std::{collections::BTreeMap, net::Ipv4Addr};

use skiff_api::endpoints::Protocol;
use skiff_linux::nft::Data;

use crate::chain::ChainId;

/// The maps of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MapId {
    /// Frontend → the number of the way its endpoint is picked. Numbers, not chains: the kernel checks every
    /// element of a verdict map whenever one is added, which would make each change cost what is there.
    Services,
    /// The same for sources outside the cluster, where only local endpoints may answer them.
    Outside,
    /// Frontend → how it refuses: nobody is there.
    Refused,
    /// Frontend and index → endpoint.
    Endpoints,
    /// The ways by number: as few as there are chains.
    Ways,
    /// The ways to refuse, by number.
    Refusals,
    /// Endpoint to itself.
    Hairpin,
    /// Frontends whose endpoints must not see the client's address.
    Masqueraded,
    /// Frontends that only some sources may reach.
    Guarded,
    /// Frontend and the sources that may reach it.
    Allowed,
    /// Frontend → the service address under which its clients are remembered.
    Sticky,
    /// Frontend, scope and endpoint: where remembered clients may still go.
    Members,
}

impl MapId {
    /// Its name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Outside => "outside",
            Self::Refused => "refused",
            Self::Endpoints => "endpoints",
            Self::Ways => "ways",
            Self::Refusals => "refusals",
            Self::Hairpin => "hairpin",
            Self::Masqueraded => "masqueraded",
            Self::Guarded => "guarded",
            Self::Allowed => "allowed",
            Self::Sticky => "sticky",
            Self::Members => "members",
        }
    }
}

/// Where clients connect to. A NodePort is the unspecified address: it means every address of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontend {
    /// The address.
    pub ip: Ipv4Addr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

impl Frontend {
    /// Its key.
    #[must_use]
    pub fn key(self) -> Data {
        Data::new().ip(self.ip).protocol(self.protocol.number()).port(self.port)
    }

    /// Whether it is a NodePort.
    #[must_use]
    pub fn is_node(self) -> bool {
        self.ip.is_unspecified()
    }
}

/// Names an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Its map.
    pub map: MapId,
    /// Its key.
    pub key: Data,
    /// The end of its range, in maps with ranges.
    pub end: Option<Data>,
}

/// What an element says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: it is in a set.
    Nothing,
    /// An address and port.
    Address(Ipv4Addr, u16),
    /// That chain picks an endpoint.
    Pick(ChainId),
    /// Nothing is rewritten.
    Leave,
    /// Refused at once.
    Reject,
    /// Dropped without a word.
    Drop,
}

/// All elements of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// By what names them.
    pub elements: BTreeMap<Entry, Content>,
}

impl Rules {
    /// Adds an element.
    pub(crate) fn add(&mut self, map: MapId, key: Data, content: Content) {
        self.elements.insert(Entry { map, key, end: None }, content);
    }
}
