//! Notices when somebody else changes our table.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

use tokio::io::unix::AsyncFd;

use super::{
    encode::{DELETE_ELEMENTS, NEW_ELEMENTS, SUBSYSTEM},
    kernel::is,
};
use crate::netlink::{Error, Message, Protocol, Socket, attributes};

/// A subscription to changes of nf_tables, without those made through one socket of ours.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    table: String,
    volatile: &'static str,
}

const NFTABLES_GROUP: u32 = 1 << 6;
const GENERATION: u16 = 15;

impl Monitor {
    /// Watches `table`, leaving out what the socket with `port` does (in the kernel, so that a large change
    /// of ours costs nothing here) and elements of the map `volatile`.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn open(table: &str, port: u32, volatile: &'static str) -> Result<Self, Error> {
        let socket = Socket::open_with_groups(Protocol::Netfilter, NFTABLES_GROUP)?;
        ignore_port(socket.as_fd(), port).map_err(|source| Error::Io { operation: "filter a socket", source })?;
        Ok(Self { socket, table: table.to_owned(), volatile })
    }

    /// Reads what waits, without blocking: whether somebody else changed the table, as far as can be known.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn changed(&mut self) -> Result<bool, Error> {
        let mut changed = false;
        loop {
            let (table, volatile) = (&self.table, self.volatile);
            match self.socket.receive(false, |message| changed |= touches(message, table, volatile)) {
                Ok(true) => {}
                Ok(false) => return Ok(changed),
                // What was missed may have been about us.
                Err(Error::Overflow) => changed = true,
                Err(error) => return Err(error),
            }
        }
    }
}

fn touches(message: &Message<'_>, table: &str, volatile: &str) -> bool {
    let operation = message.kind & 0xff;
    if message.kind & 0xff00 != SUBSYSTEM || operation == GENERATION {
        return false;
    }
    let Some(body) = message.payload.get(4..) else { return false };
    let found = attributes(body);
    let of_elements = operation == NEW_ELEMENTS || operation == DELETE_ELEMENTS;
    found.find(1).is_some_and(|name| is(name, table))
        && !(of_elements && found.find(2).is_some_and(|name| is(name, volatile)))
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A [`Monitor`] that can be awaited.
#[derive(Debug)]
pub struct Listener {
    monitor: AsyncFd<Monitor>,
}

impl Listener {
    /// Registers the monitor with the calling task's runtime.
    ///
    /// # Errors
    /// When the runtime cannot take it.
    pub fn new(monitor: Monitor) -> Result<Self, Error> {
        // SAFETY: the monitor owns its socket, returns the same open descriptor every time, and closes it only
        // when it is dropped, which `AsyncFd` does after taking the descriptor out of the runtime. Nothing here
        // hands out the monitor so that it could be swapped for another.
        let monitor = unsafe { AsyncFd::register(monitor) };
        let monitor = monitor.map_err(|error| Error::Io { operation: "await a socket", source: error.into() })?;
        Ok(Self { monitor })
    }

    /// Waits until somebody else changed the table. Nothing is lost if the wait is given up.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn changed(&mut self) -> Result<(), Error> {
        loop {
            let ready = self.monitor.readable_mut().await;
            let mut ready = ready.map_err(|source| Error::Io { operation: "await a socket", source })?;
            let changed = ready.get_inner_mut().changed()?;
            ready.clear_ready();
            if changed {
                return Ok(());
            }
        }
    }
}

/// Drops datagrams whose first message was caused by `port`.
fn ignore_port(socket: BorrowedFd<'_>, port: u32) -> io::Result<()> {
    /// Where a message header holds the port.
    const PORT_OFFSET: u32 = 12;
    // The filter machine loads words in network order.
    let wanted = u32::from_be_bytes(port.to_ne_bytes());
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, PORT_OFFSET),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, wanted),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the descriptor is open for the call; `filter` and the program it points to outlive it, the length
    // counts the program's steps, and the kernel copies and checks the program.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
