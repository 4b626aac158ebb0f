//! Many datagrams per system call: `recvmmsg(2)` and `sendmmsg(2)`.
//!
//! A server of small datagrams spends most of its time on the way into the kernel and back; a burst pays for
//! that way once. Buffers are filled from the front: a socket that sees few datagrams at a time touches few
//! pages of them.

use std::{
    array, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// How many datagrams are taken or given at once.
pub const BURST: usize = 32;
/// The largest datagram that is taken whole, in bytes.
pub const LARGEST: usize = 4096;
/// What an empty [`Outbox`] keeps for the next burst, in bytes.
const KEPT: usize = 16 * 1024;
const NAME_LENGTH: libc::socklen_t = size_of::<libc::sockaddr_in6>() as libc::socklen_t;

/// The other end of a datagram, as the kernel writes it.
///
/// It is an IPv6 socket address; for IPv4, the port is at the same place and the address where the flow is.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    name: libc::sockaddr_in6,
    length: libc::socklen_t,
}

const NOBODY: Peer = Peer {
    name: libc::sockaddr_in6 {
        sin6_family: 0,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    },
    length: NAME_LENGTH,
};

impl Peer {
    /// The address, unless it is of another family than IP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let ip = match i32::from(self.name.sin6_family) {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::from(self.name.sin6_flowinfo.to_ne_bytes())),
            libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(self.name.sin6_addr.s6_addr)),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::from_be(self.name.sin6_port)))
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        let mut peer = NOBODY;
        peer.name.sin6_port = address.port().to_be();
        match address {
            SocketAddr::V4(v4) => {
                peer.name.sin6_family = libc::AF_INET as libc::sa_family_t;
                peer.name.sin6_flowinfo = u32::from_ne_bytes(v4.ip().octets());
                peer.length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                peer.name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                peer.name.sin6_flowinfo = v6.flowinfo();
                peer.name.sin6_addr.s6_addr = v6.ip().octets();
                peer.name.sin6_scope_id = v6.scope_id();
            }
        }
        peer
    }
}

/// Datagrams that came in.
#[derive(Debug)]
pub struct Inbox {
    bytes: Box<[u8]>,
    peers: [Peer; BURST],
    lengths: [usize; BURST],
    held: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        let bytes = vec![0; BURST * LARGEST].into_boxed_slice();
        Self { bytes, peers: [NOBODY; BURST], lengths: [0; BURST], held: 0 }
    }
}

impl Inbox {
    /// Takes what waits on the socket, at most [`BURST`] datagrams, in place of what was held before; how many
    /// there were. A blocking socket is waited on for the first.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits on a non-blocking socket.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.held = 0;
        let mut chunks = self.bytes.chunks_exact_mut(LARGEST);
        let mut vectors: [libc::iovec; BURST] = array::from_fn(|_| vector(chunks.next().unwrap_or_default()));
        let mut headers: [libc::mmsghdr; BURST] = array::from_fn(|at| {
            self.peers[at].length = NAME_LENGTH;
            header(&mut self.peers[at], &mut vectors[at])
        });
        let count = loop {
            // SAFETY: there are BURST headers. Each points at a name and one vector of its own, which outlive the
            // call; each vector at LARGEST bytes of `self.bytes` that no other has.
            let count = unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    BURST as libc::c_uint,
                    libc::MSG_WAITFORONE,
                    ptr::null_mut(),
                )
            };
            match counted(count) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        for (at, header) in headers.iter().enumerate().take(count) {
            self.peers[at].length = header.msg_hdr.msg_namelen.min(NAME_LENGTH);
            self.lengths[at] = (header.msg_len as usize).min(LARGEST);
        }
        self.held = count;
        Ok(count)
    }

    /// The datagrams held, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Peer)> {
        let whole = self.bytes.chunks_exact(LARGEST).zip(&self.peers).zip(&self.lengths).take(self.held);
        whole.map(|((bytes, peer), length)| (&bytes[..*length], peer))
    }
}

/// Datagrams that wait to go out.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// Whom each is for, and where its bytes end.
    waiting: Vec<(Peer, usize)>,
    sent: usize,
}

