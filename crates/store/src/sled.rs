//! The embedded backend: one sled tree, made durable by hand.
//!
//! What `flush` of sled calls durable is not: it ends in a ranged sync without metadata, and large objects go to files
//! that are never synced. Hence: segments so large that nothing we store gets a file of its own, values cut into chunks,
//! one batch on one tree per commit, and after the flush an `fdatasync` of our own descriptor of the database file.
//! Nothing is ever listed from here; it is read once, at start.
//!
//! Keys: `0` the head; `1 key` an entry's record with the first chunk of its value; `2 key number` its other chunks.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::{Backend, Batch, Head, Kept};
use crate::folder::{Witness, patiently, sync_parent};
use crate::record::{self, Header};
use crate::{BackendError, Damage, Entry};

const HEAD_KEY: &[u8] = &[0];
const RECORDS: u8 = 1;
const CHUNKS: u8 = 2;

/// Fixed when the database is made: a quarter of it is the largest object that stays within the database file.
const SEGMENT: usize = 16 << 20;
/// The largest piece of a value under one key.
const CHUNK: usize = 128 << 10;
/// All data is in memory already; the database only needs room to work.
const CACHE: u64 = 1 << 20;
/// How often the database cleans up behind itself, in milliseconds. What matters is flushed by every commit.
const CLEAN_EVERY: u64 = 5_000;

/// The database in one folder.
pub(crate) struct Sled {
    path: PathBuf,
    witness: Witness,
    open: Option<Open>,
}

/// What an open database consists of.
struct Open {
    database: sled::Db,
    /// The file that the database writes to, by a descriptor of our own.
    file: File,
}

impl Sled {
    /// The database in the folder `path`. It is opened, and made if need be, by [`Backend::reopen`].
    pub(crate) fn at(path: PathBuf, witness: Witness) -> Self {
        Self { path, witness, open: None }
    }

    /// The last revision that is known to have been acknowledged.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        self.witness.read()
    }

    /// Lets go of a database that failed. Whether it goes quietly does not matter any more.
    fn abandon(&mut self) {
        let failed = self.open.take();
        let _: Result<(), BackendError> = guarded(|| {
            drop(failed);
            Ok(())
        });
    }

    /// The database, unless it failed.
    fn database(&self) -> Result<&Open, BackendError> {
        self.open.as_ref().ok_or_else(|| BackendError::Panicked("it is closed".to_owned()))
    }
}

impl Backend for Sled {
    fn load(&mut self, found: &mut dyn FnMut(Entry)) -> Result<Head, BackendError> {
        let database = &self.database()?.database;
        let head = guarded(|| {
            for record in database.scan_prefix([RECORDS]) {
                let (key, record) = record?;
                found(read(database, &key[1..], &record)?);
            }
            match database.get(HEAD_KEY)? {
                Some(bytes) => record::decode_head(&bytes)
                    .ok_or_else(|| BackendError::Damaged(Damage::Record { key: "head".to_owned() })),
                None => Ok(Head::default()),
            }
        })?;
        match self.witness.read() {
            Some(expected) if expected > head.revision => {
                return Err(Damage::Behind { found: head.revision, expected }.into());
            }
            Some(_) => {}
            None => tracing::warn!(
                folder = %self.path.display(),
                "the note of the last revision is unreadable: whether the database lost its end cannot be checked this once"
            ),
        }
        Ok(head)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), BackendError> {
        self.database()?.commit(batch, &self.path)?;
        self.witness.write(batch.head.revision)
    }

    fn reopen(&mut self) -> Result<(), BackendError> {
        self.abandon();
        self.open = Some(open(&self.path)?);
        Ok(())
    }

    fn rebuild(&mut self, entries: &[Arc<Entry>], head: Head) -> Result<PathBuf, BackendError> {
        let fresh = self.path.with_extension("new");
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh).map_err(|source| io("remove", &fresh, source))?;
        }
        fill(&fresh, entries, head)?;
        self.abandon();
        let aside = aside(&self.path);
        if self.path.exists() {
            std::fs::rename(&self.path, &aside).map_err(|source| io("rename", &self.path, source))?;
        }
        std::fs::rename(&fresh, &self.path).map_err(|source| io("rename", &fresh, source))?;
        self.open = Some(open(&self.path)?);
        self.witness.write(head.revision)?;
        Ok(aside)
    }

    fn close(&mut self) -> Result<(), BackendError> {
        self.open.take().map_or(Ok(()), |open| open.close(&self.path))
    }
}

