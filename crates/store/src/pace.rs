//! How often watchers are woken.
//!
//! A few are woken at once, always. Where very many watch the same, waking them all for each single change would keep
//! the processors busy with little else, the writers' own answers included: then they rest between two wakes for about
//! as long as a wake takes, and get what came meanwhile together. The first change after a rest is told at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::window::Topic;

/// Up to so many watchers never rest.
const FEW: usize = 64;
/// How long a wake takes for each watcher, roughly.
const EACH: Duration = Duration::from_micros(8);
/// The longest rest.
const LONGEST: Duration = Duration::from_millis(10);

/// Topics that were woken a moment ago.
#[derive(Default)]
pub(crate) struct Pace {
    resting: Vec<Resting>,
}

struct Resting {
    topic: Arc<Topic>,
    until: Instant,
    /// Something came meanwhile.
    again: bool,
}

impl Pace {
    /// Something came for the watchers of these topics: wakes them now or later.
    pub(crate) fn touched(&mut self, topics: Vec<Arc<Topic>>, now: Instant) {
        for topic in topics {
            match self.resting.iter_mut().find(|resting| Arc::ptr_eq(&resting.topic, &topic)) {
                Some(resting) => resting.again = true,
                None => self.wake(topic, now),
            }
        }
    }

    /// When [`Pace::go_on`] is to be called, if at all.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.resting.iter().map(|resting| resting.until).min()
    }

    /// Wakes those whose rest is over, if something came for them.
    pub(crate) fn go_on(&mut self, now: Instant) {
        for over in self.resting.extract_if(.., |resting| resting.until <= now).collect::<Vec<_>>() {
            if over.again {
                self.wake(over.topic, now);
            }
        }
    }

    fn wake(&mut self, topic: Arc<Topic>, now: Instant) {
        topic.wake();
        if let Some(rest) = rest(topic.watchers()) {
            self.resting.push(Resting { topic, until: now + rest, again: false });
        }
    }
}

/// How long so many watchers rest after a wake.
fn rest(watchers: usize) -> Option<Duration> {
    let watchers = u32::try_from(watchers).unwrap_or(u32::MAX);
    (watchers as usize > FEW).then(|| EACH.saturating_mul(watchers).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WindowLimits;
    use crate::window::Window;

    fn topic(watchers: usize) -> Arc<Topic> {
        let window = Window::new(0, WindowLimits::default());
        for _ in 1..watchers {
            window.join(b"p/", 0).unwrap();
        }
        window.join(b"p/", 0).unwrap().0
    }

    #[test]
    fn few_are_always_woken_at_once() {
        let (topic, now) = (topic(FEW), Instant::now());
        let woken = topic.changed.subscribe();
        let mut pace = Pace::default();
        for _ in 0..3 {
            let mut watcher = woken.clone();
            watcher.mark_unchanged();
            pace.touched(vec![Arc::clone(&topic)], now);
            assert!(watcher.has_changed().unwrap());
        }
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn many_rest_and_miss_nothing() {
        let (topic, now) = (topic(1000), Instant::now());
        let mut watcher = topic.changed.subscribe();
        let mut pace = Pace::default();
        pace.touched(vec![Arc::clone(&topic)], now);
        assert!(watcher.has_changed().unwrap(), "the first change is told at once");
        watcher.mark_unchanged();
        let due = pace.due().unwrap();
        assert_eq!(due, now + EACH * 1000);
        pace.touched(vec![Arc::clone(&topic)], now);
        pace.go_on(now);
        assert!(!watcher.has_changed().unwrap());
        pace.go_on(due);
        assert!(watcher.has_changed().unwrap());
        watcher.mark_unchanged();
        pace.go_on(pace.due().unwrap());
        assert!(!watcher.has_changed().unwrap(), "nothing came meanwhile");
        assert_eq!(pace.due(), None);
        assert_eq!(rest(1_000_000), Some(LONGEST));
    }
}