impl Outbox {
    /// Adds what `write` appends; nothing is added, and `None` returned, where it returns that.
    pub fn push<T>(&mut self, peer: &Peer, write: impl FnOnce(&mut Vec<u8>) -> Option<T>) -> Option<T> {
        let start = self.bytes.len();
        let written = write(&mut self.bytes);
        if written.is_some() {
            self.waiting.push((*peer, self.bytes.len()));
        } else {
            self.bytes.truncate(start);
        }
        written
    }

    /// Sends all that waits. What the kernel refuses for good is dropped, as the network might have dropped it.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes no more now; the rest is kept for another call.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        while self.sent < self.waiting.len() {
            match self.send_some(socket) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => self.sent += 1,
            }
        }
        self.sent = 0;
        self.waiting.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        Ok(())
    }

    fn send_some(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut start = self.sent.checked_sub(1).map_or(0, |before| self.waiting[before].1);
        let waiting = &mut self.waiting[self.sent..];
        let count = waiting.len().min(BURST);
        let bytes = &mut self.bytes;
        let mut vectors: [libc::iovec; BURST] = array::from_fn(|at| {
            let end = waiting.get(at).map_or(start, |(_, end)| *end);
            vector(&mut bytes[std::mem::replace(&mut start, end)..end])
        });
        let mut unused = [NOBODY; BURST];
        let mut headers: [libc::mmsghdr; BURST] = array::from_fn(|at| {
            let peer = waiting.get_mut(at).map_or(&mut unused[at], |(peer, _)| peer);
            header(peer, &mut vectors[at])
        });
        // SAFETY: `count` is at most BURST, the number of headers. Each points at a name and one vector of its own,
        // which outlive the call; each vector at bytes of `self.bytes`. The kernel only reads them.
        counted(unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count as libc::c_uint, 0) })
    }
}

fn vector(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

fn header(peer: &mut Peer, vector: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: a header is numbers and pointers, for which zero and null are values.
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_name = (&raw mut peer.name).cast();
    header.msg_hdr.msg_namelen = peer.length;
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
}

fn counted(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::AsFd as _, time::Duration};

    use super::*;

    fn pair(address: &str) -> (UdpSocket, UdpSocket) {
        let (one, other) = (UdpSocket::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
        one.set_nonblocking(true).unwrap();
        other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (one, other)
    }

    #[test]
    fn peers_keep_their_address() {
        for text in ["10.1.2.3:53", "[fd00::1]:5353"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Peer::from(address).address(), Some(address));
        }
        assert_eq!(NOBODY.address(), None);
    }

    #[test]
    fn a_burst_comes_in_and_goes_back() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (server, client) = pair(address);
            for n in 0..BURST + 3 {
                client.send_to(&vec![n as u8; n], server.local_addr().unwrap()).unwrap();
            }
            let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
            for expected in [BURST, 3] {
                assert_eq!(inbox.receive(server.as_fd()).unwrap(), expected);
                for (bytes, peer) in inbox.iter() {
                    assert_eq!(peer.address(), client.local_addr().ok());
                    outbox.push(peer, |out| {
                        out.extend_from_slice(bytes);
                        Some(())
                    });
                    assert_eq!(
                        outbox.push(peer, |out| {
                            out.push(0);
                            None::<()>
                        }),
                        None
                    );
                }
            }
            assert_eq!(inbox.receive(server.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            assert_eq!(inbox.iter().count(), 0);
            outbox.send(server.as_fd()).unwrap();
            let mut buffer = [0; 64];
            for n in 0..BURST + 3 {
                let length = client.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..length], vec![n as u8; n]);
            }
        }
    }

    #[test]
    fn what_cannot_be_sent_does_not_hold_up_the_rest() {
        let (server, client) = pair("127.0.0.1:0");
        let mut outbox = Outbox::default();
        let nowhere = Peer::from(SocketAddr::from(([255, 255, 255, 255], 9)));
        for (peer, text) in [(nowhere, "lost"), (client.local_addr().unwrap().into(), "found")] {
            outbox.push(&peer, |out| {
                out.extend_from_slice(text.as_bytes());
                Some(())
            });
        }
        outbox.send(server.as_fd()).unwrap();
        let mut buffer = [0; 64];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"found");
    }
}
