//! Where the standard streams of a child lead: files, nowhere, or a terminal of the container's own.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::sys::stat::major;
use nix::unistd::{Gid, Uid, fchown};
use skiff_linux::user::Identity;
use skiff_linux::{fds, process, terminal};

use crate::error::{Fault, Reason};
use crate::protocol::Streams;
use crate::supervisor::sandbox::step;

/// The device files of memory: `/dev/null` and its like.
const MEMORY: u64 = 1;

#[derive(Debug)]
pub(super) enum Stdio {
    /// Standard input, output and error; none: nowhere.
    Files([Option<OwnedFd>; 3]),
    /// A terminal that the child makes in its own file system. Its other end goes out over this socket.
    Terminal(OwnedFd),
}

impl Stdio {
    /// What a client has sent for a command's streams.
    pub(super) fn received(streams: Streams, fds: Vec<OwnedFd>) -> Result<Stdio, Fault> {
        let missing = || Fault::Step { step: "receive the streams".into(), reason: Reason(nix::libc::EBADF) };
        let mut fds = fds.into_iter();
        if streams.tty {
            return fds.next().map(Stdio::Terminal).ok_or_else(missing);
        }
        let mut take = |wanted: bool| if wanted { fds.next().map(Some).ok_or_else(missing) } else { Ok(None) };
        Ok(Stdio::Files([take(streams.stdin)?, take(streams.stdout)?, take(streams.stderr)?]))
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Stdio::Terminal(_))
    }

    /// Called in a fresh child, whose standard input is still `/dev/null`: therefore it is the last to be set.
    pub(super) fn set(&self) -> io::Result<()> {
        let none = [None, None, None];
        let files = if let Stdio::Files(files) = self { files } else { &none };
        for (number, file) in [2, 1, 0].into_iter().zip(files.iter().rev()) {
            match file {
                Some(file) => process::set_standard_stream(file.as_fd(), number)?,
                None => process::set_standard_stream(io::stdin().as_fd(), number)?,
            }
        }
        Ok(())
    }

    /// Called inside the container's root by a child that leads a session.
    pub(super) fn enter_terminal(&self) -> Result<(), Fault> {
        let Stdio::Terminal(socket) = self else { return Ok(()) };
        let terminal::Terminal { master, slave } = terminal::open().map_err(step("make a terminal"))?;
        (0..3)
            .try_for_each(|number| process::set_standard_stream(slave.as_fd(), number))
            .and_then(|()| terminal::control(&slave))
            .and_then(|()| fds::send(socket, b"t", &[master]))
            .map(drop)
            .map_err(step("set up the terminal"))
    }

    /// Programs open `/dev/stdout` and its like by name, which asks for the right to. Devices of the host stay the host's.
    pub(super) fn hand_over(identity: &Identity) -> Result<(), Fault> {
        let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
        for stream in [io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd()] {
            if !is_memory(stream).map_err(step("look at the streams"))? {
                fchown(stream, Some(uid), Some(gid)).map_err(step("hand over the streams"))?;
            }
        }
        Ok(())
    }
}

fn is_memory(stream: BorrowedFd<'_>) -> io::Result<bool> {
    let found = File::from(stream.try_clone_to_owned()?).metadata()?;
    Ok(found.file_type().is_char_device() && major(found.rdev()) == MEMORY)
}
