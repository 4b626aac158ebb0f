//! What the store needs from that which keeps its data.
//!
//! The layer above decides everything — preconditions, revisions, the order of writes — and has all data in memory. A
//! backend only has to keep what it is given, all of a batch or nothing of it, and to say when it is safe. It is called
//! by one thread, the committer's, and may block it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{BackendError, Entry};

/// Keeps entries durably.
pub(crate) trait Backend: Send {
    /// Hands over everything that is kept, in any order, and what was said about it at the last commit.
    fn load(&mut self, found: &mut dyn FnMut(Entry)) -> Result<Head, BackendError>;

    /// Keeps a batch: all of it or nothing. Returns only when it would survive the loss of power. After an error
    /// nothing is certain, and nothing else is asked until [`Backend::reopen`].
    fn commit(&mut self, batch: &Batch) -> Result<(), BackendError>;

    /// Begins anew after an error. What was kept is read again with [`Backend::load`] afterwards.
    fn reopen(&mut self) -> Result<(), BackendError>;

    /// Begins anew with exactly these entries, whatever was kept. What was there before is set aside; returns where.
    fn rebuild(&mut self, entries: &[Arc<Entry>], head: Head) -> Result<PathBuf, BackendError>;

    /// Lets go of everything. What was committed stays.
    fn close(&mut self) -> Result<(), BackendError>;
}

/// What one group of transactions changes, and the state that it leads to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// The changes; of several to one key the last one counts.
    pub(crate) changes: Vec<Kept>,
    /// What is true once they are made.
    pub(crate) head: Head,
}

/// The change of one durable key.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// The entry replaces the one before, if there was one.
    Put { entry: Arc<Entry>, previous: Option<Arc<Entry>> },
    /// The entry is no longer kept.
    Delete { previous: Arc<Entry> },
}

/// What is true of everything that is kept: enough to notice when something is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last revision of the last batch.
    pub(crate) revision: u64,
    /// Revisions up to here may have been given out.
    pub(crate) reserved: u64,
    /// How many entries are kept.
    pub(crate) count: u64,
    /// The sum of all entries' marks.
    pub(crate) digest: u64,
}

impl Head {
    /// Counts an entry in.
    pub(crate) fn add(&mut self, entry: &Entry) {
        self.count += 1;
        self.digest = self.digest.wrapping_add(mark(entry));
    }

    /// Counts an entry out.
    pub(crate) fn remove(&mut self, entry: &Entry) {
        self.count -= 1;
        self.digest = self.digest.wrapping_sub(mark(entry));
    }
}

/// A number that stands for a key at a revision: FNV-1a over both, then stirred so that sums of marks do not cancel out.
fn mark(entry: &Entry) -> u64 {
    let revision = entry.modified.to_le_bytes();
    let hash = entry
        .key
        .iter()
        .chain(&revision)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
