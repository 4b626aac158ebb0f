//! What tests of several crates share: a real API server in the test's own process, and builders for
//! the objects that tests put into it; a disk whose power can be cut. A dev-dependency only; it never ships.
#![forbid(unsafe_code)]

mod build;
mod cluster;
pub mod disk;

pub use self::{
    build::{endpoint_slice, node, pod, service},
    cluster::{Cluster, ClusterError},
};
