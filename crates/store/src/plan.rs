//! What a group of transactions leads to: a pure function of the state before and the transactions.
//!
//! Each transaction is judged on the state that those before it leave behind, and gets a revision of its own; nothing is
//! visible to anyone until the backend has kept the whole group.

use std::sync::Arc;

use crate::backend::{Batch, Head, Kept};
use crate::snapshot::State;
use crate::{Change, Committed, Durability, Entry, Event, Op, TransactError};

/// How many revisions are reserved at once. Writes that live in memory use up revisions without writing anything; they
/// must not be given out again after a restart, so the backend keeps an upper bound.
const RESERVE: u64 = 1 << 16;

/// The state that a group of transactions leads to.
pub(crate) struct Plan {
    pub(crate) state: State,
    pub(crate) batch: Batch,
    pub(crate) events: Vec<Arc<Event>>,
    reserved: u64,
}

impl Plan {
    /// Begins with what is there.
    pub(crate) fn new(state: State, head: Head) -> Self {
        Self { state, reserved: head.reserved, batch: Batch { changes: Vec::new(), head }, events: Vec::new() }
    }

    /// Adds a transaction, or nothing of it when an operation cannot be done.
    pub(crate) fn transact(&mut self, ops: Vec<Op>) -> Result<Committed, TransactError> {
        if let [op] = ops.as_slice() {
            self.check(0, op)?;
        }
        let several = (ops.len() > 1).then(|| Mark::of(self));
        let revision = self.state.revision + 1;
        let events = self.events.len();
        let mut entries = Vec::with_capacity(ops.len());
        for (index, op) in ops.into_iter().enumerate() {
            if let Some(mark) = &several
                && let Err(error) = self.check(index, &op)
            {
                mark.restore(self);
                return Err(error);
            }
            entries.push(self.apply(op, revision));
        }
        if self.events.len() > events {
            self.state.revision = revision;
        }
        Ok(Committed { revision: self.state.revision, entries })
    }

    /// Completes the head. Returns whether there is anything that the backend has to keep.
    pub(crate) fn seal(&mut self) -> bool {
        if self.state.revision > self.batch.head.reserved {
            self.batch.head.reserved = self.state.revision + RESERVE;
        }
        let needed = !self.batch.changes.is_empty() || self.batch.head.reserved != self.reserved;
        if needed {
            self.batch.head.revision = self.state.revision;
        }
        needed
    }

    fn check(&self, index: usize, op: &Op) -> Result<(), TransactError> {
        let current = self.state.tree.get(op.key());
        if !op.expect().holds(current.map(|entry| &**entry)) {
            return Err(TransactError::Conflict { index, expect: op.expect(), current: current.cloned() });
        }
        let value = match op {
            Op::Put { value, .. } => Some(value),
            Op::Delete { last, .. } => last.as_ref(),
        };
        match value {
            Some(value) if !value.fits() => Err(TransactError::Hole {
                index,
                offset: value.revision_at.unwrap_or_default(),
                length: value.bytes.len(),
            }),
            _ => Ok(()),
        }
    }

    /// Does an operation that was checked.
    fn apply(&mut self, op: Op, revision: u64) -> Option<Arc<Entry>> {
        let previous = self.state.tree.get(op.key()).cloned();
        match op {
            Op::Put { key, value, durability, .. } => {
                let value = value.filled(revision).unwrap_or(value.bytes);
                let (created, version) =
                    previous.as_ref().map_or((revision, 1), |entry| (entry.created, entry.version + 1));
                let entry = Arc::new(Entry { key, value, created, modified: revision, version, durability });
                self.put(&entry, previous);
                Some(entry)
            }
            Op::Delete { last, .. } => {
                let previous = previous?;
                let value = last.map(|value| value.filled(revision).unwrap_or(value.bytes));
                let last = match value {
                    Some(value) => Arc::new(Entry { value, modified: revision, ..Entry::clone(&previous) }),
                    None => Arc::clone(&previous),
                };
                self.delete(&last, previous);
                Some(last)
            }
        }
    }

    fn put(&mut self, entry: &Arc<Entry>, previous: Option<Arc<Entry>>) {
        self.state.tree.insert(Arc::clone(entry));
        let kept = previous.as_ref().filter(|entry| entry.durability == Durability::Disk).cloned();
        if let Some(kept) = &kept {
            self.batch.head.remove(kept);
        }
        if entry.durability == Durability::Disk {
            self.batch.head.add(entry);
            self.batch.changes.push(Kept::Put { entry: Arc::clone(entry), previous: kept });
        } else if let Some(previous) = kept {
            self.batch.changes.push(Kept::Delete { previous });
        }
        let change = Change::Put { entry: Arc::clone(entry), previous };
        self.events.push(Arc::new(Event::new(entry.modified, change)));
    }

    fn delete(&mut self, last: &Arc<Entry>, previous: Arc<Entry>) {
        self.state.tree.remove(&previous.key);
        if previous.durability == Durability::Disk {
            self.batch.head.remove(&previous);
            self.batch.changes.push(Kept::Delete { previous: Arc::clone(&previous) });
        }
        let change = Change::Delete { previous, last: Arc::clone(last) };
        self.events.push(Arc::new(Event::new(self.state.revision + 1, change)));
    }
}

/// A point to return to when a later operation of the same transaction cannot be done.
struct Mark {
    state: State,
    head: Head,
    changes: usize,
    events: usize,
}

impl Mark {
    fn of(plan: &Plan) -> Self {
        Self {
            state: plan.state.clone(),
            head: plan.batch.head,
            changes: plan.batch.changes.len(),
            events: plan.events.len(),
        }
    }

    fn restore(&self, plan: &mut Plan) {
        plan.state = self.state.clone();
        plan.batch.head = self.head;
        plan.batch.changes.truncate(self.changes);
        plan.events.truncate(self.events);
    }
}
