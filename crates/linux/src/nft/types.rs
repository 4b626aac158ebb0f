//! Tables as data: what they are made of, and the changes to them.

use std::{sync::Arc, time::Duration};

use super::{Data, Kind};

/// The name of a chain.
pub type Name = Arc<str>;

/// A 32-bit word of the sixteen that a rule computes with. Longer values take several in a row.
pub type Register = u8;

/// States of a connection, as bits of [`CtKey::State`].
pub mod state {
    /// Its first packet.
    pub const NEW: u32 = 8;
}

/// What happened to a connection, as bits of [`CtKey::Status`].
pub mod status {
    /// Its destination was rewritten.
    pub const DESTINATION_CHANGED: u32 = 0x20;
}

/// A property of the packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// The network protocol: 2 for IPv4, 10 for IPv6.
    Family,
    /// The transport protocol.
    Protocol,
}

/// Where offsets into the packet count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The network header.
    Network,
    /// The transport header.
    Transport,
}

/// A property of the packet's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtKey {
    /// Its state: bits of [`state`].
    State,
    /// What happened to it: bits of [`status`].
    Status,
    /// The destination address that it was opened to.
    OriginalDestination,
    /// The destination port that it was opened to.
    OriginalPort,
}

/// Which of a packet's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A TCP reset.
    Reset,
    /// An ICMP message that the port is unreachable.
    PortUnreachable,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It goes on.
    Accept,
    /// It vanishes.
    Drop,
    /// The calling chain goes on.
    Return,
    /// That chain decides, then this one goes on.
    Jump(Name),
    /// That chain decides.
    Goto(Name),
}

/// A step of a rule. A rule ends at the first that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Loads a property of the packet.
    Meta {
        /// Which.
        key: Meta,
        /// Where to.
        to: Register,
    },
    /// Loads bytes of the packet.
    Payload {
        /// From where `offset` counts.
        base: Base,
        /// The first byte.
        offset: u8,
        /// How many.
        length: u8,
        /// Where to.
        to: Register,
    },
    /// Loads a property of the connection.
    Conntrack {
        /// Which.
        key: CtKey,
        /// Where to.
        to: Register,
    },
    /// Loads 2 if that address is one of this host's, else another number.
    AddressType {
        /// Which address.
        of: Side,
        /// Where to.
        to: Register,
    },
    /// Loads a constant.
    Immediate {
        /// What.
        value: Data,
        /// Where to.
        to: Register,
    },
    /// Keeps only the bits of `mask`.
    Mask {
        /// Of which register.
        register: Register,
        /// The bits, as many bytes as are looked at.
        mask: Data,
    },
    /// Holds if the register begins with `value`, or does not.
    Compare {
        /// Which register.
        register: Register,
        /// Whether equal or different holds.
        equal: bool,
        /// With what.
        value: Data,
    },
    /// Holds if the set has the key, or has it not; a map's value is loaded.
    Lookup {
        /// Which set or map.
        map: &'static str,
        /// The first register of the key.
        key: Register,
        /// Where a map's value goes.
        to: Option<Register>,
        /// Whether the key must be missing.
        missing: bool,
    },
    /// Does what the verdict map says for the key; holds if there is nothing.
    Branch {
        /// Which map.
        map: &'static str,
        /// The first register of the key.
        key: Register,
    },
    /// Loads a random number from `offset` to `offset + modulus - 1`.
    Random {
        /// How many numbers.
        modulus: u32,
        /// The lowest.
        offset: u32,
        /// Where to.
        to: Register,
    },
    /// Puts a key and value into a map for a while, or makes the one there last as long again.
    Remember {
        /// Which map.
        map: &'static str,
        /// The first register of the key.
        key: Register,
        /// The first register of the value.
        value: Register,
        /// For how long.
        timeout: Duration,
    },
    /// Takes a key out of a map.
    Forget {
        /// Which map.
        map: &'static str,
        /// The first register of the key.
        key: Register,
        /// Any loaded register: the kernel insists on one.
        value: Register,
    },
    /// Rewrites the destination and decides the packet.
    Dnat {
        /// The register with the address.
        address: Register,
        /// The register with the port.
        port: Register,
    },
    /// Rewrites the source to an address of this host and decides the packet.
    Masquerade,
    /// Refuses the packet and says so.
    Reject(Rejection),
    /// Keeps the packet out of connection tracking.
    Untrack,
    /// Decides.
    Verdict(Verdict),
}

/// Whether a chain filters or rewrites addresses (and then sees only first packets).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// Filters.
    Filter,
    /// Rewrites addresses.
    Nat,
}

/// Where on a packet's way a chain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPoint {
    /// On arrival.
    Prerouting = 0,
    /// Before delivery to this host.
    Input = 1,
    /// On the way through this host.
    Forward = 2,
    /// After leaving a process of this host.
    Output = 3,
    /// Before departure.
    Postrouting = 4,
}

/// When a chain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What it does.
    pub kind: HookKind,
    /// Where.
    pub point: HookPoint,
    /// In which order: lower comes first.
    pub priority: i32,
}

/// A chain; without a hook it is only called by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: Name,
    /// When the kernel calls it.
    pub hook: Option<Hook>,
}

/// A rule at the end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The chain.
    pub chain: Name,
    /// Its steps.
    pub steps: Vec<Expr>,
}

/// What a map gives for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Bytes.
    Data(Data),
    /// A decision.
    Verdict(Verdict),
}

/// A set, or a map if it has values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Its name.
    pub name: &'static str,
    /// The fields of its keys.
    pub key: &'static [Kind],
    /// The fields of its values.
    pub value: MapValue,
    /// Whether its last field is a range.
    pub ranges: bool,
    /// Whether rules put elements in, up to 65,535, which expire.
    pub dynamic: bool,
}

/// What the values of a [`Map`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapValue {
    /// It is a set and has none.
    None,
    /// Bytes of these fields.
    Data(&'static [Kind]),
    /// Decisions.
    Verdict,
}

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its key.
    pub key: Data,
    /// The last key of its range, if the set has ranges.
    pub end: Option<Data>,
    /// Its value.
    pub value: Option<Value>,
    /// For how long it lasts, and how much of that is left.
    pub expiry: Option<(Duration, Duration)>,
}

impl Element {
    /// An element of a set.
    #[must_use]
    pub fn key(key: Data) -> Self {
        Self { key, end: None, value: None, expiry: None }
    }

    /// An element of a map.
    #[must_use]
    pub fn with(key: Data, value: Value) -> Self {
        Self { key, end: None, value: Some(value), expiry: None }
    }
}

/// A change to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Makes the table, unless it is there.
    AddTable,
    /// Deletes the table with everything in it.
    DeleteTable,
    /// Makes a set or map.
    AddMap(Map),
    /// Makes a chain.
    AddChain(Chain),
    /// Adds a rule to the end of its chain.
    AddRule(Rule),
    /// Adds elements that are not there.
    Add(&'static str, Vec<Element>),
    /// Removes elements that are there; only their keys matter.
    Remove(&'static str, Vec<Element>),
}
