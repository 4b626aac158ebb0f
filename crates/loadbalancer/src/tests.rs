//! Tests of the whole crate: plans, relays on loopback, and the component against a small API of our own.

mod api;
mod balancer;
mod plans;
mod relays;
