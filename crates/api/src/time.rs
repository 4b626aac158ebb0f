//! Times as the API writes them, and ages as kubectl prints them.

use jiff::Timestamp;
use serde_json::Value;

/// `meta/v1` Time: RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn format(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `meta/v1` MicroTime: RFC 3339 in UTC, always six digits of a second.
#[must_use]
pub fn format_micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads an RFC 3339 time.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// How long ago `time` (RFC 3339) was; `<unknown>` where there is none.
#[must_use]
pub fn age(time: &Value, now: Timestamp) -> String {
    match time.as_str().and_then(parse) {
        Some(then) => human_duration(now.duration_since(then).as_secs()),
        None => "<unknown>".to_owned(),
    }
}

/// A duration in seconds, with two or three significant figures: `3h23m`.
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    const DAY: i64 = 24;
    const YEAR: i64 = 365 * DAY;
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let pair = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{small_unit}"),
    };
    match hours {
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        0..8 => pair(hours, "h", minutes % 60, "m"),
        8..48 => format!("{hours}h"),
        h if h < 8 * DAY => pair(h / DAY, "d", h % DAY, "h"),
        h if h < 2 * YEAR => format!("{}d", h / DAY),
        h if h < 8 * YEAR => pair(h / YEAR, "y", h / DAY % 365, "d"),
        h => format!("{}y", h / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_kubectl_prints_them() {
        let table = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (179 * 60, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 23 * 60, "3h23m"),
            (9 * 3600 + 59, "9h"),
            (47 * 3600, "47h"),
            (48 * 3600, "2d"),
            (69 * 3600, "2d21h"),
            (9 * 86400, "9d"),
            (3 * 365 * 86400 + 5 * 86400, "3y5d"),
            (9 * 365 * 86400, "9y"),
        ];
        for (seconds, text) in table {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn times_have_the_precision_of_their_type() {
        let time = parse("2026-01-02T03:04:05.678901234+02:00").unwrap();
        assert_eq!(format(time), "2026-01-02T01:04:05Z");
        assert_eq!(format_micro(time), "2026-01-02T01:04:05.678901Z");
        assert_eq!(age(&Value::Null, time), "<unknown>");
    }
}
