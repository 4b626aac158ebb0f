//! How long to wait before something that failed is tried again: 10 s, doubling to 5 min,
//! forgotten after 10 min of peace.

use jiff::{SignedDuration, Timestamp};

const FIRST: SignedDuration = SignedDuration::from_secs(10);
const LONGEST: SignedDuration = SignedDuration::from_secs(300);
const FORGET: SignedDuration = SignedDuration::from_secs(600);

/// The memory of one container's restarts, or of one image's pulls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    entry: Option<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pause: SignedDuration,
    updated: Timestamp,
}

impl Backoff {
    /// Until when to wait after a failure at `failed`, if that is still ahead of `now`.
    pub(crate) fn until(&self, failed: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let entry = self.entry.as_ref()?;
        if failed.duration_since(entry.updated) > FORGET {
            return None;
        }
        let until = failed.saturating_add(entry.pause).unwrap_or(failed);
        (until > now).then_some(until)
    }

    /// The pause in force.
    pub(crate) fn pause(&self) -> SignedDuration {
        self.entry.as_ref().map_or(SignedDuration::ZERO, |entry| entry.pause)
    }

    /// Notes that it is tried again at `now` after a failure at `failed`.
    pub(crate) fn advance(&mut self, failed: Timestamp, now: Timestamp) {
        let pause = match &self.entry {
            Some(entry) if failed.duration_since(entry.updated) <= FORGET => (entry.pause * 2).min(LONGEST),
            _ => FIRST,
        };
        self.entry = Some(Entry { pause, updated: now });
    }
}

/// A duration as Go prints it in messages: `10s`, `2m40s`, `5m0s`.
pub(crate) fn go_seconds(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn it_doubles_up_to_five_minutes() {
        let mut backoff = Backoff::default();
        let mut now = 0;
        assert_eq!(backoff.until(at(0), at(0)), None, "the first restart is at once");
        for wanted in [10, 20, 40, 80, 160, 300, 300] {
            backoff.advance(at(now), at(now));
            assert_eq!(backoff.pause().as_secs(), wanted);
            assert_eq!(backoff.until(at(now), at(now)), Some(at(now + wanted)));
            now += wanted;
            assert_eq!(backoff.until(at(now - wanted), at(now)), None);
        }
    }

    #[test]
    fn it_forgets_after_ten_quiet_minutes() {
        let mut backoff = Backoff::default();
        backoff.advance(at(0), at(0));
        backoff.advance(at(10), at(20));
        assert_eq!(backoff.pause().as_secs(), 20);
        assert_eq!(backoff.until(at(621), at(621)), None);
        backoff.advance(at(621), at(621));
        assert_eq!(backoff.pause().as_secs(), 10);
    }

    #[test]
    fn durations_read_as_in_go() {
        for (seconds, wanted) in
            [(10, "10s"), (40, "40s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s"), (3723, "1h2m3s")]
        {
            assert_eq!(go_seconds(SignedDuration::from_secs(seconds)), wanted);
        }
    }
}
