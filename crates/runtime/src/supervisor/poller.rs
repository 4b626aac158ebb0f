//! `epoll`, with a key of ours for each descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// What a descriptor is for. The number is the id of the client, container or command it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Listener,
    Signals,
    Client(u32),
    /// A container's set-up reports.
    Setup(u32),
    Stdout(u32),
    Stderr(u32),
    ExecOutput(u32),
    /// Someone who looks on at a container's output.
    Attached(u32),
}

impl Key {
    fn pack(self) -> u64 {
        let (kind, id) = match self {
            Key::Listener => (0, 0),
            Key::Signals => (1, 0),
            Key::Client(id) => (2, id),
            Key::Setup(id) => (3, id),
            Key::Stdout(id) => (4, id),
            Key::Stderr(id) => (5, id),
            Key::ExecOutput(id) => (6, id),
            Key::Attached(id) => (7, id),
        };
        kind << 32 | u64::from(id)
    }

    fn unpack(packed: u64) -> Key {
        let id = (packed & u64::from(u32::MAX)) as u32;
        match packed >> 32 {
            0 => Key::Listener,
            1 => Key::Signals,
            2 => Key::Client(id),
            3 => Key::Setup(id),
            4 => Key::Stdout(id),
            5 => Key::Stderr(id),
            6 => Key::ExecOutput(id),
            _ => Key::Attached(id),
        }
    }
}

/// A descriptor that is ready.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) key: Key,
    pub(super) writable: bool,
    /// Readable, or at its end.
    pub(super) readable: bool,
}

#[derive(Debug)]
pub(super) struct Poller(Epoll);

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        Ok(Poller(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    pub(super) fn add(&self, fd: impl AsFd, key: Key) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, key.pack()))?)
    }

    /// Whether to wait for room to write as well.
    pub(super) fn want_write(&self, fd: impl AsFd, key: Key, wanted: bool) -> io::Result<()> {
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, wanted);
        Ok(self.0.modify(fd, &mut EpollEvent::new(flags, key.pack()))?)
    }

    /// Must come before the descriptor is closed: a child that has not become its program yet may hold it open, and
    /// then it would go on waking us.
    pub(super) fn remove(&self, fd: BorrowedFd<'_>) {
        // It was added, so it can be removed.
        self.0.delete(fd).ok();
    }

    pub(super) fn wait(&self, deadline: Option<Instant>) -> io::Result<Vec<Ready>> {
        let timeout = deadline.map_or(EpollTimeout::NONE, |deadline| {
            // One more, since a part of a millisecond is cut off.
            let left = deadline.saturating_duration_since(Instant::now()).as_millis().saturating_add(1);
            EpollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
        });
        let mut events = [EpollEvent::empty(); 32];
        let count = match self.0.wait(&mut events, timeout) {
            Err(nix::Error::EINTR) => 0,
            other => other?,
        };
        let ready = |event: &EpollEvent| Ready {
            key: Key::unpack(event.data()),
            writable: event.events().contains(EpollFlags::EPOLLOUT),
            readable: event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR),
        };
        Ok(events[..count].iter().map(ready).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_packing() {
        for key in [Key::Listener, Key::Signals, Key::Client(7), Key::Setup(u32::MAX), Key::Stdout(1)] {
            assert_eq!(Key::unpack(key.pack()), key);
        }
        for key in [Key::Stderr(0), Key::ExecOutput(9), Key::Attached(1)] {
            assert_eq!(Key::unpack(key.pack()), key);
        }
    }
}
