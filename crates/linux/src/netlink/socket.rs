//! A netlink socket, used by one thread at a time.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname, recv, send, setsockopt,
    socket, sockopt,
};

use super::{
    Error,
    wire::{ACK, DUMP, Message, REQUEST, Writer, attributes, messages},
};

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, neighbours.
    Route,
    /// nf_tables and conntrack.
    Netfilter,
}

/// A netlink socket. It belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    descriptor: OwnedFd,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

const KIND_ERROR: u16 = 2;
const KIND_DONE: u16 = 3;
/// More than any one datagram of a dump (32 KiB) and than a typical burst of answers.
const BUFFER: usize = 256 * 1024;
const SOL_NETLINK: i32 = 270;
const NETLINK_CAP_ACK: i32 = 10;
const NETLINK_EXT_ACK: i32 = 11;
const FLAG_CAPPED: u16 = 0x100;
const FLAG_ACK_TLVS: u16 = 0x200;

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the system refuses a socket.
    pub fn open(protocol: Protocol) -> Result<Self, Error> {
        Self::open_with_groups(protocol, 0)
    }

    /// The same, and joins the multicast groups of that bit mask.
    ///
    /// # Errors
    /// When the system refuses a socket or the groups.
    pub fn open_with_groups(protocol: Protocol, groups: u32) -> Result<Self, Error> {
        let number = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let descriptor = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, number)
            .map_err(io_error("open a socket"))?;
        bind(descriptor.as_raw_fd(), &NetlinkAddr::new(0, groups)).map_err(io_error("bind a socket"))?;
        let name: NetlinkAddr = getsockname(descriptor.as_raw_fd()).map_err(io_error("name a socket"))?;
        for option in [NETLINK_CAP_ACK, NETLINK_EXT_ACK] {
            // Old kernels lack them, and answers are only less detailed then.
            let _ = switch_on(descriptor.as_fd(), option);
        }
        Ok(Self { descriptor, port: name.pid(), sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// The socket's port, which the kernel puts into what this socket causes.
    #[must_use]
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Raises the send and receive buffers past the system's limits, to `bytes`.
    ///
    /// # Errors
    /// Without `CAP_NET_ADMIN`.
    pub fn force_buffers(&self, bytes: usize) -> Result<(), Error> {
        setsockopt(&self.descriptor, sockopt::SndBufForce, &bytes).map_err(io_error("raise the send buffer"))?;
        setsockopt(&self.descriptor, sockopt::RcvBufForce, &bytes).map_err(io_error("raise the receive buffer"))
    }

    /// The next sequence number.
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Takes note that the numbers before `next` are used up.
    pub(crate) fn skip_to(&mut self, next: u32) {
        self.sequence = next;
    }

    /// Sends what was written.
    ///
    /// # Errors
    /// When the system does not take it.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        loop {
            match send(self.descriptor.as_raw_fd(), bytes, MsgFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(io_error("send")(error)),
            }
        }
    }

    /// Hands the messages that wait on the socket to `each`; whether there were any.
    /// Does not block with `wait` off.
    ///
    /// # Errors
    /// [`Error::Overflow`] when messages were lost.
    pub fn receive(&mut self, wait: bool, mut each: impl FnMut(&Message<'_>)) -> Result<bool, Error> {
        let flags = if wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
        let length = loop {
            match recv(self.descriptor.as_raw_fd(), &mut self.buffer, flags | MsgFlags::MSG_TRUNC) {
                Ok(length) => break length,
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => return Ok(false),
                Err(nix::Error::ENOBUFS) => return Err(Error::Overflow),
                Err(error) => return Err(io_error("receive")(error)),
            }
        };
        if length > self.buffer.len() {
            self.buffer.resize(length.next_power_of_two(), 0);
            return Err(Error::Overflow);
        }
        messages(&self.buffer[..length]).for_each(|message| each(&message));
        Ok(true)
    }

    /// One request that is only acknowledged.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn request(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Writer)) -> Result<(), Error> {
        let mut writer = Writer::new();
        let sequence = self.next_sequence();
        writer.message(kind, flags | REQUEST | ACK, sequence, body);
        self.send(writer.bytes())?;
        self.acknowledged(sequence, 1)
    }

    /// Waits for the answers to `count` requests, numbered upwards from `first`. All are awaited; the first
    /// refusal is the error.
    ///
    /// # Errors
    /// When the kernel refused one of them.
    pub fn acknowledged(&mut self, first: u32, count: usize) -> Result<(), Error> {
        let mut refused: Option<Error> = None;
        let mut seen = 0;
        while seen < count {
            self.receive(true, |message| {
                let index = message.sequence.wrapping_sub(first) as usize;
                if message.kind != KIND_ERROR || index >= count {
                    return;
                }
                seen += 1;
                if let Some(error) = refusal(message, index) {
                    refused.get_or_insert(error);
                }
            })?;
        }
        refused.map_or(Ok(()), Err)
    }

    /// Asks for one thing, and hands the messages of the answer to `each`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn query(
        &mut self,
        kind: u16,
        body: impl FnOnce(&mut Writer),
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<(), Error> {
        self.ask(kind, REQUEST | ACK, body, &mut each)
    }

    /// Asks for everything of a kind, and hands each message to `each`.
    ///
    /// # Errors
    /// When the kernel refuses, or the answer was cut short.
    pub fn dump(
        &mut self,
        kind: u16,
        body: impl FnOnce(&mut Writer),
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<(), Error> {
        self.ask(kind, REQUEST | DUMP, body, &mut each)
    }

    fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer),
        each: &mut dyn FnMut(&Message<'_>),
    ) -> Result<(), Error> {
        let mut writer = Writer::new();
        let sequence = self.next_sequence();
        writer.message(kind, flags, sequence, body);
        self.send(writer.bytes())?;
        self.answers(sequence, each)
    }

    /// Reads the messages that answer `sequence`, up to the one that ends them.
    fn answers(&mut self, sequence: u32, each: &mut dyn FnMut(&Message<'_>)) -> Result<(), Error> {
        let mut outcome: Option<Result<(), Error>> = None;
        while outcome.is_none() {
            self.receive(true, |message| {
                if message.sequence != sequence {
                    return;
                }
                match message.kind {
                    KIND_DONE => outcome = Some(Ok(())),
                    KIND_ERROR => outcome = Some(refusal(message, 0).map_or(Ok(()), Err)),
                    _ => each(message),
                }
            })?;
        }
        outcome.unwrap_or(Ok(()))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> i32 {
        self.descriptor.as_raw_fd()
    }
}

/// The refusal that an error message carries; `None` for an acknowledgement.
pub(crate) fn refusal(message: &Message<'_>, index: usize) -> Option<Error> {
    let code = message.payload.first_chunk().map_or(-libc::EPROTO, |bytes| i32::from_ne_bytes(*bytes));
    if message.kind != KIND_ERROR || code == 0 {
        return None;
    }
    Some(Error::Refused { index, source: io::Error::from_raw_os_error(-code), detail: detail(message) })
}

/// The kernel's own words, which follow the error code and the (capped) request.
fn detail(message: &Message<'_>) -> Option<String> {
    const WORDS: u16 = 1;
    if message.flags & FLAG_ACK_TLVS == 0 {
        return None;
    }
    let echoed = if message.flags & FLAG_CAPPED != 0 {
        16
    } else {
        usize::try_from(super::wire::u32_native(message.payload.get(4..)?)?).ok()?
    };
    let words = attributes(message.payload.get(4 + echoed.next_multiple_of(4)..)?).find(WORDS)?;
    Some(String::from_utf8_lossy(words).trim_end_matches('\0').to_owned())
}

fn io_error(operation: &'static str) -> impl Fn(nix::Error) -> Error {
    move |error| Error::Io { operation, source: io::Error::from(error) }
}

fn switch_on(descriptor: BorrowedFd<'_>, option: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for the call, and the pointer and length describe `on`, which outlives it.
    let result = unsafe {
        libc::setsockopt(
            descriptor.as_raw_fd(),
            SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
