//! The tests of the whole: the house's rules, and the binary with real clients.
#![allow(clippy::unwrap_used)]

mod architecture;
mod clients;
mod cluster;
