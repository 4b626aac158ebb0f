//! What can go wrong, each with what to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Entry, Expect};

/// Why a store could not be opened. None of these changes what is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A folder or file is not accessible.
    #[error("cannot {action} {path}: {source}; the data folder must be on a writable local file system")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process has the folder open.
    #[error(
        "the store in {folder} is in use by another skiff server{}; stop that one, or give this one a data folder of \
         its own with --data-dir",
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    AlreadyOpen {
        /// The store's folder.
        folder: PathBuf,
        /// The process that holds it, if it said so.
        holder: Option<u32>,
    },
    /// A later skiff wrote it.
    #[error(
        "the store in {folder} has format {found}, which a newer skiff wrote; this skiff reads formats up to {known}. \
         Start the newer skiff again; nothing was changed"
    )]
    NewerFormat {
        /// The store's folder.
        folder: PathBuf,
        /// The format that is there.
        found: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// The data is damaged and there is no sound backup.
    #[error(
        "the store in {folder} is damaged: {damage}; it has no backup that could be restored ({backups}). Put back a copy of the folder, or move it away to begin with an empty cluster"
    )]
    Corrupt {
        /// The store's folder.
        folder: PathBuf,
        /// What is wrong with it.
        #[source]
        damage: Damage,
        /// What was found when looking for backups.
        backups: String,
    },
    /// The data is damaged; there is a backup, but restoring it did not work.
    #[error(
        "the store in {folder} is damaged: {damage}; its backup of revision {revision} could not be restored: {source}"
    )]
    Restore {
        /// The store's folder.
        folder: PathBuf,
        /// What is wrong with it.
        damage: Damage,
        /// The revision of the backup.
        revision: u64,
        /// Why it could not be put in place.
        #[source]
        source: BackendError,
    },
    /// The data could not be read for another reason than damage.
    #[error("cannot open the store in {folder}: {source}")]
    Backend {
        /// The store's folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: BackendError,
    },
}

/// What is wrong with stored data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The format marker is not one.
    #[error("the file `format` does not hold a format number")]
    Marker,
    /// There is data without a format marker.
    #[error("the file `format` is missing")]
    MarkerMissing,
    /// The database refuses to open.
    #[error("its database cannot be read: {0}")]
    Unreadable(String),
    /// A record is not what was written.
    #[error("the record of key {key:?} does not match its checksum")]
    Record {
        /// The key, as text.
        key: String,
    },
    /// Records are missing or older than they should be.
    #[error("{found} entries are there and {expected} should be, or some are not the latest")]
    Incomplete {
        /// How many there are.
        found: u64,
        /// How many were there at the last commit.
        expected: u64,
    },
    /// The end is missing.
    #[error("it ends at revision {found}, but revision {expected} had been acknowledged")]
    Behind {
        /// The last revision in the database.
        found: u64,
        /// The last revision known to be acknowledged.
        expected: u64,
    },
    /// A backup file is not what was written.
    #[error("the backup is cut off or does not match its checksum")]
    Backup,
}

/// Why a backend did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The embedded database failed.
    #[error("the database failed: {0}")]
    Sled(#[from] sled::Error),
    /// A file could not be read, written or made durable.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The database gave up in the middle.
    #[error("the database failed: {0}")]
    Panicked(String),
    /// The data is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

impl BackendError {
    /// What is wrong with the data, if that is the reason: not when a disk is full or a folder not accessible.
    pub(crate) fn damage(&self) -> Option<Damage> {
        match self {
            Self::Damaged(damage) => Some(damage.clone()),
            Self::Panicked(message) => Some(Damage::Unreadable(message.clone())),
            Self::Sled(sled::Error::Io(error)) | Self::Io { source: error, .. } => {
                let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput];
                kinds.contains(&error.kind()).then(|| Damage::Unreadable(error.to_string()))
            }
            Self::Sled(error) => Some(Damage::Unreadable(error.to_string())),
        }
    }
}

/// Why a transaction was not committed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactError {
    /// A precondition does not hold on the latest state. Nothing of the transaction was done.
    #[error("operation {index} expects {expect:?}, but the key is at revision {:?}", current.as_ref().map(|entry| entry.modified))]
    Conflict {
        /// Which operation, from 0.
        index: usize,
        /// What it expected.
        expect: Expect,
        /// What is there.
        current: Option<Arc<Entry>>,
    },
    /// The place for the revision lies outside of the value.
    #[error("operation {index} wants the revision at offset {offset} of a value of {length} bytes")]
    Hole {
        /// Which operation, from 0.
        index: usize,
        /// Where the revision was to go.
        offset: usize,
        /// How long the value is.
        length: usize,
    },
    /// The write could not be made durable. Readers never see it, and the store undoes it as soon as it can write again.
    #[error("the write could not be made durable and was not done: {0}")]
    NotDurable(Arc<BackendError>),
    /// An earlier write could not be made durable; the store takes no writes until that works again. Reads go on.
    #[error("the store takes no writes until its storage works again: {0}")]
    Unavailable(Arc<BackendError>),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why what was there cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PastError {
    /// It is too long ago.
    #[error("revision {wanted} is gone; the oldest that is known is {oldest}")]
    Compacted {
        /// The revision asked for.
        wanted: u64,
        /// The oldest one possible.
        oldest: u64,
    },
    /// There is no such revision yet.
    #[error("there is no revision {wanted} yet; the current one is {current}")]
    Future {
        /// The revision asked for.
        wanted: u64,
        /// The newest one.
        current: u64,
    },
}

/// Why a watch ended or did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The events after the wanted revision are no longer there: list, and watch from the list's revision.
    #[error("the events after revision {wanted} are gone; the oldest revision to watch from is {oldest}")]
    Compacted {
        /// The revision to begin after.
        wanted: u64,
        /// The oldest one possible.
        oldest: u64,
    },
    /// The reader was too slow and lost events: list, and watch from the list's revision.
    #[error("the watch was too slow: events after revision {seen} are gone")]
    Overrun {
        /// Up to here the reader has had everything.
        seen: u64,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
