//! Sends connections elsewhere while they are being made: who connects to a listener on loopback is connected to one
//! of the endpoints behind it, and no byte passes through this process.
//!
//! A program in the kernel is asked by `connect(2)`. It knows the listeners of one network namespace and rewrites the
//! address that is connected to; in every other case, and wherever it is in doubt, it leaves the connection alone, which
//! then reaches the listener. So the listener must be there all the same, and nothing is lost where the kernel refuses
//! all this.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
};

use crate::bpf::{Instruction, Map, Moment, attach, instruction, wide};

/// Listeners and endpoints together; more are relayed.
const ENTRIES: u32 = 16_384;
/// Network address and port of the listener, number of the endpoint.
const KEY: usize = 3;
/// Network address and port of the endpoint, how many there are.
const VALUE: usize = 3;

/// Detours around listeners, in the network namespace of the thread that made it.
#[derive(Debug)]
pub struct Detours {
    map: Map<KEY, VALUE>,
    known: BTreeMap<SocketAddrV4, Vec<SocketAddrV4>>,
    _links: [OwnedFd; 2],
}

impl Detours {
    /// No detours yet.
    ///
    /// # Errors
    /// Without the privilege, or where the kernel is too old (before 5.14) or was built without this.
    pub fn new() -> io::Result<Self> {
        let map = Map::new(ENTRIES)?;
        let cgroup = File::open(cgroup_root()?)?;
        let cookie = namespace_cookie()?;
        let link =
            |moment, name| attach(&program(moment, &map, cookie), moment, name, std::os::fd::AsFd::as_fd(&cgroup));
        let links = [link(Moment::Connect4, "skiff_connect4")?, link(Moment::Connect6, "skiff_connect6")?];
        Ok(Self { map, known: BTreeMap::new(), _links: links })
    }

    /// Sends connections to `listener` to any of `endpoints`; to the listener itself if there are none.
    ///
    /// # Errors
    /// Where the kernel's table is full: then the listener gets its connections.
    pub fn set(&mut self, listener: SocketAddrV4, endpoints: &[SocketAddrV4]) -> io::Result<()> {
        let old = self.known.remove(&listener).unwrap_or_default();
        if old == endpoints {
            if !old.is_empty() {
                self.known.insert(listener, old);
            }
            return Ok(());
        }
        let done = self.write(listener, endpoints);
        let keep = if done.is_ok() { endpoints.len() } else { 0 };
        for number in (keep..old.len().max(endpoints.len())).rev() {
            self.map.remove(key(listener, number))?;
        }
        if keep > 0 {
            self.known.insert(listener, endpoints.to_vec());
        }
        done
    }

    /// The listeners that have a detour.
    pub fn listeners(&self) -> impl Iterator<Item = SocketAddrV4> {
        self.known.keys().copied()
    }

    /// Writes the first endpoint last: it holds the number of all. A connection that finds one missing meanwhile goes
    /// to the listener.
    fn write(&self, listener: SocketAddrV4, endpoints: &[SocketAddrV4]) -> io::Result<()> {
        let count = u32::try_from(endpoints.len()).map_err(io::Error::other)?;
        for (number, endpoint) in endpoints.iter().enumerate().rev() {
            self.map.set(key(listener, number), [word(*endpoint.ip()), port(*endpoint), count])?;
        }
        Ok(())
    }
}

fn key(listener: SocketAddrV4, number: usize) -> [u32; KEY] {
    // `write` has refused any number that is too large.
    [word(*listener.ip()), port(listener), u32::try_from(number).unwrap_or(u32::MAX)]
}

/// Addresses and ports are compared as the kernel holds them: in network order.
fn word(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

fn port(address: SocketAddrV4) -> u32 {
    u32::from(address.port().to_be())
}

/// Where the one hierarchy of cgroups that covers all processes is mounted.
fn cgroup_root() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let path = mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (root, path) = (fields.next()?, fields.next()?);
        (kind.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(path))
    });
    path.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup2 file system is mounted"))
}

/// What the kernel calls this thread's network namespace.
fn namespace_cookie() -> io::Result<u64> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .or_else(|_| std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    let (mut cookie, mut length) = (0_u64, size_of::<u64>() as libc::socklen_t);
    let place = (&raw mut cookie).cast();
    // SAFETY: the socket is open, and `cookie` and `length` are valid for writes and describe each other.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, place, &raw mut length)
    };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// Offsets in `struct bpf_sock_addr`.
