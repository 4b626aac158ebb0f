//! The recent events that watchers read from.
//!
//! There is one window, bounded by number, memory and age. A watched prefix is a *topic*: the part of the window that
//! lies under it. Topics are shared by all watchers of a prefix and hold pointers only; a watcher is a position in its
//! topic. So a change costs what its own topics cost: nobody who watches something else is woken or even looked at, and
//! a slow watcher holds nothing up and keeps nothing alive. It loses its place when the window moves past it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::Event;
use crate::history::{self, History};
use crate::snapshot::State;

/// How many events are kept for watchers that come late or are slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// The number of events. Default: 65,536.
    pub events: usize,
    /// Their memory in bytes, roughly. Default: 24 MiB.
    pub bytes: usize,
    /// Their age; older ones go when the next event comes. Default: 5 minutes.
    pub age: Duration,
}

impl Default for WindowLimits {
    fn default() -> Self {
        Self { events: 65_536, bytes: 24 << 20, age: Duration::from_secs(300) }
    }
}

/// The window. Written by the committer, read by watchers.
pub(crate) struct Window {
    inner: Mutex<Inner>,
    /// Events up to here are in the window.
    published: AtomicU64,
    /// The bytes of the encodings that readers made of its events.
    encoded: AtomicUsize,
}

struct Inner {
    limits: WindowLimits,
    events: VecDeque<(Instant, Arc<Event>)>,
    bytes: usize,
    history: History,
    /// The revision of the youngest event that is no longer there.
    forgotten: u64,
    topics: HashMap<Box<[u8]>, Arc<Topic>>,
    /// The lengths of the watched prefixes, with the number of topics of each.
    lengths: BTreeMap<usize, usize>,
    closed: bool,
}

/// The events under one watched prefix.
pub(crate) struct Topic {
    prefix: Box<[u8]>,
    ring: Mutex<Ring>,
    /// Woken at every change; true once the store is closed.
    pub(crate) changed: watch::Sender<bool>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// The position of the first event that is left.
    first: u64,
    watchers: usize,
}

/// What a watcher finds at its position.
pub(crate) enum Found {
    /// The next events.
    Events(Vec<Arc<Event>>),
    /// Nothing new.
    Nothing,
    /// The events at the position are gone.
    Lost,
}

/// Nothing in here can be left half done by a panic of one that holds it, so poisoning means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Window {
    /// An empty window that begins after that state.
    pub(crate) fn new(state: State, limits: WindowLimits) -> Self {
        let revision = state.revision;
        let inner = Inner {
            limits,
            events: VecDeque::new(),
            bytes: 0,
            history: History::new(state),
            forgotten: revision,
            topics: HashMap::new(),
            lengths: BTreeMap::new(),
            closed: false,
        };
        Self { inner: Mutex::new(inner), published: AtomicU64::new(revision), encoded: AtomicUsize::new(0) }
    }

    /// Adds what one group of transactions did and led to, drops what is over the limits, wakes the watchers concerned.
    pub(crate) fn publish(&self, events: &[Arc<Event>], state: &State, now: Instant) {
        let mut touched: Vec<Arc<Topic>> = Vec::new();
        let mut inner = lock(&self.inner);
        for event in events {
            inner.bytes += event.size();
            inner.events.push_back((now, Arc::clone(event)));
            for topic in inner.topics_of(event.key()) {
                lock(&topic.ring).events.push_back(Arc::clone(event));
                if !touched.iter().any(|known| Arc::ptr_eq(known, topic)) {
                    touched.push(Arc::clone(topic));
                }
            }
        }
        inner.evict(now, &self.encoded);
        let WindowLimits { age, bytes, .. } = inner.limits;
        inner.history.advance(events, state, now, age, bytes);
        self.published.store(state.revision, Ordering::Release);
        drop(inner);
        for topic in touched {
            topic.changed.send_modify(|_| ());
        }
    }

    /// Counts an encoding of an event for as long as the event is in the window.
    pub(crate) fn charge(&self, event: &Event, bytes: usize) {
        self.encoded.fetch_add(bytes, Ordering::AcqRel);
        if !event.charge(bytes) {
            self.encoded.fetch_sub(bytes, Ordering::AcqRel);
        }
    }

    /// The revision up to which all events have been published.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Keeps a moment for [`Window::at`].
    pub(crate) fn keep(&self, state: &State, now: Instant) {
        lock(&self.inner).history.keep(state, now);
    }

    /// The state at a revision, as far as it is under a prefix. The error is the oldest revision of which that is known.
    pub(crate) fn at(&self, prefix: &[u8], revision: u64) -> Result<State, u64> {
        let inner = lock(&self.inner);
        if let Some(kept) = inner.history.find(revision) {
            return Ok(kept);
        }
        let present = inner.history.present().clone();
        if revision < inner.forgotten || revision > present.revision {
            return Err(inner.forgotten);
        }
        let from = inner.events.partition_point(|(_, event)| event.revision <= revision);
        let since = inner.events.range(from..).map(|(_, event)| event).filter(|event| event.key().starts_with(prefix));
        let since: Vec<_> = since.cloned().collect();
        drop(inner);
        Ok(history::undo(present, &since, revision))
    }

    /// Joins the topic of a prefix, at the first event after `revision`. The error is the oldest revision to begin after.
    pub(crate) fn join(&self, prefix: &[u8], revision: u64) -> Result<(Arc<Topic>, u64), u64> {
        let mut inner = lock(&self.inner);
        if revision < inner.forgotten {
            return Err(inner.forgotten);
        }
        let topic = inner.topic(prefix);
        let mut ring = lock(&topic.ring);
        ring.watchers += 1;
        let skipped = ring.events.partition_point(|event| event.revision <= revision);
        let position = ring.first + skipped as u64;
        drop(ring);
        Ok((topic, position))
    }

    /// Leaves a topic, which goes with its last watcher.
    pub(crate) fn leave(&self, topic: &Topic) {
        let mut inner = lock(&self.inner);
        let mut ring = lock(&topic.ring);
        ring.watchers -= 1;
        if ring.watchers == 0 {
            inner.topics.remove(&topic.prefix);
            inner.forget_length(topic.prefix.len());
        }
    }

    /// Tells every watcher that nothing comes any more.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        for topic in inner.topics.values() {
            topic.changed.send_replace(true);
        }
    }
}

