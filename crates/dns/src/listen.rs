//! The sockets: one UDP socket per core and address, one TCP listener per address.
//!
//! They are bound with `IP_FREEBIND`, so that the node-local address may be added to its link later.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::Error;

const BACKLOG: i32 = 1024;
/// Room for a burst of queries while all cores are busy.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Bound sockets that nobody reads yet.
#[derive(Debug)]
pub(crate) struct Sockets {
    addresses: Vec<SocketAddr>,
    datagrams: Vec<UdpSocket>,
    listeners: Vec<TcpListener>,
}

impl Sockets {
    pub(crate) fn bind(addresses: &[SocketAddr]) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut bound = Self { addresses: Vec::new(), datagrams: Vec::new(), listeners: Vec::new() };
        for &wanted in addresses {
            let fail = |protocol| move |source| Error::Bind { address: wanted, protocol, source };
            let listener = open(wanted, Type::STREAM).map_err(fail("tcp"))?;
            let address = listener.local_addr().and_then(inet).map_err(fail("tcp"))?;
            for _ in 0..cores {
                bound.datagrams.push(open(address, Type::DGRAM).map_err(fail("udp"))?.into());
            }
            bound.listeners.push(listener.into());
            bound.addresses.push(address);
        }
        Ok(bound)
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(crate) fn into_tokio(self) -> io::Result<(Vec<tokio::net::UdpSocket>, Vec<tokio::net::TcpListener>)> {
        let datagrams = self.datagrams.into_iter().map(tokio::net::UdpSocket::from_std).collect::<Result<_, _>>()?;
        let listeners = self.listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<Result<_, _>>()?;
        Ok((datagrams, listeners))
    }
}

fn inet(address: socket2::SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn open(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let stream = kind == Type::STREAM;
    let protocol = if stream { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    if stream {
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
    } else {
        socket.set_reuse_port(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&address.into())?;
    }
    Ok(socket)
}
