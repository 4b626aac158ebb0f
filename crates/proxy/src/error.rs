//! What can go wrong with service rules.

use std::io;

use skiff_linux::netlink;

/// Why services could not be programmed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused.
    #[error("nf_tables: {0}")]
    Netfilter(#[from] netlink::Error),
    /// The thread that programs the kernel could not be started.
    #[error("cannot start the thread that programs services: {0}")]
    Thread(#[source] io::Error),
    /// The thread that programs the kernel ended before it was told to.
    #[error("the thread that programs services ended")]
    Ended,
}
