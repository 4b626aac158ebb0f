//! UDP: a session per client address, with a socket of its own towards one endpoint, until it falls silent.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use skiff_api::endpoints::Protocol;
use tokio::{net::UdpSocket, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::proxy_protocol;
use crate::route::Slot;

/// A session that carries nothing for this long ends.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// Sessions per listener; past that the one that has been silent longest ends.
const SESSIONS: usize = 4096;
const LARGEST: usize = 65_535;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LARGEST]);
}

struct Session {
    endpoint: SocketAddr,
    socket: Arc<UdpSocket>,
    used: Arc<AtomicU64>,
    _replies: AbortOnDropHandle<()>,
}

type Sessions = Arc<Mutex<HashMap<SocketAddr, Session>>>;

/// A bound listener with its sessions.
struct Listener {
    socket: Arc<UdpSocket>,
    to: SocketAddr,
    slot: Arc<Slot>,
    published: bool,
    sessions: Sessions,
    started: Instant,
    idle: Duration,
}

/// Relays datagrams until it is aborted; its sessions end with it.
pub(crate) async fn listen(socket: UdpSocket, slot: Arc<Slot>, published: bool, idle: Duration) {
    let Ok(to) = socket.local_addr() else { return };
    let socket = Arc::new(socket);
    let listener =
        Listener { socket, to, slot, published, sessions: Sessions::default(), started: Instant::now(), idle };
    loop {
        if listener.socket.readable().await.is_err() {
            return;
        }
        let received = BUFFER.with_borrow_mut(|buffer| {
            let (length, client) = listener.socket.try_recv_from(buffer)?;
            Ok::<_, io::Error>((buffer.get(..length).unwrap_or_default().to_vec(), client))
        });
        if let Ok((datagram, client)) = received {
            listener.forward(client, datagram).await;
        }
    }
}

impl Listener {
    async fn forward(&self, address: SocketAddr, mut datagram: Vec<u8>) {
        let ip = address.ip().to_canonical();
        let route = Arc::clone(&self.slot.route());
        if self.published && !route.admits(ip) {
            return;
        }
        if self.published && route.proxy_protocol {
            let mut with_header = proxy_protocol::header(Protocol::Udp, address, self.to);
            with_header.append(&mut datagram);
            datagram = with_header;
        }
        let kept = {
            let mut sessions = lock(&self.sessions);
            sessions.retain(|held, session| *held != address || route.endpoints.contains(&session.endpoint));
            sessions.get(&address).map(|session| {
                session.used.store(self.now(), Ordering::Relaxed);
                Arc::clone(&session.socket)
            })
        };
        if let Some(socket) = kept
            && socket.send(&datagram).await.is_ok()
        {
            return;
        }
        // The endpoint refused an earlier datagram, or there is no session yet.
        for endpoint in self.slot.candidates(ip, Instant::now()) {
            let Ok(socket) = self.open(address, endpoint).await else { continue };
            if socket.send(&datagram).await.is_ok() {
                return;
            }
        }
    }

    async fn open(&self, address: SocketAddr, endpoint: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        let any: SocketAddr = match endpoint {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(endpoint).await?;
        let socket = Arc::new(socket);
        let used = Arc::new(AtomicU64::new(self.now()));
        let replies = Replies {
            from: Arc::clone(&socket),
            to: Arc::clone(&self.socket),
            client: address,
            used: Arc::clone(&used),
            started: self.started,
            idle: self.idle,
        };
        let sessions = Arc::downgrade(&self.sessions);
        let task = tokio::spawn(async move {
            let socket = replies.run().await;
            if let Some(sessions) = sessions.upgrade() {
                lock(&sessions).retain(|held, session| *held != address || !Arc::ptr_eq(&session.socket, &socket));
            }
        });
        let session = Session { endpoint, socket: Arc::clone(&socket), used, _replies: AbortOnDropHandle::new(task) };
        self.slot.chosen(address.ip().to_canonical(), endpoint, Instant::now());
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= SESSIONS {
            let silent = sessions.iter().min_by_key(|(_, held)| held.used.load(Ordering::Relaxed));
            let silent = silent.map(|(address, _)| *address);
            silent.and_then(|address| sessions.remove(&address));
        }
        sessions.insert(address, session);
        Ok(socket)
    }

    fn now(&self) -> u64 {
        millis(self.started)
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn lock(sessions: &Sessions) -> MutexGuard<'_, HashMap<SocketAddr, Session>> {
    // A panic of another holder cannot leave the map half changed.
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way back of a session.
struct Replies {
    from: Arc<UdpSocket>,
    to: Arc<UdpSocket>,
    client: SocketAddr,
    used: Arc<AtomicU64>,
    started: Instant,
    idle: Duration,
}

impl Replies {
    /// Passes replies on until the session is idle or its endpoint refuses; gives its socket back.
    async fn run(self) -> Arc<UdpSocket> {
        loop {
            match timeout(self.idle, self.from.readable()).await {
                Ok(Ok(())) => {
                    if self.pass().is_err() {
                        break;
                    }
                }
                Ok(Err(_)) => break,
                Err(_) => {
                    let silent = millis(self.started).saturating_sub(self.used.load(Ordering::Relaxed));
                    if u128::from(silent) >= self.idle.as_millis() {
                        break;
                    }
                }
            }
        }
        self.from
    }

    fn pass(&self) -> io::Result<()> {
        BUFFER.with_borrow_mut(|buffer| match self.from.try_recv(buffer) {
            Ok(length) => {
                self.used.store(millis(self.started), Ordering::Relaxed);
                // A client that does not read loses datagrams, as it would on any network.
                let _ = self.to.try_send_to(buffer.get(..length).unwrap_or_default(), self.client);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        })
    }
}
