//! A copy of everything beside the database, for the day that the database cannot be opened.
//!
//! It is written from a snapshot, by a thread of its own, so that nobody waits for it; only when something changed since
//! the last one, and not more often than the interval and one megabyte per second allow. The newest two are kept.
//!
//! Layout: the magic line, the head, then key length, key, record header and value of each entry, at last a checksum of
//! it all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::backend::Head;
use crate::folder::sync_parent;
use crate::record::{self, HEAD, Header};
use crate::{Damage, Durability, Entry, Snapshot};

const MAGIC: &[u8] = b"skiff-backup 1\n";
const PREFIX: &str = "backup-";
/// How many are kept.
const KEEP: usize = 2;
/// How many bytes a second are written on average at most.
const RATE: u64 = 1 << 20;

/// Decides when to write a backup, and has it written.
pub(crate) struct Backups {
    folder: Option<PathBuf>,
    interval: Duration,
    due: Option<Instant>,
    not_before: Instant,
    writer: Option<JoinHandle<u64>>,
}

impl Backups {
    /// Backups in `folder`, `interval` after the first change that is not in the last one.
    pub(crate) fn new(folder: PathBuf, interval: Duration) -> Self {
        Self { folder: Some(folder), interval, due: None, not_before: Instant::now(), writer: None }
    }

    /// When the next one is to be written, if anything changed.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Something changed.
    pub(crate) fn changed(&mut self, now: Instant) {
        if self.folder.is_some() && self.due.is_none() {
            self.due = Some((now + self.interval).max(self.not_before));
        }
    }

    /// Begins to write one, unless the last is still being written.
    pub(crate) fn start(&mut self, snapshot: &Snapshot, head: Head) {
        let now = Instant::now();
        if self.writer.as_ref().is_some_and(|writer| !writer.is_finished()) {
            self.due = Some(now + self.interval);
            return;
        }
        self.join();
        let Some(folder) = self.folder.clone() else { return };
        self.due = None;
        let snapshot = snapshot.clone();
        let writer = std::thread::Builder::new().name("skiff-backup".to_owned());
        match writer.spawn(move || write_or_warn(&folder, &snapshot, head)) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => tracing::warn!(%error, "cannot start a thread to write the store's backup"),
        }
    }

    /// Writes the last one, if anything changed.
    pub(crate) fn finish(&mut self, snapshot: &Snapshot, head: Head) {
        self.join();
        if let (Some(folder), true) = (&self.folder, self.due.is_some()) {
            write_or_warn(folder, snapshot, head);
            self.due = None;
        }
    }

    fn join(&mut self) {
        if let Some(bytes) = self.writer.take().and_then(|writer| writer.join().ok()) {
            self.not_before = Instant::now() + Duration::from_secs(bytes / RATE);
        }
    }
}

fn write_or_warn(folder: &Path, snapshot: &Snapshot, head: Head) -> u64 {
    match write(folder, snapshot, head) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "the store's backup could not be written; the store itself is sound");
            0
        }
    }
}

/// Writes a backup and removes the ones that are too many. Returns its size.
fn write(folder: &Path, snapshot: &Snapshot, head: Head) -> io::Result<u64> {
    let temporary = folder.join("backup.tmp");
    let target = folder.join(format!("{PREFIX}{:020}", head.revision));
    let mut out = Summed { file: BufWriter::new(File::create(&temporary)?), sum: crc32fast::Hasher::new(), bytes: 0 };
    out.put(MAGIC)?;
    out.put(&record::encode_head(&head))?;
    for entry in snapshot.range(&[], None).filter(|entry| entry.durability == Durability::Disk) {
        out.put(&u32::try_from(entry.key.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        out.put(&entry.key)?;
        out.put(&record::header(entry))?;
        out.put(&entry.value)?;
    }
    let sum = out.sum.clone().finalize();
    out.put(&sum.to_le_bytes())?;
    out.file.into_inner()?.sync_all()?;
    fs::rename(&temporary, &target)?;
    sync_parent(&target)?;
    for old in list(folder)?.into_iter().skip(KEEP) {
        fs::remove_file(old)?;
    }
    Ok(out.bytes)
}

/// A file with a running checksum.
struct Summed {
    file: BufWriter<File>,
    sum: crc32fast::Hasher,
    bytes: u64,
}

impl Summed {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

/// The backups in a folder, newest first.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        if file.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            found.push(file.path());
        }
    }
    // Names hold the revision with leading zeros.
    found.sort_unstable();
    found.reverse();
    Ok(found)
}

/// Reads a backup and checks that it is whole.
pub(crate) fn read(path: &Path) -> Result<(Head, Vec<Arc<Entry>>), Damage> {
    let bytes = fs::read(path).map_err(|_| Damage::Backup)?;
    let (content, sum) = bytes.split_last_chunk::<4>().ok_or(Damage::Backup)?;
    if record::checksum(&[content]).to_le_bytes() != *sum {
        return Err(Damage::Backup);
    }
    let content = content.strip_prefix(MAGIC).ok_or(Damage::Backup)?;
    let (head, mut rest) = content.split_at_checked(HEAD).ok_or(Damage::Backup)?;
    let head = record::decode_head(head).ok_or(Damage::Backup)?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, behind) = entry(rest).ok_or(Damage::Backup)?;
        entries.push(Arc::new(entry?));
        rest = behind;
    }
    record::verify(&head, &entries)?;
    Ok((head, entries))
}

/// One entry and what is behind it.
fn entry(bytes: &[u8]) -> Option<(Result<Entry, Damage>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let (header, rest) = Header::split(rest)?;
    let (value, rest) = rest.split_at_checked(header.length)?;
    Some((header.entry(key, value.to_vec()), rest))
}
