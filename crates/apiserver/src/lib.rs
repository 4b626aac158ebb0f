//! The API server: Kubernetes's HTTP interface over skiff's store.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod allocate;
mod authz;
mod http;
mod nodes;
pub mod pki;
mod token;
mod user;

pub use self::{
    nodes::{NodeRegistry, NodeService},
    user::User,
};
