//! Pods reach the node, the node reaches pods, pods reach each other, and nothing is left behind.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use skiff_linux::{
    link,
    netlink::{Protocol, Socket},
};
use skiff_network::{Error, GATEWAY, Network, leftovers};

use crate::lab::{Pod, on_host};

const LIMIT: Duration = Duration::from_secs(5);

fn greet(listener: TcpListener) {
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"hello");
        }
    });
}

fn hear(to: SocketAddr) -> (String, SocketAddr) {
    let mut stream = TcpStream::connect_timeout(&to, LIMIT).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (text, stream.local_addr().unwrap())
}

#[test]
fn pods_and_the_node_reach_each_other() {
    on_host(|config| {
        let network = Network::setup(config).unwrap();
        let (one, two) = (Pod::new(), Pod::new());
        let a = network.attach("uid-a", &one.path()).unwrap();
        let b = network.attach("uid-b", &two.path()).unwrap();
        assert_eq!((a.ip, a.gateway), (Ipv4Addr::new(10, 1, 0, 2), GATEWAY));
        greet(two.run(|| TcpListener::bind((b.ip, 80)).unwrap()));
        greet(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 81)).unwrap());
        let pod_to_pod = one.run(|| hear((b.ip, 80).into()));
        assert_eq!((pod_to_pod.0.as_str(), pod_to_pod.1.ip()), ("hello", a.ip.into()));
        let node_to_pod = hear((b.ip, 80).into());
        assert_eq!(node_to_pod.1.ip(), network.node_ip());
        assert_eq!(one.run(|| hear((network.node_ip(), 81).into())).0, "hello");
        assert_eq!(one.run(|| hear((network.config().dns_address, 81).into())).0, "hello");
        greet(one.run(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 82)).unwrap()));
        assert_eq!(one.run(|| hear((Ipv4Addr::LOCALHOST, 82).into())).0, "hello");
    });
}

#[test]
fn datagrams_are_answered_from_the_address_that_was_asked() {
    on_host(|config| {
        let network = Network::setup(config).unwrap();
        let pod = Pod::new();
        network.attach("uid", &pod.path()).unwrap();
        let dns = network.config().dns_address;
        let server = UdpSocket::bind((dns, 53)).unwrap();
        server.set_read_timeout(Some(LIMIT)).unwrap();
        let client = pod.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.connect((dns, 53)).unwrap();
        client.send(b"?").unwrap();
        let mut buffer = [0; 8];
        let (_, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(b"!", from).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 1);
    });
}

#[test]
fn a_detached_pod_leaves_nothing_and_its_address_fails_at_once() {
    on_host(|config| {
        let network = Network::setup(config.clone()).unwrap();
        let before = leftovers(&config).unwrap();
        let pod = Pod::new();
        let address = network.attach("uid", &pod.path()).unwrap();
        assert_eq!(leftovers(&config).unwrap().len(), before.len() + 2);
        network.detach("uid").unwrap();
        network.detach("uid").unwrap();
        assert_eq!(leftovers(&config).unwrap(), before);
        assert_eq!(network.address("uid"), None);
        let start = Instant::now();
        TcpStream::connect_timeout(&(address.ip, 80).into(), LIMIT).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert_ne!(network.attach("other", &pod.path()).unwrap().ip, address.ip);
    });
}

#[test]
fn a_restart_finds_the_pods_and_drops_the_strangers() {
    on_host(|config| {
        let (one, two) = (Pod::new(), Pod::new());
        let first = Network::setup(config.clone()).unwrap();
        let a = first.attach("uid-a", &one.path()).unwrap();
        let b = first.attach("uid-b", &two.path()).unwrap();
        drop(first);
        let second = Network::setup(config).unwrap();
        assert_eq!(second.address("uid-a"), Some(a));
        assert_eq!(second.address("uid-b"), Some(b));
        assert_eq!(second.restore(&["uid-a"]).unwrap(), ["uid-b"]);
        assert_eq!(second.address("uid-b"), None);
        greet(one.run(|| TcpListener::bind((a.ip, 80)).unwrap()));
        assert_eq!(hear((a.ip, 80).into()).0, "hello");
    });
}

#[test]
fn attaching_again_keeps_the_address_and_follows_the_namespace() {
    on_host(|config| {
        let network = Network::setup(config).unwrap();
        let (old, new) = (Pod::new(), Pod::new());
        let first = network.attach("uid", &old.path()).unwrap();
        assert_eq!(network.attach("uid", &new.path()).unwrap(), first);
        greet(new.run(|| TcpListener::bind((first.ip, 80)).unwrap()));
        assert_eq!(hear((first.ip, 80).into()).0, "hello");
    });
}

#[test]
fn a_failed_attach_leaves_nothing() {
    on_host(|config| {
        let network = Network::setup(config.clone()).unwrap();
        let before = leftovers(&config).unwrap();
        let error = network.attach("uid", std::path::Path::new("/nowhere/ns")).unwrap_err();
        assert!(matches!(error, Error::Namespace { .. }), "{error}");
        let error = network.attach("uid", std::path::Path::new("/proc/self/stat")).unwrap_err();
        assert!(!error.to_string().is_empty());
        assert_eq!(leftovers(&config).unwrap(), before);
        assert_eq!(network.address("uid"), None);
    });
}

#[test]
fn many_pods_are_attached_side_by_side_and_quickly() {
    on_host(|config| {
        const PODS: usize = 40;
        let network = Network::setup(config.clone()).unwrap();
        let pods: Vec<Pod> = (0..PODS).map(|_| Pod::new()).collect();
        let start = Instant::now();
        for (number, pod) in pods.iter().enumerate().take(PODS / 2) {
            network.attach(&format!("uid-{number}"), &pod.path()).unwrap();
        }
        let each = start.elapsed() / (PODS as u32 / 2);
        eprintln!("attach: {each:?} each");
        std::thread::scope(|scope| {
            for (number, pod) in pods.iter().enumerate().skip(PODS / 2) {
                let network = network.clone();
                scope.spawn(move || network.attach(&format!("uid-{number}"), &pod.path()).unwrap());
            }
        });
        let links = link::links(&mut Socket::open(Protocol::Route).unwrap()).unwrap();
        assert_eq!(links.iter().filter(|link| link.name.starts_with("skiff")).count(), PODS + 1);
        assert!(each < Duration::from_millis(50), "{each:?}");
        network.teardown().unwrap();
        assert!(leftovers(&config).unwrap().is_empty());
    });
}
