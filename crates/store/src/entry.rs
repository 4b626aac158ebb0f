//! What goes into the store and what comes out: values, operations, entries.
//!
//! Everything is bytes. The only thing the store adds to a value is the revision that it was committed at, spliced into
//! the place that the writer left open, because the writer cannot know it beforehand and readers want it inside.

use std::sync::Arc;

use bytes::Bytes;

/// A value to be written: bytes, and the place where the revision of the commit is to be spliced in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// The bytes without the revision.
    pub bytes: Bytes,
    /// The offset in `bytes` at which the decimal revision is inserted at commit.
    pub revision_at: Option<usize>,
}

impl Value {
    /// A value that is stored as it is.
    pub fn plain(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), revision_at: None }
    }

    /// A value that gets the decimal revision of its commit inserted at the offset `at`.
    pub fn with_revision_at(bytes: impl Into<Bytes>, at: usize) -> Self {
        Self { bytes: bytes.into(), revision_at: Some(at) }
    }

    /// Whether the place for the revision lies within the bytes.
    pub(crate) fn fits(&self) -> bool {
        self.revision_at.is_none_or(|at| at <= self.bytes.len())
    }

    /// The bytes as they are stored at `revision`; nothing when the hole lies outside of the bytes.
    pub(crate) fn filled(&self, revision: u64) -> Option<Bytes> {
        let Some(at) = self.revision_at else { return Some(self.bytes.clone()) };
        let (before, after) = (self.bytes.get(..at)?, self.bytes.get(at..)?);
        let digits = revision.to_string();
        let mut whole = Vec::with_capacity(self.bytes.len() + digits.len());
        whole.extend_from_slice(before);
        whole.extend_from_slice(digits.as_bytes());
        whole.extend_from_slice(after);
        Some(Bytes::from(whole))
    }
}

impl<T: Into<Bytes>> From<T> for Value {
    fn from(bytes: T) -> Self {
        Self::plain(bytes)
    }
}

/// What must hold for a key, on the latest state, for a transaction to be committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    #[default]
    Any,
    /// The key must not exist.
    Absent,
    /// The key must exist.
    Present,
    /// The key must exist and must last have been written at this revision.
    Modified(u64),
}

impl Expect {
    /// Whether the expectation holds for what is stored now.
    pub fn holds(self, current: Option<&Entry>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::Modified(revision) => current.is_some_and(|entry| entry.modified == revision),
        }
    }
}

/// Where a value lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// On disk: it is there after a crash once the write was acknowledged.
    #[default]
    Disk,
    /// In memory only: it never touches the disk and is gone after a restart. It gets revisions and events like any other.
    Memory,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a value.
    Put {
        /// The key.
        key: Box<[u8]>,
        /// The new value.
        value: Value,
        /// What must hold for the key beforehand.
        expect: Expect,
        /// Where the value lives from now on, whatever it was before.
        durability: Durability,
    },
    /// Deletes a key. Deleting what is not there changes nothing, unless `expect` forbids it.
    Delete {
        /// The key.
        key: Box<[u8]>,
        /// What must hold for the key beforehand.
        expect: Expect,
        /// The final value that watchers are shown, by default the one that was stored last.
        last: Option<Value>,
    },
}

impl Op {
    /// Writes a durable value, whatever was there before.
    pub fn put(key: impl Into<Box<[u8]>>, value: impl Into<Value>) -> Self {
        Self::Put { key: key.into(), value: value.into(), expect: Expect::Any, durability: Durability::Disk }
    }

    /// Deletes a key, if it is there.
    pub fn delete(key: impl Into<Box<[u8]>>) -> Self {
        Self::Delete { key: key.into(), expect: Expect::Any, last: None }
    }

    /// The same operation under a precondition.
    #[must_use]
    pub fn expecting(mut self, expected: Expect) -> Self {
        match &mut self {
            Self::Put { expect, .. } | Self::Delete { expect, .. } => *expect = expected,
        }
        self
    }

    /// The same operation, its value kept in memory only. A delete knows by itself where its value lives.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        if let Self::Put { durability, .. } = &mut self {
            *durability = Durability::Memory;
        }
        self
    }

    /// The same delete, with the final value that watchers are shown. A put has its value already.
    #[must_use]
    pub fn showing(mut self, value: impl Into<Value>) -> Self {
        if let Self::Delete { last, .. } = &mut self {
            *last = Some(value.into());
        }
        self
    }

    /// The key that is written or deleted.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// What must hold beforehand.
    pub fn expect(&self) -> Expect {
        match self {
            Self::Put { expect, .. } | Self::Delete { expect, .. } => *expect,
        }
    }

    /// How much memory the operation holds, roughly.
    pub(crate) fn size(&self) -> usize {
        let value = match self {
            Self::Put { value, .. } => value.bytes.len(),
            Self::Delete { last, .. } => last.as_ref().map_or(0, |value| value.bytes.len()),
        };
        self.key().len() + value
    }
}

/// A key with its value, as committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Box<[u8]>,
    /// The value, with the revision filled in.
    pub value: Bytes,
    /// The revision at which the key came into being.
    pub created: u64,
    /// The revision at which the value was last written.
    pub modified: u64,
    /// How often the value was written since the key came into being, from 1.
    pub version: u64,
    /// Where the value lives.
    pub durability: Durability,
}

/// What a transaction did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The revision of the transaction; the one before it when it changed nothing.
    pub revision: u64,
    /// One for each operation: what was put, or the final state of what was deleted (nothing when it was not there).
    pub entries: Vec<Option<Arc<Entry>>>,
}
