//! The whole router in process, over a real store: every test speaks HTTP to it.
#![allow(clippy::unwrap_used)]

mod access;
mod apply;
mod arbitrary;
mod bodies;
mod conversion;
mod custom_apply;
mod customs;
mod documents;
mod every;
mod kinds;
mod kubectl;
mod objects;
mod observed;
mod pages;
mod pods;
mod protobuf;
mod registry;
mod services;
mod serving;
mod slow;
mod support;
mod watches;
mod websockets;
