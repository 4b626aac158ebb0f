//! Makes the listeners match a plan, and learns by trying which sockets others hold.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    net::IpAddr,
    sync::Arc,
};

use skiff_api::endpoints::Protocol;
use socket2::{Domain, Socket as RawSocket, Type};
use tokio::task::JoinHandle;

use crate::{
    holder::{self, Holder},
    index::{Port, ServiceKey},
    plan::{Plan, Refusal, Socket, Taken, Use},
    relay::{Shared, tcp, udp},
    route::{Route, Slot},
    shortcut::Shortcuts,
};

const BACKLOG: i32 = 1024;

/// A socket that is bound, but not served yet.
enum Bound {
    Tcp(tokio::net::TcpListener),
    Udp(tokio::net::UdpSocket),
}

struct Open {
    purpose: Use,
    task: JoinHandle<()>,
}

/// The route of a service port, and which listeners lead there.
#[derive(Default)]
struct Behind {
    slot: Arc<Slot>,
    sockets: BTreeSet<Socket>,
}

/// The listeners that are open, and the routes behind them.
pub(crate) struct Listeners {
    open: BTreeMap<Socket, Open>,
    behind: HashMap<(ServiceKey, Port), Behind>,
    shortcuts: Shortcuts,
    shared: Shared,
}

impl Listeners {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { open: BTreeMap::new(), behind: HashMap::new(), shortcuts: Shortcuts::default(), shared }
    }

    /// Sends the new connections of a service port elsewhere.
    pub(crate) fn route(&mut self, service: &ServiceKey, port: Port, route: Route) {
        let behind = self.behind.entry((service.clone(), port)).or_default();
        for socket in &behind.sockets {
            if let Some(open) = self.open.get(socket) {
                self.shortcuts.set(*socket, !open.purpose.node_port, &route);
            }
        }
        behind.slot.set(route);
    }

    /// Opens and closes listeners until they are those of a plan; `make` plans anew whenever a socket
    /// turns out to be taken. Ends because every round learns of a socket.
    pub(crate) async fn follow(&mut self, make: impl Fn(&Taken) -> Plan) -> Plan {
        let mut taken = Taken::default();
        let mut fresh = BTreeMap::new();
        loop {
            let plan = make(&taken);
            self.close_unless(|socket, purpose| plan.listeners.get(socket) == Some(purpose)).await;
            let known = taken.len();
            for socket in plan.listeners.keys().copied() {
                if self.open.contains_key(&socket) || fresh.contains_key(&socket) {
                    continue;
                }
                match bind(socket) {
                    Ok(bound) => drop(fresh.insert(socket, bound)),
                    Err(error) => note(&mut taken, socket, error).await,
                }
            }
            if taken.len() == known {
                self.serve(&plan, fresh);
                return plan;
            }
        }
    }

    fn serve(&mut self, plan: &Plan, fresh: BTreeMap<Socket, Bound>) {
        for (socket, bound) in fresh {
            let Some(purpose) = plan.listeners.get(&socket).cloned() else { continue };
            let behind = self.behind.entry((purpose.service.clone(), purpose.port)).or_default();
            let (slot, shared) = (Arc::clone(&behind.slot), self.shared.clone());
            let published = !purpose.node_port;
            behind.sockets.insert(socket);
            self.shortcuts.set(socket, published, &slot.route());
            let task = match bound {
                Bound::Tcp(listener) => tokio::spawn(tcp::listen(listener, slot, published, shared)),
                Bound::Udp(listener) => tokio::spawn(udp::listen(listener, slot, published, udp::IDLE)),
            };
            self.open.insert(socket, Open { purpose, task });
        }
    }

    /// Forgets the routes of a service that needs no listeners any more.
    pub(crate) fn forget(&mut self, service: &ServiceKey) {
        let shortcuts = &mut self.shortcuts;
        self.behind.retain(|(owner, _), behind| {
            if owner == service {
                behind.sockets.iter().for_each(|socket| shortcuts.remove(*socket));
            }
            owner != service
        });
    }

    /// Closes listeners, and returns when their addresses are free.
    async fn close_unless(&mut self, keep: impl Fn(&Socket, &Use) -> bool) {
        let gone: Vec<Socket> =
            self.open.iter().filter(|(socket, open)| !keep(socket, &open.purpose)).map(|(socket, _)| *socket).collect();
        let closed: Vec<Open> = gone.iter().filter_map(|socket| self.take(*socket)).collect();
        closed.iter().for_each(|open| open.task.abort());
        for open in closed {
            // The socket closes with its task; that it was cancelled is what we wanted.
            let _ = open.task.await;
        }
    }

    fn take(&mut self, socket: Socket) -> Option<Open> {
        self.shortcuts.remove(socket);
        let open = self.open.remove(&socket)?;
        if let Some(behind) = self.behind.get_mut(&(open.purpose.service.clone(), open.purpose.port)) {
            behind.sockets.remove(&socket);
        }
        Some(open)
    }

    /// Closes all listeners.
    pub(crate) async fn close(&mut self) {
        self.close_unless(|_, _| false).await;
    }

    /// What is listened on, and what for.
    pub(crate) fn open(&self) -> impl Iterator<Item = (Socket, &Use)> {
        self.open.iter().map(|(socket, open)| (*socket, &open.purpose))
    }
}

async fn note(taken: &mut Taken, socket: Socket, error: io::Error) {
    if error.kind() != io::ErrorKind::AddrInUse {
        let everywhere = error.kind() == io::ErrorKind::PermissionDenied;
        return taken.note(socket, everywhere, Refusal::Refused(error.to_string()));
    }
    let found = tokio::task::spawn_blocking(move || holder::find(socket)).await.unwrap_or_default();
    taken.note(socket, found.everywhere, Refusal::Held(found.holder));
}

fn bind(socket: Socket) -> io::Result<Bound> {
    let address = socket.address();
    let kind = if socket.protocol == Protocol::Udp { Type::DGRAM } else { Type::STREAM };
    let raw = RawSocket::new(Domain::for_address(address), kind, None)?;
    raw.set_nonblocking(true)?;
    if address.is_ipv6() {
        raw.set_only_v6(true)?;
    }
    if socket.protocol == Protocol::Udp {
        raw.bind(&address.into())?;
        return Ok(Bound::Udp(tokio::net::UdpSocket::from_std(raw.into())?));
    }
    raw.set_reuse_address(true)?;
    raw.bind(&address.into())?;
    raw.listen(BACKLOG)?;
    Ok(Bound::Tcp(tokio::net::TcpListener::from_std(raw.into())?))
}

/// Whether the host has that address.
pub(crate) fn exists(address: IpAddr) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_ok()
}

/// How a holder is named to users.
pub(crate) fn described(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Held(Some(Holder { pid, name })) => format!("is held by {name} (pid {pid})"),
        Refusal::Held(None) => "is held by another process".to_owned(),
        Refusal::Service(key) => format!("is held by service {key}"),
        Refusal::Refused(reason) => format!("is refused: {reason}"),
        Refusal::Protocol => "has a protocol that load balancers of this cluster don't speak".to_owned(),
    }
}
