//! Reads: an immutable view of everything at one revision.
//!
//! Taking one costs a pointer and blocks nobody; it stays as it is for as long as it is held, so a list that is read
//! page by page is of one moment. Hold it no longer than needed: it keeps what was deleted since.

use std::ops::Bound;
use std::sync::Arc;

use crate::Entry;
use crate::tree::Tree;

/// Everything that is stored, at one revision.
#[derive(Clone)]
pub struct Snapshot(Arc<State>);

/// What a snapshot is of.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) tree: Tree,
    pub(crate) revision: u64,
}

impl Snapshot {
    pub(crate) fn of(state: Arc<State>) -> Self {
        Self(state)
    }

    pub(crate) fn state(&self) -> &State {
        &self.0
    }

    /// The revision of the last transaction that is in it.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// The number of all entries.
    pub fn len(&self) -> usize {
        self.0.tree.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Arc<Entry>> {
        self.0.tree.get(key)
    }

    /// The entries whose keys begin with `prefix`, in the order of their keys, beginning behind `start_after`.
    pub fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        start_after: Option<&'a [u8]>,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        let start = match start_after {
            Some(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        self.0.tree.from(start).take_while(move |entry| entry.key.starts_with(prefix))
    }

    /// How many entries' keys begin with `prefix`. It walks them.
    pub fn count(&self, prefix: &[u8]) -> usize {
        self.range(prefix, None).count()
    }
}
