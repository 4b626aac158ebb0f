//! A node and its pods in network namespaces of their own, with real sockets.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd as _,
    thread,
    time::Duration,
};

use skiff_linux::{
    link::{self, Address, Batch, Neighbour, Route, RouteType, Scope, Veth},
    netlink::{Protocol, Socket},
    netns,
    nft::Kernel,
    sysctl,
};
use skiff_proxy::{Event, Programmer};

use crate::fixture::{settings, synced};

pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// A node: run within its namespace.
pub(crate) struct Node {
    pub(crate) programmer: Programmer<Kernel>,
    pods: u8,
}

/// The node's address, and the only one it has besides loopback.
pub(crate) const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// Runs `test` on a fresh node with a routed pod network and a table without services.
pub(crate) fn on_node(test: impl FnOnce(&mut Node) + Send) {
    on_bare_node(|mut node| {
        node.take(synced());
        test(&mut node);
    });
}

/// Runs `test` on a fresh node with a routed pod network, and no table yet.
pub(crate) fn on_bare_node(test: impl FnOnce(Node) + Send) {
    on_host(|| {
        sysctl::set("net/ipv4/ip_forward", "1").unwrap();
        let mut socket = Socket::open(Protocol::Route).unwrap();
        Batch::new(&mut socket).bridge("node0").commit().unwrap();
        let link = link::index_of("node0").unwrap();
        let mut batch = Batch::new(&mut socket);
        batch.up(1).up(link).address(&address(link, NODE_IP));
        batch.route(&to("10.96.0.0/12", link, None, Some(NODE_IP))).commit().unwrap();
        let programmer = Programmer::new(Kernel::open("skiff").unwrap(), settings());
        test(Node { programmer, pods: 1 });
    });
}

fn address(link: u32, ip: Ipv4Addr) -> Address {
    Address { link, network: ip.into(), scope: Scope::Global }
}

fn to(destination: &str, link: u32, gateway: Option<Ipv4Addr>, source: Option<Ipv4Addr>) -> Route {
    let destination = destination.parse().unwrap();
    Route { destination, kind: RouteType::Unicast, link: Some(link), gateway, source }
}

/// Runs `test` in a fresh network namespace.
pub(crate) fn on_host(test: impl FnOnce() + Send) {
    netns::within_open(&netns::create().unwrap(), test).unwrap();
}

impl Node {
    /// Takes events in and programs them.
    pub(crate) fn take(&mut self, events: impl IntoIterator<Item = Event>) -> skiff_proxy::Round {
        events.into_iter().for_each(|event| self.programmer.take(event));
        self.programmer.round().unwrap()
    }

    /// A pod in the cluster's range.
    pub(crate) fn pod(&mut self) -> Pod {
        self.pods += 1;
        self.neighbour(Ipv4Addr::new(10, 1, 0, self.pods))
    }

    /// A host outside the cluster, one hop away.
    pub(crate) fn outsider(&mut self) -> Pod {
        self.pods += 1;
        self.neighbour(Ipv4Addr::new(192, 0, 2, self.pods))
    }

    fn neighbour(&self, ip: Ipv4Addr) -> Pod {
        let namespace = netns::create().unwrap();
        let name = format!("to{}", self.pods);
        let (here, there) = ([2, 1, 0, 0, 0, self.pods], [2, 2, 0, 0, 0, self.pods]);
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let veth = Veth {
            name: &name,
            mac: here,
            alias: "",
            peer_name: "eth0",
            peer_mac: there,
            peer_namespace: namespace.as_fd(),
            mtu: 1500,
        };
        Batch::new(&mut socket).veth(&veth).commit().unwrap();
        let link = link::index_of(&name).unwrap();
        let mut batch = Batch::new(&mut socket);
        batch.up(link).neighbour(&Neighbour { link, address: ip, mac: there });
        batch.route(&to(&format!("{ip}/32"), link, None, Some(NODE_IP))).commit().unwrap();
        netns::within_open(&namespace, || {
            let mut socket = Socket::open(Protocol::Route).unwrap();
            let link = link::index_of("eth0").unwrap();
            let mut batch = Batch::new(&mut socket);
            batch.up(1).address(&address(link, ip)).up(link);
            batch.neighbour(&Neighbour { link, address: GATEWAY, mac: here });
            batch.route(&to("0.0.0.0/0", link, Some(GATEWAY), None)).commit().unwrap();
        })
        .unwrap();
        while !link::passes(&mut socket, link).unwrap() {
            thread::sleep(Duration::from_millis(1));
        }
        Pod { ip, namespace }
    }
}

/// A pod of the node.
pub(crate) struct Pod {
    pub(crate) ip: Ipv4Addr,
    namespace: File,
}

impl Pod {
    /// Runs `work` inside.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        netns::within_open(&self.namespace, work).unwrap()
    }

    /// Serves on port 8080: tells each client the pod's address and the client's as it is seen here.
    pub(crate) fn serve(&self) {
        let listener = self.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap());
        let me = self.ip;
        thread::spawn(move || {
            while let Ok((mut stream, client)) = listener.accept() {
                let _ = write!(stream, "{me} {}", client.ip());
            }
        });
    }

    /// Answers datagrams on port 8080 with the pod's address.
    pub(crate) fn serve_udp(&self) {
        let socket = self.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap());
        let me = self.ip.to_string();
        thread::spawn(move || {
            let mut buffer = [0; 16];
            while let Ok((_, client)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(me.as_bytes(), client);
            }
        });
    }
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// From that pod, which saw the client at that address.
    From(Ipv4Addr, Ipv4Addr),
    /// No: at once.
    Refused,
    /// Nothing.
    Silence,
}

impl Answer {
    pub(crate) fn pod(&self) -> Ipv4Addr {
        match self {
            Self::From(pod, _) => *pod,
            other => panic!("no answer but {other:?}"),
        }
    }
}

/// Connects from the calling thread's namespace.
pub(crate) fn ask(to: impl Into<SocketAddr>) -> Answer {
    ask_within(to, LIMIT)
}

/// The same, with less patience: for what is expected to be silent.
pub(crate) fn ask_within(to: impl Into<SocketAddr>, limit: Duration) -> Answer {
    let mut stream = match TcpStream::connect_timeout(&to.into(), limit) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Answer::Refused,
        Err(error) if error.kind() == ErrorKind::TimedOut => return Answer::Silence,
        Err(error) => panic!("{error}"),
    };
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (pod, client) = text.split_once(' ').unwrap();
    Answer::From(pod.parse().unwrap(), client.parse().unwrap())
}