impl Inner {
    fn topics_of<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a Arc<Topic>> {
        self.lengths.range(..=key.len()).filter_map(|(length, _)| self.topics.get(&key[..*length]))
    }

    fn topic(&mut self, prefix: &[u8]) -> Arc<Topic> {
        if let Some(topic) = self.topics.get(prefix) {
            return Arc::clone(topic);
        }
        let under = self.events.iter().map(|(_, event)| event).filter(|event| event.key().starts_with(prefix));
        let ring = Ring { events: under.cloned().collect(), ..Ring::default() };
        let topic =
            Arc::new(Topic { prefix: prefix.into(), ring: Mutex::new(ring), changed: watch::Sender::new(self.closed) });
        self.topics.insert(prefix.into(), Arc::clone(&topic));
        *self.lengths.entry(prefix.len()).or_default() += 1;
        topic
    }

    fn forget_length(&mut self, length: usize) {
        if let Some(topics) = self.lengths.get_mut(&length) {
            *topics -= 1;
            if *topics == 0 {
                self.lengths.remove(&length);
            }
        }
    }

    fn evict(&mut self, now: Instant, encoded: &AtomicUsize) {
        while let Some((time, _)) = self.events.front() {
            let bytes = self.bytes.saturating_add(encoded.load(Ordering::Acquire));
            let over = self.events.len() > self.limits.events || bytes > self.limits.bytes;
            if !over && now.saturating_duration_since(*time) <= self.limits.age {
                return;
            }
            let Some((_, event)) = self.events.pop_front() else { return };
            self.bytes -= event.size();
            encoded.fetch_sub(event.leave(), Ordering::AcqRel);
            self.forgotten = event.revision;
            for topic in self.topics_of(event.key()) {
                lock(&topic.ring).pop();
            }
        }
        self.events.shrink_to(self.events.len() * 2 + 64);
    }
}

impl Topic {
    /// Up to `limit` events from `position` on, of about as many bytes, and at least one.
    pub(crate) fn read(&self, position: u64, limit: usize, bytes: usize) -> Found {
        let ring = lock(&self.ring);
        let Some(offset) = position.checked_sub(ring.first) else { return Found::Lost };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(ring.events.len());
        let mut size = 0;
        let fits = |event: &&Arc<Event>| {
            let before = size;
            size += event.size();
            before == 0 || before < bytes
        };
        let events: Vec<_> = ring.events.range(offset..).take(limit).take_while(fits).cloned().collect();
        if events.is_empty() { Found::Nothing } else { Found::Events(events) }
    }
}

impl Ring {
    /// Drops the first event: what the window dropped first is first here too, since both are in the same order.
    fn pop(&mut self) {
        if self.events.pop_front().is_some() {
            self.first += 1;
        }
    }
}
