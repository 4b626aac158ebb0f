//! Events are kept for an hour. They are looked through when one is created, now and then, so that a
//! cluster in which nothing happens does nothing.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use skiff_api::{meta, time};
use skiff_store::{Expect, Op};

use crate::{
    kind::{self, Kind, decode},
    state::State,
};

/// As long as kube-apiserver keeps them.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// They are looked through no more often than this.
const EVERY_SECONDS: i64 = 300;

/// When Events were last looked through.
#[derive(Default)]
pub(crate) struct Expiry {
    last: AtomicI64,
}

impl Expiry {
    /// Whether it is time again; says so to one caller only.
    fn is_due(&self, now: Timestamp) -> bool {
        let (now, last) = (now.as_second(), self.last.load(Ordering::Relaxed));
        now.saturating_sub(last) >= EVERY_SECONDS
            && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// To be called after an object of that kind was created.
pub(crate) fn created(state: &Arc<State>, kind: &Kind, now: Timestamp) {
    if kind.resource.kind() != "Event" || !state.expiry.is_due(now) {
        return;
    }
    let state = Arc::clone(state);
    tokio::spawn(async move {
        let deletes = outlived(&state, now);
        if deletes.is_empty() {
            return;
        }
        let count = deletes.len();
        // An Event that changed meanwhile is not old after all: its delete is refused.
        state.store.transact_each(deletes).await;
        tracing::debug!(count, "old Events were deleted");
    });
}

fn outlived(state: &State, now: Timestamp) -> Vec<Vec<Op>> {
    let Some(kind) = kind::of("", "events") else { return Vec::new() };
    let snapshot = state.store.snapshot();
    let prefix = kind.prefix_in("");
    let old = snapshot.range(&prefix, None).filter(|entry| decode(entry).is_ok_and(|event| is_old(&event, now)));
    old.map(|entry| {
        let delete = Op::delete(entry.key.clone()).expecting(Expect::Modified(entry.modified));
        vec![delete.showing(kind.reopen(&entry.value))]
    })
    .collect()
}

/// The last time that the event is about is more than an hour ago.
fn is_old(event: &Value, now: Timestamp) -> bool {
    let times = [
        event["series"]["lastObservedTime"].as_str(),
        event["lastTimestamp"].as_str(),
        event["eventTime"].as_str(),
        Some(meta::creation_timestamp(event)),
    ];
    let last = times.into_iter().flatten().filter_map(time::parse).max();
    last.is_some_and(|last| now.duration_since(last) > KEPT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_as_old_as_its_last_occurrence() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let event =
            |last: &str| json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "lastTimestamp": last});
        assert!(is_old(&event("2026-01-01T10:59:59Z"), now));
        assert!(!is_old(&event("2026-01-01T11:30:00Z"), now));
        assert!(is_old(&json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}), now));
        assert!(!is_old(&json!({}), now));
    }

    #[test]
    fn they_are_looked_through_now_and_then() {
        let expiry = Expiry::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert!(expiry.is_due(at(0)));
        assert!(!expiry.is_due(at(299)));
        assert!(expiry.is_due(at(300)));
    }
}
