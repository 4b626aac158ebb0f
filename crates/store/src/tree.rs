//! The persistent map that snapshots are made of: a copy is a pointer, and a change copies only the path to it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeSetSync;

use crate::Entry;

/// All entries in the order of their keys.
#[derive(Clone, Default)]
pub(crate) struct Tree(RedBlackTreeSetSync<ByKey>);

/// An entry that is equal to, and ordered like, its key.
struct ByKey(Arc<Entry>);

impl Tree {
    pub(crate) fn len(&self) -> usize {
        self.0.size()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Arc<Entry>> {
        self.0.get(key).map(|found| &found.0)
    }

    pub(crate) fn insert(&mut self, entry: Arc<Entry>) {
        self.0.insert_mut(ByKey(entry));
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.0.remove_mut(key);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.iter().map(|found| &found.0)
    }

    /// The entries from `start` on, in order.
    pub(crate) fn from<'a>(&'a self, start: Bound<&'a [u8]>) -> impl Iterator<Item = &'a Arc<Entry>> {
        self.0.range::<[u8], _>((start, Bound::Unbounded)).map(|found| &found.0)
    }
}

impl Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        &self.0.key
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}
