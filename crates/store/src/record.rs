//! How an entry is laid out in bytes, in the database and in backups: a fixed header with a checksum, then the value.

use std::sync::Arc;

use bytes::Bytes;

use crate::backend::Head;
use crate::{Damage, Durability, Entry};

/// The length of a record's header: three revisions, the value's length, the checksum.
pub(crate) const HEADER: usize = 3 * 8 + 4 + 4;

/// The length of an encoded head.
pub(crate) const HEAD: usize = 4 * 8 + 4;

/// The header of an entry's record.
pub(crate) fn header(entry: &Entry) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let length = u32::try_from(entry.value.len()).unwrap_or(u32::MAX);
    header[..8].copy_from_slice(&entry.created.to_le_bytes());
    header[8..16].copy_from_slice(&entry.modified.to_le_bytes());
    header[16..24].copy_from_slice(&entry.version.to_le_bytes());
    header[24..28].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&[&entry.key, &header[..28], &entry.value]);
    header[28..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// What a header says, before the value is there to compare it with.
pub(crate) struct Header {
    bytes: [u8; HEADER],
    /// The length of the value.
    pub(crate) length: usize,
}

impl Header {
    /// Splits a record into its header and what follows it.
    pub(crate) fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        let (bytes, rest) = record.split_first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_le_bytes(*bytes[24..].first_chunk()?)).ok()?;
        Some((Self { bytes: *bytes, length }, rest))
    }

    /// The entry, if key and value are those that the header was made for.
    pub(crate) fn entry(&self, key: &[u8], value: Vec<u8>) -> Result<Entry, Damage> {
        let number = |at: usize| self.bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let sum = checksum(&[key, &self.bytes[..28], &value]);
        if self.bytes[28..] != sum.to_le_bytes() {
            return Err(Damage::Record { key: String::from_utf8_lossy(key).into_owned() });
        }
        Ok(Entry {
            key: key.into(),
            value: Bytes::from(value.into_boxed_slice()),
            created: number(0),
            modified: number(8),
            version: number(16),
            durability: Durability::Disk,
        })
    }
}

/// The head in bytes, with its own checksum.
pub(crate) fn encode_head(head: &Head) -> [u8; HEAD] {
    let mut bytes = [0; HEAD];
    for (place, number) in bytes.chunks_exact_mut(8).zip([head.revision, head.reserved, head.count, head.digest]) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    let sum = checksum(&[&bytes[..HEAD - 4]]);
    bytes[HEAD - 4..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The head, if it is what was written.
pub(crate) fn decode_head(bytes: &[u8]) -> Option<Head> {
    let (numbers, sum) = bytes.split_at_checked(HEAD - 4)?;
    if sum != checksum(&[numbers]).to_le_bytes() {
        return None;
    }
    let mut numbers = numbers.chunks_exact(8).filter_map(|bytes| bytes.first_chunk().map(|n| u64::from_le_bytes(*n)));
    Some(Head { revision: numbers.next()?, reserved: numbers.next()?, count: numbers.next()?, digest: numbers.next()? })
}

/// The CRC-32 of several pieces.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize()
}

/// Checks what was loaded against the head that was kept with it.
pub(crate) fn verify(head: &Head, entries: &[Arc<Entry>]) -> Result<(), Damage> {
    let mut sum = Head::default();
    for entry in entries {
        sum.add(entry);
    }
    if (sum.count, sum.digest) == (head.count, head.digest) {
        Ok(())
    } else {
        Err(Damage::Incomplete { found: sum.count, expected: head.count })
    }
}
