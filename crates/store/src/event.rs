//! What watchers are told.
//!
//! An event is made once and shared by everyone who watches; so is its encoding, which the first reader leaves behind
//! for all the others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::Entry;

/// One change of one key.
#[derive(Debug)]
pub struct Event {
    /// The revision of the transaction that made the change.
    pub revision: u64,
    /// What changed.
    pub change: Change,
    text: OnceLock<Bytes>,
    /// A pointer only: few events are asked for in it.
    binary: OnceLock<Box<Bytes>>,
    /// How many bytes of encodings the window answers for; [`LEFT`] once the event is no longer in it.
    charged: AtomicUsize,
}

const LEFT: usize = usize::MAX;

/// The formats in which readers share what they encode. What is in them is their business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The usual one.
    Text,
    /// The other one.
    Binary,
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A value was written.
    Put {
        /// The new state.
        entry: Arc<Entry>,
        /// The state before, if the key existed.
        previous: Option<Arc<Entry>>,
    },
    /// The key was deleted.
    Delete {
        /// The state before.
        previous: Arc<Entry>,
        /// What watchers are shown: the state before or the final value that came with the delete, whose `modified` is
        /// the revision of the delete.
        last: Arc<Entry>,
    },
}

impl Event {
    pub(crate) fn new(revision: u64, change: Change) -> Self {
        Self { revision, change, text: OnceLock::new(), binary: OnceLock::new(), charged: AtomicUsize::new(0) }
    }

    /// The same event with its values in other words. It is not in the window.
    #[must_use]
    pub fn translated(&self, change: Change) -> Self {
        Self { charged: AtomicUsize::new(LEFT), ..Self::new(self.revision, change) }
    }

    /// The key that changed.
    pub fn key(&self) -> &[u8] {
        &self.entry().key
    }

    /// What watchers are shown: the new state, or the last one of a key that is gone.
    pub fn entry(&self) -> &Arc<Entry> {
        match &self.change {
            Change::Put { entry, .. } => entry,
            Change::Delete { last, .. } => last,
        }
    }

    /// The state before the change, if there was one.
    pub fn previous(&self) -> Option<&Arc<Entry>> {
        match &self.change {
            Change::Put { previous, .. } => previous.as_ref(),
            Change::Delete { previous, .. } => Some(previous),
        }
    }

    /// The encoding that all watchers of that format share: made by `encode` the first time, kept as long as the
    /// event is.
    pub(crate) fn encoded(&self, format: Format, encode: impl FnOnce() -> Bytes) -> &Bytes {
        match format {
            Format::Text => self.text.get_or_init(encode),
            Format::Binary => self.binary.get_or_init(|| Box::new(encode())),
        }
    }

    /// How much memory the event holds, roughly, without its encodings.
    pub(crate) fn size(&self) -> usize {
        const OVERHEAD: usize = 256;
        let entry = self.entry();
        OVERHEAD + entry.key.len() + entry.value.len() + self.previous().map_or(0, |entry| entry.value.len())
    }

    /// Says that an encoding of so many bytes was made. `false`: the event is no longer in the window.
    pub(crate) fn charge(&self, bytes: usize) -> bool {
        let add = |charged: usize| (charged != LEFT).then(|| charged.saturating_add(bytes).min(LEFT - 1));
        self.charged.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    /// Leaves the window, which is done with as many bytes of encodings.
    pub(crate) fn leave(&self) -> usize {
        match self.charged.swap(LEFT, Ordering::AcqRel) {
            LEFT => 0,
            charged => charged,
        }
    }
}
