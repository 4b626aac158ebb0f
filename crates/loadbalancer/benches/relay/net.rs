//! A pod's network namespace beside this one, as the network crate would make it.

use std::{net::Ipv4Addr, os::fd::AsFd as _, thread, time::Duration};

use ipnet::Ipv4Net;
use skiff_linux::{
    link::{self, Address, Batch, Neighbour, Route, RouteType, Scope, Veth},
    netlink::{Protocol, Socket},
    netns,
};

const NODE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const HERE: [u8; 6] = [2, 1, 0, 0, 0, 1];
const THERE: [u8; 6] = [2, 2, 0, 0, 0, 1];

/// Makes it, and runs `serve` in there; threads that it leaves behind stay.
pub(crate) fn pod(ip: Ipv4Addr, serve: impl FnOnce() + Send) {
    let namespace = netns::create().expect("a network namespace");
    let mut socket = Socket::open(Protocol::Route).expect("netlink");
    let veth = Veth {
        name: "pod",
        mac: HERE,
        alias: "",
        peer_name: "eth0",
        peer_mac: THERE,
        peer_namespace: namespace.as_fd(),
        mtu: 1500,
    };
    Batch::new(&mut socket).veth(&veth).commit().expect("a veth pair");
    end(&mut socket, "pod", NODE, ip, THERE);
    netns::within_open(&namespace, || {
        let mut socket = Socket::open(Protocol::Route).expect("netlink");
        end(&mut socket, "eth0", ip, NODE, HERE);
        serve();
    })
    .expect("the namespace that was just made");
    let link = link::index_of("pod").expect("the link that was just made");
    while !link::passes(&mut socket, link).expect("the link's state") {
        thread::sleep(Duration::from_millis(1));
    }
}

/// One end of the pair, with the way to the other.
fn end(socket: &mut Socket, name: &str, own: Ipv4Addr, other: Ipv4Addr, mac: [u8; 6]) {
    let link = link::index_of(name).expect("the link that was just made");
    let route = Route {
        destination: Ipv4Net::from(other),
        kind: RouteType::Unicast,
        link: Some(link),
        gateway: None,
        source: Some(own),
    };
    let address = Address { link, network: Ipv4Net::from(own), scope: Scope::Global };
    let mut batch = Batch::new(socket);
    batch.up(1).address(&address).up(link).neighbour(&Neighbour { link, address: other, mac });
    batch.route(&route).commit().expect("addresses and routes");
}
