//! Tests of the whole crate: answers from an index, and a real server on loopback.

mod answers;
mod feed;
mod objects;
mod packets;
mod plain;
mod server;
