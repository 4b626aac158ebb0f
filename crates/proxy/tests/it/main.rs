//! Services, planned and traced through a model of the table, and programmed into real kernels' namespaces.
#![allow(clippy::unwrap_used)]

mod fixture;
mod lab;
mod traffic;