mod context {
    pub(super) const IP4: i16 = 4;
    pub(super) const IP6: i16 = 8;
    pub(super) const PORT: i16 = 24;
    pub(super) const PROTOCOL: i16 = 36;
    pub(super) const SOCKET: i16 = 64;
}

/// Offsets in `struct bpf_sock`.
mod socket {
    pub(super) const BOUND_LINK: i16 = 0;
    pub(super) const SOURCE_IP4: i16 = 24;
}

/// Helpers of the kernel.
mod helper {
    pub(super) const MAP_LOOKUP: i32 = 1;
    pub(super) const RANDOM: i32 = 7;
    pub(super) const NAMESPACE_COOKIE: i32 = 122;
}

/// Operations.
mod op {
    pub(super) const LOAD_WORD: u8 = 0x61;
    pub(super) const LOAD_LONG: u8 = 0x79;
    pub(super) const STORE_WORD: u8 = 0x63;
    pub(super) const MOVE: u8 = 0xbf;
    pub(super) const SET: u8 = 0xb7;
    pub(super) const SET_WORD: u8 = 0xb4;
    pub(super) const ADD: u8 = 0x07;
    /// The unsigned rest of a division by a register, 32 bits.
    pub(super) const REST: u8 = 0x9c;
    pub(super) const CALL: u8 = 0x85;
    pub(super) const EXIT: u8 = 0x95;
    pub(super) const IF_EQUAL: u8 = 0x15;
    pub(super) const IF_NOT_EQUAL: u8 = 0x55;
    /// The same for 32 bits, which are not sign-extended.
    pub(super) const IF_WORD_NOT_EQUAL: u8 = 0x56;
    pub(super) const IF_REGISTERS_NOT_EQUAL: u8 = 0x5d;
}

/// The frame pointer, the context, what was looked up.
const FRAME: u8 = 10;
const CONTEXT: u8 = 6;
const FOUND: u8 = 7;
/// Where the key lies in the frame.
const KEY_AT: i16 = -16;

/// Jumps to `LEAVE` are filled in when it is known where that is.
const LEAVE: i16 = i16::MAX;

/// The program: looks for the listener that is connected to, and puts an endpoint in its place. A socket that has an
/// address or a link of its own could not reach it from there, and is left alone.
fn program(moment: Moment, map: &Map<KEY, VALUE>, cookie: u64) -> Vec<Instruction> {
    let i = instruction;
    let tcp = libc::IPPROTO_TCP;
    let mut all = vec![
        i(op::MOVE, CONTEXT, 1, 0, 0),
        i(op::LOAD_WORD, 2, CONTEXT, context::PROTOCOL, 0),
        i(op::IF_NOT_EQUAL, 2, 0, LEAVE, tcp),
    ];
    let mut address = context::IP4;
    if moment == Moment::Connect6 {
        let mapped = 0xffff_u32.to_be().cast_signed();
        for (at, wanted) in [(0, 0), (4, 0), (8, mapped)] {
            all.push(i(op::LOAD_WORD, 2, CONTEXT, context::IP6 + at, 0));
            all.push(i(op::IF_WORD_NOT_EQUAL, 2, 0, LEAVE, wanted));
        }
        address = context::IP6 + 12;
    }
    all.extend([
        i(op::LOAD_WORD, 2, CONTEXT, address, 0),
        i(op::STORE_WORD, FRAME, 2, KEY_AT, 0),
        i(op::LOAD_WORD, 2, CONTEXT, context::PORT, 0),
        i(op::STORE_WORD, FRAME, 2, KEY_AT + 4, 0),
        i(op::SET_WORD, 2, 0, 0, 0),
        i(op::STORE_WORD, FRAME, 2, KEY_AT + 8, 0),
    ]);
    all.extend(look_up(map));
    all.extend([i(op::MOVE, 1, CONTEXT, 0, 0), i(op::CALL, 0, 0, 0, helper::NAMESPACE_COOKIE)]);
    all.extend(wide(1, 0, cookie));
    all.extend([
        i(op::IF_REGISTERS_NOT_EQUAL, 0, 1, LEAVE, 0),
        i(op::LOAD_LONG, 1, CONTEXT, context::SOCKET, 0),
        i(op::IF_EQUAL, 1, 0, LEAVE, 0),
        i(op::LOAD_WORD, 2, 1, socket::BOUND_LINK, 0),
        i(op::IF_NOT_EQUAL, 2, 0, LEAVE, 0),
        i(op::LOAD_WORD, 2, 1, socket::SOURCE_IP4, 0),
        i(op::IF_NOT_EQUAL, 2, 0, LEAVE, 0),
        i(op::CALL, 0, 0, 0, helper::RANDOM),
        i(op::LOAD_WORD, 1, FOUND, 8, 0),
        i(op::REST, 0, 1, 0, 0),
        i(op::STORE_WORD, FRAME, 0, KEY_AT + 8, 0),
    ]);
    all.extend(look_up(map));
    all.extend([
        i(op::LOAD_WORD, 2, FOUND, 0, 0),
        i(op::STORE_WORD, CONTEXT, 2, address, 0),
        i(op::LOAD_WORD, 2, FOUND, 4, 0),
        i(op::STORE_WORD, CONTEXT, 2, context::PORT, 0),
    ]);
    let end = all.len();
    for (at, one) in all.iter_mut().enumerate() {
        one.land(LEAVE, end - at - 1);
    }
    // 1: the connection may go on.
    all.extend([i(op::SET, 0, 0, 0, 1), i(op::EXIT, 0, 0, 0, 0)]);
    all
}

