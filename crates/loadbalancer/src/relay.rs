//! Moving bytes between clients and endpoints. Holds what all relays of the process share.

use std::{io, sync::Arc, time::Duration};

use skiff_linux::splice::Pool;
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, sync::Semaphore};

pub(crate) mod proxy_protocol;
pub(crate) mod tcp;
pub(crate) mod udp;

/// Pipes that are kept although nobody needs them now.
const SPARE_PIPES: usize = 64;
/// After this silence the peer of a connection is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Data that nobody acknowledges for this long ends a connection.
const UNANSWERED: Duration = Duration::from_secs(120);

/// What all relays share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) pipes: Arc<Pool>,
    /// Connections that may be open; more wait in the kernel's queue.
    pub(crate) connections: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(connections: usize) -> Self {
        Self { pipes: Arc::new(Pool::new(SPARE_PIPES)), connections: Arc::new(Semaphore::new(connections)) }
    }
}

/// Sets what every relayed connection has: no delay, and an end when the peer is gone without a word.
fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UNANSWERED))?;
    socket
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL).with_retries(3))
}

/// Makes the end of `stream` a reset rather than an orderly close.
fn reset(stream: &TcpStream) {
    // A socket that is dead already needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
