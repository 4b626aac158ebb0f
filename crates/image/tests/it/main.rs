//! The image store from outside: archives of all kinds, hostile ones, registries, kills.
//!
//! They run as root, as the store does: whiteouts are device nodes and layers have owners.
#![allow(clippy::unwrap_used)]

mod credentials;
mod fixture;
mod hostile;
mod imports;
mod kill;
mod pulls;
mod references;
mod registry;
mod store;
mod unpacking;
