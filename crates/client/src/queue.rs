//! A work queue of keys: each key is there once, and never with two workers at once.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

const FIRST_RETRY: Duration = Duration::from_millis(5);
const LAST_RETRY: Duration = Duration::from_secs(60);

struct State<K> {
    ready: VecDeque<K>,
    /// Keys in `ready`, or to be put there when their worker is done.
    wanted: HashSet<K>,
    working: HashSet<K>,
    failures: HashMap<K, u32>,
}

struct Inner<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

/// A keyed queue, as client-go's work queue: it dedupes, delays and backs off.
pub struct Queue<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Default for Queue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Queue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        let state =
            State { ready: VecDeque::new(), wanted: HashSet::new(), working: HashSet::new(), failures: HashMap::new() };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed: Notify::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for work on `key`, as soon as a worker is free and no other works on it.
    pub fn add(&self, key: K) {
        let mut state = self.lock();
        if state.wanted.insert(key.clone()) && !state.working.contains(&key) {
            state.ready.push_back(key);
            drop(state);
            self.inner.changed.notify_one();
        }
    }

    /// The same after a while. Must be called within a tokio runtime.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let weak = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(inner) = weak.upgrade() {
                Self { inner }.add(key);
            }
        });
    }

    /// The same after a pause that doubles with each failure: 5 ms up to a minute.
    /// Returns the pause.
    pub fn retry(&self, key: K) -> Duration {
        let failures = {
            let mut state = self.lock();
            let count = state.failures.entry(key.clone()).or_default();
            *count += 1;
            *count
        };
        let delay = FIRST_RETRY.saturating_mul(1 << (failures - 1).min(20)).min(LAST_RETRY);
        self.add_after(key, delay);
        delay
    }

    /// Forgets the failures of `key`.
    pub fn succeeded(&self, key: &K) {
        self.lock().failures.remove(key);
    }

    /// The next key; it is this worker's until [`Queue::done`].
    pub async fn next(&self) -> K {
        loop {
            let changed = self.inner.changed.notified();
            if let Some(key) = self.try_next() {
                return key;
            }
            changed.await;
        }
    }

    fn try_next(&self) -> Option<K> {
        let mut state = self.lock();
        let key = state.ready.pop_front()?;
        state.wanted.remove(&key);
        state.working.insert(key.clone());
        let more = !state.ready.is_empty();
        drop(state);
        if more {
            self.inner.changed.notify_one();
        }
        Some(key)
    }

    /// Ends the work on `key`; if it was asked for meanwhile, it becomes ready again.
    pub fn done(&self, key: &K) {
        let mut state = self.lock();
        state.working.remove(key);
        if state.wanted.contains(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.inner.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_held_once_and_by_one_worker() {
        let queue = Queue::new();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.next().await, "a");
        queue.add("a");
        assert_eq!(queue.next().await, "b");
        assert!(queue.try_next().is_none(), "a is still being worked on");
        queue.done(&"a");
        assert_eq!(queue.next().await, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_back_off_and_are_forgotten() {
        let queue = Queue::new();
        assert_eq!(queue.retry("a"), Duration::from_millis(5));
        assert_eq!(queue.retry("a"), Duration::from_millis(10));
        for _ in 0..30 {
            queue.retry("a");
        }
        assert_eq!(queue.retry("a"), LAST_RETRY);
        queue.succeeded(&"a");
        assert_eq!(queue.retry("a"), FIRST_RETRY);
    }
}
