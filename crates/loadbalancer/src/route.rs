//! Where the connections of one service port go: endpoints in random order, a sticky one first.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use rand::seq::SliceRandom as _;

/// Clients whose endpoint is remembered, per service port.
const REMEMBERED: usize = 10_000;

/// What is known of a service port now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoints: Vec<SocketAddr>,
    pub(crate) affinity: Option<Duration>,
    pub(crate) proxy_protocol: bool,
    /// Clients that may use the published ports; empty: all.
    pub(crate) sources: Vec<IpNet>,
}

impl Route {
    pub(crate) fn admits(&self, client: IpAddr) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|range| range.contains(&client))
    }
}

/// The route of a service port, shared by all its listeners.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    route: ArcSwap<Route>,
    sticky: Mutex<HashMap<IpAddr, (SocketAddr, Instant)>>,
}

impl Slot {
    pub(crate) fn route(&self) -> arc_swap::Guard<std::sync::Arc<Route>> {
        self.route.load()
    }

    /// Sends new connections elsewhere; those that are there stay.
    pub(crate) fn set(&self, route: Route) {
        self.route.store(std::sync::Arc::new(route));
    }

    /// The endpoints in the order in which they are to be tried.
    pub(crate) fn candidates(&self, client: IpAddr, now: Instant) -> Vec<SocketAddr> {
        let route = self.route.load();
        let mut endpoints = route.endpoints.clone();
        endpoints.shuffle(&mut rand::rng());
        if let Some(kept) = route.affinity.and_then(|timeout| self.kept(client, timeout, now))
            && let Some(position) = endpoints.iter().position(|endpoint| *endpoint == kept)
        {
            endpoints.swap(0, position);
        }
        endpoints
    }

    /// Remembers that the client was sent to `endpoint`.
    pub(crate) fn chosen(&self, client: IpAddr, endpoint: SocketAddr, now: Instant) {
        let Some(timeout) = self.route.load().affinity else { return };
        let mut sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
        if sticky.len() >= REMEMBERED && !sticky.contains_key(&client) {
            sticky.retain(|_, (_, used)| now.saturating_duration_since(*used) < timeout);
            if sticky.len() >= REMEMBERED {
                sticky.clear();
            }
        }
        sticky.insert(client, (endpoint, now));
    }

    fn kept(&self, client: IpAddr, timeout: Duration, now: Instant) -> Option<SocketAddr> {
        let sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
        let (endpoint, used) = sticky.get(&client)?;
        (now.saturating_duration_since(*used) < timeout).then_some(*endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinity_lasts_its_time_and_follows_the_endpoints() {
        let endpoints: Vec<SocketAddr> = (1..=9).map(|port| SocketAddr::from(([10, 1, 0, 1], port))).collect();
        let slot = Slot::default();
        let route = Route { endpoints: endpoints.clone(), affinity: Some(Duration::from_secs(10)), ..Route::default() };
        slot.set(route.clone());
        let (client, start) = (IpAddr::from([127, 0, 0, 1]), Instant::now());
        slot.chosen(client, endpoints[4], start);
        for _ in 0..20 {
            assert_eq!(slot.candidates(client, start)[0], endpoints[4]);
        }
        let late = start + Duration::from_secs(10);
        let firsts: std::collections::HashSet<_> = (0..200).map(|_| slot.candidates(client, late)[0]).collect();
        assert!(firsts.len() > 1, "after the timeout the choice is random again");
        slot.set(Route { endpoints: endpoints[..2].to_vec(), ..route });
        assert_eq!(slot.candidates(client, start).len(), 2);
    }
}
