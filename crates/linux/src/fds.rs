//! Descriptors sent to another process over a Unix socket, with the bytes that say what they are for.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use tokio::io::unix::AsyncFd;

/// More than this in one message are closed by the kernel.
pub const MOST: usize = 8;

/// Sends as many of `bytes` (at least one) as the socket takes, and `fds` with the first of them.
///
/// # Errors
/// What the kernel says about the socket.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<usize> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let messages: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL;
    Ok(sendmsg::<()>(socket.as_fd().as_raw_fd(), &[IoSlice::new(bytes)], messages, flags, None)?)
}

/// Receives bytes into `buffer` and adds the descriptors that came with them to `fds`. No program inherits them.
///
/// # Errors
/// What the kernel says about the socket.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = nix::cmsg_space!([RawFd; MOST]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut slices, Some(&mut space), flags)?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            // SAFETY: the kernel has just made these descriptors for us and nobody else knows them.
            fds.extend(received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(message.bytes)
}

/// Has the runtime wait for a descriptor, both ways.
///
/// # Errors
/// When it is of a kind that can't be waited for.
pub fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is the same open descriptor for as long as it lives, and nobody gets it out mutably.
    let registered = unsafe { AsyncFd::register(fd) };
    registered.map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_pipe_arrives_with_its_bytes() {
        let (here, there) = UnixStream::pair().unwrap();
        let (read, write) = std::io::pipe().unwrap();
        assert_eq!(send(&here, b"take", &[OwnedFd::from(write)]).unwrap(), 4);
        let (mut buffer, mut fds) = ([0; 16], Vec::new());
        assert_eq!(receive(&there, &mut buffer, &mut fds).unwrap(), 4);
        let mut file = std::fs::File::from(fds.pop().unwrap());
        file.write_all(b"through").unwrap();
        drop(file);
        let mut text = String::new();
        std::io::BufReader::new(read).read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        drop(here);
        assert_eq!(receive(&there, &mut buffer, &mut fds).unwrap(), 0);
    }
}
