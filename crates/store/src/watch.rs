//! A watcher: a position among the events of one prefix.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::window::{Found, Topic, Window};
use crate::{Event, Format, WatchError};

/// How many events are handed out at once, and about how many bytes: that is what a reader who then stops reading keeps.
const BATCH: usize = 1024;
const BATCH_BYTES: usize = 256 << 10;

/// Follows the changes of all keys with one prefix, in the order of their revisions, without gaps.
pub struct Watch {
    window: Arc<Window>,
    topic: Arc<Topic>,
    changed: watch::Receiver<bool>,
    position: u64,
    /// Where the watch began: events up to here are not its business.
    after: u64,
    /// The reader has everything up to this revision.
    seen: u64,
}

impl Watch {
    pub(crate) fn join(window: Arc<Window>, prefix: &[u8], after: u64) -> Result<Self, WatchError> {
        let (topic, position) =
            window.join(prefix, after).map_err(|oldest| WatchError::Compacted { wanted: after, oldest })?;
        let changed = topic.changed.subscribe();
        Ok(Self { window, topic, changed, position, after, seen: after })
    }

    /// The next events, at least one; waits for them. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// When the reader was so slow that the events are gone, or when the store is closed.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, WatchError> {
        loop {
            let closed = *self.changed.borrow_and_update();
            if let Some(events) = self.take()? {
                return Ok(events);
            }
            if closed {
                return Err(WatchError::Closed);
            }
            if self.changed.changed().await.is_err() {
                return Err(WatchError::Closed);
            }
        }
    }

    /// Like [`Watch::next`], but returns nothing instead of waiting.
    ///
    /// # Errors
    /// When the reader was so slow that the events are gone.
    pub fn try_next(&mut self) -> Result<Option<Vec<Arc<Event>>>, WatchError> {
        self.changed.borrow_and_update();
        self.take()
    }

    /// The encoding of an event that all watchers of that format share: made by `encode` the first time, kept as long as
    /// the event is, and counted among what the window holds.
    pub fn encoded<'a>(&self, event: &'a Event, format: Format, encode: impl FnOnce() -> Bytes) -> &'a Bytes {
        event.encoded(format, || {
            let bytes = encode();
            self.window.charge(event, bytes.len());
            bytes
        })
    }

    /// The revision up to which this watch has handed out everything. It moves on without events under the prefix too:
    /// that is what a bookmark says.
    pub fn progress(&self) -> u64 {
        let published = self.window.published();
        match self.topic.read(self.position, 1, 0) {
            Found::Nothing => published.max(self.seen),
            Found::Events(_) | Found::Lost => self.seen,
        }
    }

    fn take(&mut self) -> Result<Option<Vec<Arc<Event>>>, WatchError> {
        loop {
            let mut events = match self.topic.read(self.position, BATCH, BATCH_BYTES) {
                Found::Events(events) => events,
                Found::Nothing => return Ok(None),
                Found::Lost => return Err(WatchError::Overrun { seen: self.seen }),
            };
            self.position += events.len() as u64;
            // A watch can begin after a revision whose events are still on their way into the window.
            if events.first().is_some_and(|event| event.revision <= self.after) {
                events.retain(|event| event.revision > self.after);
            }
            if let Some(last) = events.last() {
                // More of the last revision may follow.
                self.seen = self.seen.max(last.revision - 1);
                return Ok(Some(events));
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.window.leave(&self.topic);
    }
}
