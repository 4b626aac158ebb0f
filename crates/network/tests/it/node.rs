//! The node's own link, addresses, routes and settings.

use std::net::{Ipv4Addr, UdpSocket};

use skiff_linux::{
    link::{self, Address, Batch, Route, RouteType, Scope},
    netlink::{Protocol, Socket},
    sysctl,
};
use skiff_network::{Error, Network, leftovers};

use crate::lab::on_host;

#[test]
fn a_bare_host_gets_everything_it_needs_and_gives_it_back() {
    on_host(|config| {
        let network = Network::setup(config.clone()).unwrap();
        assert_eq!(network.node_ip(), Ipv4Addr::new(10, 1, 0, 1));
        assert_eq!(sysctl::read("net/ipv4/ip_forward").unwrap(), "1");
        assert_eq!(leftovers(&config).unwrap(), ["link skiff0", "route to 10.1.0.0/24", "route to 10.96.0.0/12"]);
        // A way for ClusterIPs without any default route, with the node's address as the source.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect((Ipv4Addr::new(10, 96, 0, 1), 443)).unwrap();
        assert_eq!(socket.local_addr().unwrap().ip(), network.node_ip());
        UdpSocket::bind((config.dns_address, 53)).unwrap();
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().send_to(b"?", (Ipv4Addr::LOCALHOST, 9)).unwrap();
        network.teardown().unwrap();
        assert!(leftovers(&config).unwrap().is_empty());
        assert_eq!(sysctl::read("net/ipv4/ip_forward").unwrap(), "0");
    });
}

#[test]
fn setting_up_twice_changes_nothing() {
    on_host(|config| {
        let first = Network::setup(config.clone()).unwrap();
        let before = leftovers(&config).unwrap();
        let second = Network::setup(config.clone()).unwrap();
        assert_eq!(leftovers(&config).unwrap(), before);
        assert_eq!(first.node_ip(), second.node_ip());
        // The value from before the first one is what comes back.
        second.teardown().unwrap();
        assert_eq!(sysctl::read("net/ipv4/ip_forward").unwrap(), "0");
    });
}

#[test]
fn a_host_with_an_address_keeps_it_as_the_nodes() {
    on_host(|config| {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        Batch::new(&mut socket).bridge("uplink").bridge("other").commit().unwrap();
        let (uplink, other) = (link::index_of("uplink").unwrap(), link::index_of("other").unwrap());
        let on = |link, network: &str| Address { link, network: network.parse().unwrap(), scope: Scope::Global };
        let mut batch = Batch::new(&mut socket);
        batch.up(uplink).up(other).address(&on(other, "192.0.2.1/24")).commit().unwrap();
        assert_eq!(Network::setup(config.clone()).unwrap().node_ip(), Ipv4Addr::new(192, 0, 2, 1));
        Batch::new(&mut socket).address(&on(uplink, "198.51.100.7/24")).commit().unwrap();
        let default = Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            kind: RouteType::Unicast,
            link: Some(uplink),
            gateway: Some(Ipv4Addr::new(198, 51, 100, 1)),
            source: None,
        };
        Batch::new(&mut socket).route(&default).commit().unwrap();
        assert_eq!(Network::setup(config.clone()).unwrap().node_ip(), Ipv4Addr::new(198, 51, 100, 7));
        let chosen = skiff_network::Config { node_ip: Some(Ipv4Addr::new(192, 0, 2, 1)), ..config.clone() };
        assert_eq!(Network::setup(chosen).unwrap().node_ip(), Ipv4Addr::new(192, 0, 2, 1));
        let wrong = skiff_network::Config { node_ip: Some(Ipv4Addr::new(203, 0, 113, 9)), ..config };
        assert!(matches!(Network::setup(wrong).unwrap_err(), Error::NotOurs { .. }));
    });
}

#[test]
fn contradictions_are_refused_before_anything_is_made() {
    on_host(|config| {
        let outside = skiff_network::Config { pod_cidr: "10.2.0.0/24".parse().unwrap(), ..config.clone() };
        assert!(matches!(Network::setup(outside).unwrap_err(), Error::Outside { .. }));
        let overlap = skiff_network::Config { service_cidr: "10.1.128.0/17".parse().unwrap(), ..config.clone() };
        assert!(matches!(Network::setup(overlap).unwrap_err(), Error::Overlap { .. }));
        let prefix = skiff_network::Config { link_prefix: "much-too-long".to_owned(), ..config.clone() };
        assert!(matches!(Network::setup(prefix).unwrap_err(), Error::Prefix { .. }));
        assert!(leftovers(&config).unwrap().is_empty());
    });
}
