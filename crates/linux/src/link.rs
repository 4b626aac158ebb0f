//! Links, addresses, routes and neighbours over rtnetlink.
//!
//! Changes are collected in a [`Batch`] and go to the kernel with one call; each is acknowledged, and the
//! first refusal is the error. The kernel applies them in order and does not undo the ones before a refusal:
//! callers undo by deleting what they made, which is safe to repeat.

mod batch;
mod read;

pub use batch::{Address, Batch, Mac, Neighbour, Route, RouteType, Scope, Veth};
pub use read::{AddressInfo, Link, RouteInfo, addresses, index_of, links, passes, routes};

/// What the routes we add carry as their origin, so that they can be told from anybody else's.
pub const ROUTE_PROTOCOL: u8 = 83;
