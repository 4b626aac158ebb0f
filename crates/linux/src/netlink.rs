//! Netlink, synchronously: requests are written back to back into one buffer, sent with one call, and the
//! kernel's answers are read with as few calls as they fit into.
//!
//! Why our own: links, routes, nf_tables and conntrack need the same few lines of transport; requests that
//! belong together must go out together; and a socket must live in the network namespace of the thread
//! that opened it, which an asynchronous client on a shared runtime cannot promise.
//!
//! # Errors
//! [`Error::Refused`] says which request of a batch the kernel refused and, where it tells, why.

mod error;
mod socket;
mod wire;

pub use error::{Error, errno_of};
pub(crate) use socket::refusal;
pub use socket::{Protocol, Socket};
pub use wire::{
    ACK, APPEND, Attributes, CREATE, DUMP, EXCLUSIVE, Message, Messages, REPLACE, REQUEST, Writer, attributes,
    messages, u16_be, u32_be, u32_native,
};