impl Open {
    fn commit(&self, batch: &Batch, path: &Path) -> Result<(), BackendError> {
        let prepared = prepare(batch);
        guarded(|| {
            self.database.apply_batch(prepared)?;
            self.database.flush()?;
            Ok(())
        })?;
        self.file.sync_data().map_err(|source| io("sync", &path.join("db"), source))
    }

    fn close(self, path: &Path) -> Result<(), BackendError> {
        let Self { database, file } = self;
        guarded(|| {
            drop(database);
            Ok(())
        })?;
        file.sync_all().map_err(|source| io("sync", &path.join("db"), source))
    }
}

/// Makes a database with these entries; the head goes in last.
fn fill(path: &Path, entries: &[Arc<Entry>], head: Head) -> Result<(), BackendError> {
    let open = open(path)?;
    for part in entries.chunks(256) {
        let changes = part.iter().map(|entry| Kept::Put { entry: Arc::clone(entry), previous: None }).collect();
        open.commit(&Batch { changes, head: Head::default() }, path)?;
    }
    open.commit(&Batch { changes: Vec::new(), head }, path)?;
    open.close(path)
}

/// A name beside `path` that is not taken.
fn aside(path: &Path) -> PathBuf {
    let mut number = 1_u32;
    loop {
        let name = path.with_extension(format!("damaged-{number}"));
        if !name.exists() {
            return name;
        }
        number += 1;
    }
}

fn open(path: &Path) -> Result<Open, BackendError> {
    let config =
        sled::Config::new().path(path).segment_size(SEGMENT).cache_capacity(CACHE).flush_every_ms(Some(CLEAN_EVERY));
    let database = patiently(|| guarded(|| Ok(config.open()?)), is_locked)?;
    let name = path.join("db");
    let file = File::open(&name).map_err(|source| io("open", &name, source))?;
    let synced = file.sync_all().and_then(|()| sync_parent(&name)).and_then(|()| sync_parent(path));
    synced.map_err(|source| io("sync", path, source))?;
    Ok(Open { database, file })
}

/// Whether the database's own lock is held; who holds the folder holds that, too.
fn is_locked(error: &BackendError) -> bool {
    matches!(error, BackendError::Sled(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock"))
}

/// One batch for the database.
fn prepare(batch: &Batch) -> sled::Batch {
    let mut prepared = sled::Batch::default();
    for change in &batch.changes {
        match change {
            Kept::Put { entry, previous } => {
                let (first, rest) = entry.value.split_at(entry.value.len().min(CHUNK));
                let mut record = Vec::with_capacity(record::HEADER + first.len());
                record.extend_from_slice(&record::header(entry));
                record.extend_from_slice(first);
                prepared.insert(key(RECORDS, &entry.key), record);
                for (number, chunk) in rest.chunks(CHUNK).enumerate() {
                    prepared.insert(chunk_key(&entry.key, number), chunk);
                }
                let left = previous.as_ref().map_or(0, |previous| chunks(previous));
                for number in chunks(entry)..left {
                    prepared.remove(chunk_key(&entry.key, number));
                }
            }
            Kept::Delete { previous } => {
                prepared.remove(key(RECORDS, &previous.key));
                for number in 0..chunks(previous) {
                    prepared.remove(chunk_key(&previous.key, number));
                }
            }
        }
    }
    prepared.insert(HEAD_KEY, &record::encode_head(&batch.head)[..]);
    prepared
}

/// How many chunks an entry's value has beside the first.
fn chunks(entry: &Entry) -> usize {
    entry.value.len().saturating_sub(1) / CHUNK
}

fn key(kind: u8, key: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(1 + key.len() + 4);
    whole.push(kind);
    whole.extend_from_slice(key);
    whole
}

fn chunk_key(of: &[u8], number: usize) -> Vec<u8> {
    let mut whole = key(CHUNKS, of);
    whole.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    whole
}

/// Reads an entry back together.
fn read(database: &sled::Db, key: &[u8], record: &[u8]) -> Result<Entry, BackendError> {
    let damaged = || Damage::Record { key: String::from_utf8_lossy(key).into_owned() };
    let (header, first) = Header::split(record).ok_or_else(damaged)?;
    let mut value = Vec::with_capacity(header.length.min(64 << 20));
    value.extend_from_slice(first);
    for number in 0.. {
        if value.len() >= header.length {
            break;
        }
        value.extend_from_slice(&database.get(chunk_key(key, number))?.ok_or_else(damaged)?);
    }
    Ok(header.entry(key, value)?)
}

/// Runs something that may panic on damaged data, and makes an error of it.
fn guarded<T>(run: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(BackendError::Panicked(message.unwrap_or_else(|| "it gave up without a reason".to_owned())))
    })
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> BackendError {
    BackendError::Io { action, path: path.to_owned(), source }
}