/// Looks the key up that lies in the frame; what is not there ends the program.
fn look_up(map: &Map<KEY, VALUE>) -> Vec<Instruction> {
    let i = instruction;
    let mut all = map.load(1).to_vec();
    all.extend([
        i(op::MOVE, 2, FRAME, 0, 0),
        i(op::ADD, 2, 0, 0, KEY_AT.into()),
        i(op::CALL, 0, 0, 0, helper::MAP_LOOKUP),
        i(op::IF_EQUAL, 0, 0, LEAVE, 0),
        i(op::MOVE, FOUND, 0, 0, 0),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        net::{SocketAddr, TcpListener, TcpStream},
    };

    use super::*;
    use crate::netns;

    fn up() {
        let mut socket = crate::netlink::Socket::open(crate::netlink::Protocol::Route).unwrap();
        crate::link::Batch::new(&mut socket).up(1).commit().unwrap();
    }

    #[test]
    fn connections_take_the_detour() {
        let Ok(namespace) = netns::create() else { return eprintln!("skipped: needs root") };
        let tried = netns::within_open(&namespace, || {
            up();
            detours()
        });
        if let Err(error) = tried.unwrap() {
            eprintln!("skipped: {error}");
        }
    }

    fn v4(listener: &TcpListener) -> SocketAddrV4 {
        match listener.local_addr().unwrap() {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => unreachable!("these listeners are of IPv4"),
        }
    }

    fn detours() -> io::Result<()> {
        let mut detours = Detours::new()?;
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (front, one, two) = (listen(), listen(), listen());
        let reaches = || TcpStream::connect(v4(&front)).unwrap().peer_addr().unwrap().port();
        let (at, first, second) = (v4(&front), v4(&one), v4(&two));
        assert_eq!(reaches(), at.port());
        detours.set(at, &[first, second]).unwrap();
        let ports: Vec<u16> = (0..64).map(|_| reaches()).collect();
        assert!(ports.contains(&first.port()) && ports.contains(&second.port()), "{ports:?}");
        assert!(!ports.contains(&at.port()));
        let mapped = SocketAddr::new(at.ip().to_ipv6_mapped().into(), at.port());
        assert_ne!(TcpStream::connect(mapped).unwrap().peer_addr().unwrap().port(), at.port());
        detours.set(at, &[second]).unwrap();
        assert!((0..16).all(|_| reaches() == second.port()));
        let elsewhere = netns::create().unwrap();
        let other = netns::within_open(&elsewhere, || {
            up();
            let same = TcpListener::bind(at).unwrap();
            TcpStream::connect(at).unwrap().write_all(b"!").unwrap();
            same.accept().is_ok()
        });
        assert!(other.unwrap(), "another namespace is left alone");
        detours.set(at, &[]).unwrap();
        assert_eq!(reaches(), at.port());
        detours.set(at, &[first]).unwrap();
        drop(detours);
        assert_eq!(reaches(), at.port(), "nothing is left behind");
        Ok(())
    }
}
