//! Tokens that have been found good: a client shows the same one with each request, and only the first time it takes a
//! signature's verification and a look into the objects that it is bound to.
//!
//! A token is known by its hash, until it expires or one of those objects is not the same any more. That is seen from
//! the revision at which the store says the object came into being: another object of the same name has another one.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use skiff_store::Snapshot;

use crate::user::User;

/// No more tokens than this are known at once.
const MOST: usize = 1024;

/// An object that a token is bound to: its key, and the revision at which it came into being.
pub(crate) type BoundTo = (Box<[u8]>, u64);

/// What is known of a good token.
pub(crate) struct Proven {
    pub(crate) user: Arc<User>,
    /// The second at which it expires.
    pub(crate) until: i64,
    pub(crate) bound: Vec<BoundTo>,
}

impl Proven {
    fn holds(&self, now: Timestamp, snapshot: &Snapshot) -> bool {
        let same = |(key, created): &BoundTo| snapshot.get(key).is_some_and(|entry| entry.created == *created);
        now.as_second() < self.until && self.bound.iter().all(same)
    }
}

/// The good tokens of late.
#[derive(Default)]
pub(crate) struct Known(RwLock<HashMap<[u8; 32], Proven>>);

impl Known {
    /// The user of a token that is known and still good.
    pub(crate) fn user(&self, token: &str, now: Timestamp, snapshot: &Snapshot) -> Option<Arc<User>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let proven = known.get(&hash(token)?)?;
        proven.holds(now, snapshot).then(|| Arc::clone(&proven.user))
    }

    /// Keeps in mind that a token is good.
    pub(crate) fn keep(&self, token: &str, proven: Proven, now: Timestamp) {
        let Some(hash) = hash(token) else { return };
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, proven| now.as_second() < proven.until);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(hash, proven);
    }
}

fn hash(token: &str) -> Option<[u8; 32]> {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use skiff_store::{Op, Options, Store};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn proven(until: i64, bound: Vec<BoundTo>) -> Proven {
        Proven { user: Arc::new(User::service_account("default", "builder")), until, bound }
    }

    #[tokio::test]
    async fn a_token_is_known_while_it_and_its_objects_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let write =
            async || store.transact(vec![Op::put(*b"pod", &b"x"[..])]).await.unwrap().entries.remove(0).unwrap();
        let created = write().await.created;
        let known = Known::default();
        known.keep("t", proven(100, vec![((*b"pod").into(), created)]), at(0));
        assert!(known.user("t", at(99), &store.snapshot()).is_some());
        assert!(known.user("t", at(100), &store.snapshot()).is_none());
        assert!(known.user("u", at(99), &store.snapshot()).is_none());
        write().await;
        assert!(known.user("t", at(99), &store.snapshot()).is_some(), "a changed object is the same one");
        store.transact(vec![Op::delete(*b"pod")]).await.unwrap();
        assert!(known.user("t", at(99), &store.snapshot()).is_none());
        write().await;
        assert!(known.user("t", at(99), &store.snapshot()).is_none(), "one of the same name is another one");
    }

    #[test]
    fn not_more_than_so_many_are_kept() {
        let known = Known::default();
        for number in 0..MOST as i64 * 2 {
            known.keep(&number.to_string(), proven(1 + number % 2, Vec::new()), at(0));
        }
        known.keep("last", proven(9, Vec::new()), at(1));
        assert!(known.0.read().unwrap().len() <= MOST);
    }
}
