//! Zero-copy transfer between sockets: `splice(2)` through a pipe.
//!
//! A pipe only holds pages while bytes are on their way, so relays borrow one when a socket becomes readable
//! and give it back when it is dry: an idle connection owns no pipe.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};

/// What a pipe is asked to hold, in bytes. The kernel may grant less to unprivileged users.
const WANTED: i32 = 256 * 1024;
/// What is moved at once. A pipe counts pieces rather than bytes, and pieces of large packets are larger than pages.
const MOST: usize = 1024 * 1024;

/// A pipe that carries bytes from one descriptor to another without copying them.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
}

impl Pipe {
    /// An empty pipe.
    ///
    /// # Errors
    /// Where no more descriptors can be had.
    pub fn new() -> io::Result<Self> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Where this is refused, the pipe holds less and is filled more often.
        let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(WANTED));
        Ok(Self { read, write, held: 0 })
    }

    /// How many bytes are in the pipe.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves what `source` has into the pipe, which must be empty: then [`io::ErrorKind::WouldBlock`] can
    /// only mean that `source` has nothing. 0 is the end of `source`.
    ///
    /// # Errors
    /// What the kernel says about `source`.
    pub fn fill(&mut self, source: impl AsFd) -> io::Result<usize> {
        if self.held > 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let moved = splice(source, None, &self.write, None, MOST, flags())?;
        self.held = moved;
        Ok(moved)
    }

    /// Moves bytes from the pipe into `sink`; [`io::ErrorKind::WouldBlock`] means that `sink` is full.
    ///
    /// # Errors
    /// What the kernel says about `sink`.
    pub fn drain(&mut self, sink: impl AsFd) -> io::Result<usize> {
        if self.held == 0 {
            return Ok(0);
        }
        let moved = splice(&self.read, None, sink, None, self.held, flags())?;
        self.held = self.held.saturating_sub(moved);
        Ok(moved)
    }
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE
}

/// Empty pipes for reuse, a bounded number of them.
#[derive(Debug)]
pub struct Pool {
    idle: Mutex<Vec<Pipe>>,
    most: usize,
}

impl Pool {
    /// A pool that keeps at most `most` pipes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { idle: Mutex::default(), most }
    }

    /// An empty pipe.
    ///
    /// # Errors
    /// As [`Pipe::new`].
    pub fn take(&self) -> io::Result<Pipe> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.map_or_else(Pipe::new, Ok)
    }

    /// Gives a pipe back; one that still holds bytes is closed.
    pub fn give(&self, pipe: Pipe) {
        if pipe.held > 0 {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.most {
            idle.push(pipe);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn bytes_pass_and_the_end_is_seen() {
        let pool = Pool::new(1);
        let mut pipe = pool.take().unwrap();
        let (mut writer, source) = UnixStream::pair().unwrap();
        let (sink, mut reader) = UnixStream::pair().unwrap();
        source.set_nonblocking(true).unwrap();
        assert_eq!(pipe.fill(&source).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        writer.write_all(b"hello").unwrap();
        assert_eq!(pipe.fill(&source).unwrap(), 5);
        assert!(pipe.fill(&source).is_err(), "only an empty pipe is filled");
        assert_eq!(pipe.drain(&sink).unwrap(), 5);
        let mut read = [0; 5];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"hello");
        drop(writer);
        assert_eq!(pipe.fill(&source).unwrap(), 0);
        pool.give(pipe);
        assert_eq!(pool.idle.lock().unwrap().len(), 1);
    }
}
