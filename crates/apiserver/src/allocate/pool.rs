//! A range of numbers of which each is held by one Service at most.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::Rng as _;

/// Why a number cannot be handed out. The words are Kubernetes's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PoolError {
    /// Someone has it.
    AddressTaken,
    /// Someone has it.
    PortTaken,
    /// It is not in the range.
    AddressOutside { address: String, range: String },
    /// It is not in the range.
    PortOutside { range: String },
    /// All are taken.
    Full,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressTaken => f.write_str("provided IP is already allocated"),
            Self::PortTaken => f.write_str("provided port is already allocated"),
            Self::AddressOutside { address, range } => {
                write!(f, "the provided IP ({address}) is not in the valid range. The range of valid IPs is {range}")
            }
            Self::PortOutside { range } => {
                write!(f, "provided port is not in the valid range. The range of valid ports is {range}")
            }
            Self::Full => f.write_str("range is full"),
        }
    }
}

impl std::error::Error for PoolError {}

/// Why a given number was not had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Taken,
    Outside,
}

struct Inner {
    first: u32,
    size: u32,
    /// So many of the first numbers are given out by chance only when the others are used up:
    /// they are for people who choose.
    reserved: u32,
    used: Mutex<HashSet<u32>>,
}

impl Inner {
    fn used(&self) -> MutexGuard<'_, HashSet<u32>> {
        // A set is never half changed when a holder panics.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The range; clones share what is used.
#[derive(Clone)]
pub(super) struct Pool {
    inner: Arc<Inner>,
    range: Arc<str>,
}

impl Pool {
    pub(super) fn new(first: u32, size: u32, reserved: u32, range: String) -> Self {
        Self { inner: Arc::new(Inner { first, size, reserved, used: Mutex::default() }), range: range.into() }
    }

    /// The range as people write it.
    pub(super) fn range(&self) -> String {
        self.range.to_string()
    }

    /// Takes this number.
    pub(super) fn claim(&self, number: u32) -> Result<Claim, Refused> {
        let offset = number.checked_sub(self.inner.first).filter(|offset| *offset < self.inner.size);
        let offset = offset.ok_or(Refused::Outside)?;
        if !self.inner.used().insert(offset) {
            return Err(Refused::Taken);
        }
        Ok(Claim { pool: self.clone(), offset, kept: false })
    }

    /// Takes any number, by chance, so that a freed one is not soon somebody else's.
    pub(super) fn claim_any(&self) -> Option<Claim> {
        let Inner { size, reserved, .. } = *self.inner;
        let mut used = self.inner.used();
        let offset = free_in(&used, reserved, size).or_else(|| free_in(&used, 0, reserved))?;
        used.insert(offset);
        drop(used);
        Some(Claim { pool: self.clone(), offset, kept: false })
    }

    /// Gives a number back; one that is not of the range is nobody's.
    pub(super) fn release(&self, number: u32) {
        if let Some(offset) = number.checked_sub(self.inner.first) {
            self.inner.used().remove(&offset);
        }
    }
}

fn free_in(used: &HashSet<u32>, from: u32, to: u32) -> Option<u32> {
    if from >= to {
        return None;
    }
    let start = rand::rng().random_range(from..to);
    (start..to).chain(from..start).find(|offset| !used.contains(offset))
}

/// A number that is ours until this is dropped, or for good once it is kept.
pub(super) struct Claim {
    pool: Pool,
    offset: u32,
    kept: bool,
}

impl Claim {
    pub(super) fn number(&self) -> u32 {
        self.pool.inner.first.saturating_add(self.offset)
    }

    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            self.pool.inner.used().remove(&self.offset);
        }
    }
}
