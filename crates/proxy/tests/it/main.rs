//! Services: planned and traced through a model of the table, and programmed into the kernel for real sockets.
#![allow(clippy::unwrap_used)]

mod affinity;
mod component;
mod fixture;
mod fuzz;
mod lab;
mod load;
mod planned;
mod policies;
mod tracer;
mod traffic;
mod udp;
