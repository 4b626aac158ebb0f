//! Connections that need no relay: programs on this machine that connect to a listener on loopback are connected to an
//! endpoint by the kernel itself.
//!
//! The listener stays. It holds the port, and it gets what cannot take the way past it: services that remember their
//! clients, that want to know them or that turn some away, IPv6, and every connection where the kernel offers none.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use skiff_api::endpoints::Protocol;
use skiff_linux::detour::Detours;

use crate::{plan::Socket, route::Route};

/// The shortcuts of all listeners.
#[derive(Debug, Default)]
pub(crate) enum Shortcuts {
    /// Nobody has needed one yet.
    #[default]
    Unasked,
    Open(Detours),
    /// The kernel has none for us.
    Refused,
}

impl Shortcuts {
    /// Leads connections past that listener as its route says.
    pub(crate) fn set(&mut self, socket: Socket, published: bool, route: &Route) {
        let Some(listener) = listener(socket) else { return };
        let endpoints = endpoints(published, route);
        if matches!(self, Self::Unasked) && !endpoints.is_empty() {
            *self = Self::open();
        }
        let Self::Open(detours) = self else { return };
        if let Err(error) = detours.set(listener, &endpoints) {
            tracing::warn!(%listener, %error, "connections are relayed: the kernel does not take their shortcut");
        }
    }

    /// Leads connections to that listener again.
    pub(crate) fn remove(&mut self, socket: Socket) {
        self.set(socket, false, &Route::default());
    }

    fn open() -> Self {
        match Detours::new() {
            Ok(detours) => Self::Open(detours),
            Err(error) => {
                tracing::info!(%error, "connections on loopback are relayed: the kernel offers no shortcut");
                Self::Refused
            }
        }
    }
}

fn listener(socket: Socket) -> Option<SocketAddrV4> {
    match socket.address {
        IpAddr::V4(address) if address.is_loopback() && socket.protocol == Protocol::Tcp => {
            Some(SocketAddrV4::new(address, socket.port))
        }
        _ => None,
    }
}

/// The endpoints that the kernel may choose from, all of them or none.
fn endpoints(published: bool, route: &Route) -> Vec<SocketAddrV4> {
    let restricted = published && (route.proxy_protocol || !route.sources.is_empty());
    if restricted || route.affinity.is_some() {
        return Vec::new();
    }
    let v4 = |endpoint: &SocketAddr| match endpoint {
        SocketAddr::V4(endpoint) => Some(*endpoint),
        SocketAddr::V6(_) => None,
    };
    route.endpoints.iter().map(v4).collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_plain_services_take_the_shortcut() {
        let endpoint: SocketAddrV4 = "10.1.0.1:80".parse().unwrap();
        let plain = Route { endpoints: vec![endpoint.into()], ..Route::default() };
        assert_eq!(endpoints(true, &plain), [endpoint]);
        let sticky = Route { affinity: Some(Duration::from_secs(1)), ..plain.clone() };
        let announced = Route { proxy_protocol: true, ..plain.clone() };
        let closed = Route { sources: vec!["192.0.2.0/24".parse().unwrap()], ..plain.clone() };
        for route in [&sticky, &announced, &closed] {
            assert_eq!(endpoints(true, route), []);
        }
        // Neither applies to node ports.
        assert_eq!(endpoints(false, &announced), [endpoint]);
        assert_eq!(endpoints(false, &closed), [endpoint]);
        let mixed = Route { endpoints: vec![endpoint.into(), "[fd00::1]:80".parse().unwrap()], ..plain };
        assert_eq!(endpoints(true, &mixed), []);
    }

    #[test]
    fn only_tcp_on_loopback_has_shortcuts() {
        let socket = |protocol, address: &str| Socket { protocol, address: address.parse().unwrap(), port: 80 };
        assert!(listener(socket(Protocol::Tcp, "127.0.0.2")).is_some());
        for other in
            [socket(Protocol::Udp, "127.0.0.1"), socket(Protocol::Tcp, "::1"), socket(Protocol::Tcp, "192.0.2.1")]
        {
            assert!(listener(other).is_none());
        }
    }
}
