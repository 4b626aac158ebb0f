//! The revisioned key-value store under the API server: bytes, keys and revisions; never kinds.
//!
//! # Flow
//! Writers queue transactions → one committer thread judges them on the latest state, gives each a revision, has the
//! backend keep all that gathered as one batch, and only when that is durable → publishes an immutable [`Snapshot`] that
//! all reads come from → answers the writers → adds the events to a bounded window that all [`Watch`]es read from.
//!
//! # Guarantees
//! - A transaction happens as a whole or not at all, and is acknowledged only when it survives the loss of power (values
//!   that live in memory excepted).
//! - Revisions only go up, over restarts and restored backups too. All changes of a transaction have its revision.
//! - Who was told of a revision finds it in every later snapshot. A watch has no gaps: it ends with an error instead.
//! - Reads never wait. A slow or idle watcher costs its position and nothing else.
//! - Nothing is written when nothing changes; a backup follows some minutes after the last change.
//!
//! # Errors
//! A write that cannot be made durable (full disk, broken disk) did not happen: readers never see it. From then on the
//! store refuses writes until its storage works again, which it tries with the next writes, at most once a second and
//! ever more seldom; [`Store::health`] says so. Reads and watches go on. Data that was damaged while the store was closed
//! is noticed when it is opened: then the newest backup is restored, loudly (see [`Store::recovery`]), or opening fails.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backend;
mod backup;
mod committer;
mod entry;
mod error;
mod event;
mod folder;
mod history;
mod open;
mod plan;
mod record;
mod shared;
mod sled;
mod snapshot;
mod tree;
mod watch;
mod window;

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::backup::Backups;
use crate::committer::{Committer, Job};
use crate::folder::Folder;
use crate::open::Opened;
use crate::shared::Shared;
use crate::window::Window;

pub use crate::entry::{Committed, Durability, Entry, Expect, Op, Value};
pub use crate::error::{BackendError, Damage, OpenError, PastError, TransactError, WatchError};
pub use crate::event::{Change, Event, Format};
pub use crate::open::Recovery;
pub use crate::snapshot::Snapshot;
pub use crate::watch::Watch;
pub use crate::window::WindowLimits;

/// How often the events of a state that is there already are looked for.
const PUBLISHED: usize = 10_000;

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is kept for watchers.
    pub window: WindowLimits,
    /// How long after a change the backup is written. Default: 5 minutes.
    pub backup_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { window: WindowLimits::default(), backup_after: Duration::from_secs(300) }
    }
}

/// An open store. Clones are handles of the same one; it ends with [`Store::close`] or the last handle.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    queue: Sender<Job>,
    recovery: Option<Arc<Recovery>>,
}

impl Store {
    /// Opens the store in a folder, or makes one there. Blocks while it reads everything.
    ///
    /// # Errors
    /// When the folder is in use or not writable, or holds data that this program cannot or must not read.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let folder = Folder::claim(folder.as_ref())?;
        let Opened { backend, state, head, recovery } = open::open(&folder)?;
        let window = Window::new(state.clone(), options.window);
        let shared = Arc::new(Shared::new(state.clone(), window));
        let (queue, jobs) = mpsc::channel();
        let path = folder.path().to_owned();
        let backups = Backups::new(path.clone(), options.backup_after);
        let committer =
            Committer { shared: Arc::clone(&shared), backend, backups, state, head, failure: None, _folder: folder };
        std::thread::Builder::new()
            .name("skiff-store".to_owned())
            .spawn(move || committer.run(&jobs))
            .map_err(|source| OpenError::Io { action: "start a thread for", path, source })?;
        Ok(Self { shared, queue, recovery: recovery.map(Arc::new) })
    }

    /// What had to be restored from a backup when the store was opened, if anything.
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_deref()
    }

    /// Whether writes are taken; the error is why they are not.
    ///
    /// # Errors
    /// When a write could not be made durable and none has succeeded since.
    pub fn health(&self) -> Result<(), Arc<BackendError>> {
        self.shared.failure().map_or(Ok(()), Err)
    }

    /// Everything as it is now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.shared.state())
    }

    /// Keeps a snapshot for [`Store::at`], as long as the window keeps events, and no more than it keeps.
    pub fn keep(&self, snapshot: &Snapshot) {
        self.shared.window.keep(snapshot.state(), Instant::now());
    }

    /// What was there under a prefix at a revision. Of what is not under the prefix the snapshot says nothing.
    ///
    /// # Errors
    /// When that is too long ago, or has not come to be yet.
    pub fn at(&self, prefix: &[u8], revision: u64) -> Result<Snapshot, PastError> {
        let now = self.snapshot();
        match revision.cmp(&now.revision()) {
            Ordering::Equal => return Ok(now),
            Ordering::Greater => return Err(PastError::Future { wanted: revision, current: now.revision() }),
            Ordering::Less => {}
        }
        // Readers see a change a moment before it is among the events.
        for _ in 0..PUBLISHED {
            if self.shared.window.published() >= revision {
                break;
            }
            std::thread::yield_now();
        }
        let found = self.shared.window.at(prefix, revision);
        let state = found.map_err(|oldest| PastError::Compacted { wanted: revision, oldest })?;
        Ok(Snapshot::of(Arc::new(state)))
    }

    /// Commits operations together, at one revision, if all their preconditions hold. Returns once they are durable.
    /// A call that is dropped may still be committed.
    ///
    /// # Errors
    /// When a precondition does not hold or the write cannot be made durable; nothing was done then.
    pub async fn transact(&self, ops: Vec<Op>) -> Result<Committed, TransactError> {
        self.transact_each(vec![ops]).await.pop().unwrap_or(Err(TransactError::Closed))
    }

    /// Commits many transactions that have nothing to do with one another, each at a revision of its own, in their
    /// order. They are made durable together as far as possible.
    pub async fn transact_each(&self, transactions: Vec<Vec<Op>>) -> Vec<Result<Committed, TransactError>> {
        let count = transactions.len();
        let closed = || (0..count).map(|_| Err(TransactError::Closed)).collect();
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Job::Transact(transactions, reply)).is_err() {
            return closed();
        }
        answer.await.unwrap_or_else(|_| closed())
    }

    /// Follows all keys with a prefix from after a revision on, usually that of the snapshot that was listed.
    ///
    /// # Errors
    /// When the events after `revision` are no longer there.
    pub fn watch(&self, prefix: &[u8], revision: u64) -> Result<Watch, WatchError> {
        Watch::join(Arc::clone(&self.shared.window), prefix, revision)
    }

    /// Finishes what is queued, writes what is to be written, and lets go of the folder. Later writes are refused, reads
    /// still answered; watches end. Closing again does nothing.
    ///
    /// # Errors
    /// When the database did not close cleanly. What was acknowledged is durable all the same.
    pub async fn close(&self) -> Result<(), BackendError> {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Job::Close(reply)).is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }
}
