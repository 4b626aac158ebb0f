//! Which pod has which address: in memory, and rebuilt from what exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::Ipv4Net;

use crate::Error;

/// The addresses of one node's pods. The first of the range is the node's own and the last is left out.
#[derive(Debug)]
pub struct Pool {
    range: Ipv4Net,
    by_uid: BTreeMap<String, Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
    /// Where the search goes on: addresses are handed out in turn, so one that was given back comes last.
    next: u32,
}

impl Pool {
    /// A pool with nothing handed out.
    #[must_use]
    pub fn new(range: Ipv4Net) -> Self {
        Self { range, by_uid: BTreeMap::new(), taken: BTreeSet::new(), next: 0 }
    }

    /// How many pods fit.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        let bits = 32 - u32::from(self.range.prefix_len());
        u32::try_from((1_u64 << bits).saturating_sub(3)).unwrap_or(u32::MAX)
    }

    /// The pod's address; the one it has, or the next free one.
    ///
    /// # Errors
    /// When all are taken.
    pub fn allocate(&mut self, uid: &str) -> Result<Ipv4Addr, Error> {
        if let Some(ip) = self.get(uid) {
            return Ok(ip);
        }
        let capacity = self.capacity();
        let free = (0..capacity)
            .map(|step| self.at((self.next + step) % capacity.max(1)))
            .find(|ip| !self.taken.contains(ip))
            .ok_or(Error::Exhausted { range: self.range })?;
        self.insert(uid, free);
        Ok(free)
    }

    /// Takes note of an address that a pod has already.
    pub fn adopt(&mut self, uid: &str, ip: Ipv4Addr) {
        let next = self.next;
        self.insert(uid, ip);
        // Pods are adopted in any order: go on after the highest.
        self.next = self.next.max(next);
    }

    /// The pod's address.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<Ipv4Addr> {
        self.by_uid.get(uid).copied()
    }

    /// Gives the pod's address back.
    pub fn release(&mut self, uid: &str) {
        if let Some(ip) = self.by_uid.remove(uid) {
            self.taken.remove(&ip);
        }
    }

    /// The pods that have an address.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.by_uid.keys().cloned().collect()
    }

    fn insert(&mut self, uid: &str, ip: Ipv4Addr) {
        self.by_uid.insert(uid.to_owned(), ip);
        self.taken.insert(ip);
        let offset = u32::from(ip).saturating_sub(u32::from(self.range.network()) + 2);
        self.next = (offset + 1) % self.capacity().max(1);
    }

    fn at(&self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.range.network()).saturating_add(2 + offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new("10.1.2.0/29".parse().unwrap())
    }

    #[test]
    fn the_first_and_last_addresses_are_never_handed_out() {
        let mut pool = pool();
        let all: Vec<String> =
            (0..pool.capacity()).map(|n| pool.allocate(&n.to_string()).unwrap().to_string()).collect();
        assert_eq!(all, ["10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"]);
        assert!(matches!(pool.allocate("more"), Err(Error::Exhausted { .. })));
        assert_eq!(pool.allocate("3").unwrap().to_string(), "10.1.2.5");
    }

    #[test]
    fn an_address_given_back_comes_last() {
        let mut pool = pool();
        let first = pool.allocate("a").unwrap();
        pool.release("a");
        let later: Vec<Ipv4Addr> = ["b", "c", "d", "e"].iter().map(|uid| pool.allocate(uid).unwrap()).collect();
        assert!(!later.contains(&first));
        assert_eq!(pool.allocate("f").unwrap(), first);
    }

    #[test]
    fn adopted_addresses_are_kept_and_passed_over() {
        let mut pool = pool();
        pool.adopt("b", "10.1.2.4".parse().unwrap());
        pool.adopt("a", "10.1.2.2".parse().unwrap());
        assert_eq!(pool.allocate("a").unwrap().to_string(), "10.1.2.2");
        assert_eq!(pool.allocate("c").unwrap().to_string(), "10.1.2.5");
        assert_eq!(pool.uids(), ["a", "b", "c"]);
    }

    proptest::proptest! {
        #[test]
        fn no_two_pods_share_an_address(steps in proptest::collection::vec((0_u8..8, proptest::bool::ANY), 0..64)) {
            let mut pool = pool();
            for (pod, comes) in steps {
                let uid = pod.to_string();
                if comes { let _ = pool.allocate(&uid); } else { pool.release(&uid); }
                let distinct: BTreeSet<_> = pool.by_uid.values().collect();
                proptest::prop_assert_eq!(distinct.len(), pool.by_uid.len());
                proptest::prop_assert_eq!(pool.taken.len(), pool.by_uid.len());
            }
        }
    }
}
