//! What was there before: moments that were asked to be kept, and any other that can be had by undoing recent events.
//!
//! A kept moment costs what has been replaced or deleted since. That is counted, and the oldest moments go when it
//! becomes too much or they too old, with the next change: as long as nothing changes, they cost nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Event;
use crate::snapshot::State;

/// No more moments than this are kept.
const KEPT: usize = 64;
/// What an entry costs besides its key and value, roughly.
const OVERHEAD: usize = 256;

/// The present, and what is kept of the past.
pub(crate) struct History {
    /// Everything, as it was when the last event came.
    present: State,
    /// The bytes of all that was replaced or deleted so far.
    replaced: u64,
    moments: VecDeque<Moment>,
}

struct Moment {
    since: Instant,
    state: State,
    /// The history's own number at that time.
    replaced: u64,
}

impl History {
    pub(crate) fn new(present: State) -> Self {
        Self { present, replaced: 0, moments: VecDeque::new() }
    }

    pub(crate) fn present(&self) -> &State {
        &self.present
    }

    /// Keeps a moment, usually the present one.
    pub(crate) fn keep(&mut self, state: &State, now: Instant) {
        let newer = self.moments.back().is_none_or(|last| last.state.revision < state.revision);
        if newer {
            if self.moments.len() >= KEPT {
                self.moments.pop_front();
            }
            self.moments.push_back(Moment { since: now, state: state.clone(), replaced: self.replaced });
        }
    }

    /// The kept moment of that revision.
    pub(crate) fn find(&self, revision: u64) -> Option<State> {
        let at = self.moments.binary_search_by_key(&revision, |moment| moment.state.revision).ok()?;
        Some(self.moments[at].state.clone())
    }

    /// Goes on to the next state, and lets go of what keeps more than so many bytes or is older than `age`.
    pub(crate) fn advance(
        &mut self,
        events: &[Arc<Event>],
        present: &State,
        now: Instant,
        age: Duration,
        bytes: usize,
    ) {
        self.present = present.clone();
        let sizes = events.iter().filter_map(|event| event.previous());
        self.replaced += sizes.map(|entry| (OVERHEAD + entry.key.len() + entry.value.len()) as u64).sum::<u64>();
        while let Some(oldest) = self.moments.front()
            && (now.saturating_duration_since(oldest.since) > age || self.replaced - oldest.replaced > bytes as u64)
        {
            self.moments.pop_front();
        }
    }
}

/// The state before these events, which lead from `revision` to it.
pub(crate) fn undo(mut state: State, events: &[Arc<Event>], revision: u64) -> State {
    for event in events.iter().rev() {
        match event.previous() {
            Some(previous) => state.tree.insert(Arc::clone(previous)),
            None => state.tree.remove(event.key()),
        }
    }
    state.revision = revision;
    state
}
