//! Tests of the whole crate: answers from an index, and a real server on loopback.

mod answers;
mod objects;
mod packets;
mod server;
