//! Schedules of CronJobs: five fields, or a word such as `@daily`.

use thiserror::Error;

/// Why a schedule cannot be read; in the words of the parser that kube-apiserver uses.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CronError {
    /// Not five fields.
    #[error("expected exactly 5 fields, found {count}: [{fields}]")]
    Fields {
        /// How many there are.
        count: usize,
        /// What they are.
        fields: String,
    },
    /// A word after `@` that means nothing.
    #[error("unrecognized descriptor: {0}")]
    Descriptor(String),
    /// What follows `@every` is no duration.
    #[error("failed to parse duration {0}")]
    Duration(String),
    /// A field with several slashes.
    #[error("too many slashes: {0}")]
    Slashes(String),
    /// A field with several hyphens.
    #[error("too many hyphens: {0}")]
    Hyphens(String),
    /// Neither a number nor a name.
    #[error("failed to parse int from {0}: strconv.Atoi: parsing {0:?}: invalid syntax")]
    Number(String),
    /// A number below the least.
    #[error("beginning of range ({0}) below minimum ({1}): {2}")]
    Below(u32, u32, String),
    /// A number above the greatest.
    #[error("end of range ({0}) above maximum ({1}): {2}")]
    Above(u32, u32, String),
    /// A range that ends before it begins.
    #[error("beginning of range ({0}) beyond end of range ({1}): {2}")]
    Backwards(u32, u32, String),
    /// A step of nothing.
    #[error("step of range should be a positive number: {0}")]
    Step(String),
}

/// When a schedule is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Always after so many seconds.
    Every(u64),
    /// At times whose parts are all in these sets of bits.
    At {
        /// 0 to 59
        minutes: u64,
        /// 0 to 23
        hours: u64,
        /// 1 to 31
        days: u64,
        /// 1 to 12
        months: u64,
        /// 0 (Sunday) to 6
        weekdays: u64,
        /// Whether the day of the month was left open.
        any_day: bool,
        /// Whether the day of the week was left open.
        any_weekday: bool,
    },
}

struct Bounds {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { least: 0, most: 59, names: &[] };
const HOURS: Bounds = Bounds { least: 0, most: 23, names: &[] };
const DAYS: Bounds = Bounds { least: 1, most: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// Reads a schedule.
pub fn parse(text: &str) -> Result<Schedule, CronError> {
    let text = match text.split_once(' ') {
        Some((zone, rest)) if zone.starts_with("TZ=") || zone.starts_with("CRON_TZ=") => rest.trim(),
        _ => text,
    };
    if text.starts_with('@') {
        return descriptor(text);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
        return Err(CronError::Fields { count: fields.len(), fields: fields.join(" ") });
    };
    Ok(Schedule::At {
        minutes: field(minutes, &MINUTES)?,
        hours: field(hours, &HOURS)?,
        days: field(days, &DAYS)?,
        months: field(months, &MONTHS)?,
        weekdays: field(weekdays, &WEEKDAYS)?,
        any_day: is_open(days),
        any_weekday: is_open(weekdays),
    })
}

fn is_open(field: &str) -> bool {
    field.split(',').any(|range| matches!(range.split('/').next(), Some("*" | "?")))
}

fn descriptor(text: &str) -> Result<Schedule, CronError> {
    match text {
        "@yearly" | "@annually" => parse("0 0 1 1 *"),
        "@monthly" => parse("0 0 1 * *"),
        "@weekly" => parse("0 0 * * 0"),
        "@daily" | "@midnight" => parse("0 0 * * *"),
        "@hourly" => parse("0 * * * *"),
        _ => match text.strip_prefix("@every ") {
            Some(duration) => {
                seconds(duration).map(Schedule::Every).ok_or_else(|| CronError::Duration(text.to_owned()))
            }
            None => Err(CronError::Descriptor(text.to_owned())),
        },
    }
}

/// `1h30m`, in whole seconds and at least one.
fn seconds(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let mut rest = text;
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        sum += number * unit;
        rest = &rest[end..];
    }
    // Longer than any machine runs is as good as never.
    const LONGEST: f64 = 1e12;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded and never negative")]
    let whole = sum.clamp(1.0, LONGEST) as u64;
    Some(whole)
}

fn field(text: &str, bounds: &Bounds) -> Result<u64, CronError> {
    text.split(',').filter(|range| !range.is_empty()).try_fold(0, |bits, text| Ok(bits | range(text, bounds)?))
}

/// The bits of `*`, `5`, `1-5`, each with a step (`*/15`).
fn range(text: &str, bounds: &Bounds) -> Result<u64, CronError> {
    let parts: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let (start, mut end) = match ends.as_slice() {
        ["*" | "?"] => (bounds.least, bounds.most),
        [one] => {
            let one = number(one, bounds)?;
            (one, one)
        }
        [first, last] => (number(first, bounds)?, number(last, bounds)?),
        _ => return Err(CronError::Hyphens(text.to_owned())),
    };
    let step = match parts.as_slice() {
        [_] => 1,
        [_, step] => {
            // `N/step` means from N on.
            if ends.len() == 1 {
                end = bounds.most;
            }
            plain(step)?
        }
        _ => return Err(CronError::Slashes(text.to_owned())),
    };
    if start < bounds.least {
        return Err(CronError::Below(start, bounds.least, text.to_owned()));
    }
    if end > bounds.most {
        return Err(CronError::Above(end, bounds.most, text.to_owned()));
    }
    if start > end {
        return Err(CronError::Backwards(start, end, text.to_owned()));
    }
    let step = usize::try_from(step).ok().filter(|step| *step > 0).ok_or_else(|| CronError::Step(text.to_owned()))?;
    Ok((start..=end).step_by(step).fold(0, |bits, at| bits | 1 << at))
}

fn number(text: &str, bounds: &Bounds) -> Result<u32, CronError> {
    let lower = text.to_lowercase();
    match bounds.names.iter().position(|name| *name == lower) {
        Some(index) => Ok(bounds.least + u32::try_from(index).unwrap_or_default()),
        None => plain(text),
    }
}

fn plain(text: &str) -> Result<u32, CronError> {
    text.parse().map_err(|_| CronError::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read() {
        let good = ["* * * * *", "*/15 0-6,22 1 jan-mar MON", "@hourly", "@every 1h30m", "0 0 ? * 0", "5/10 * * * *"];
        for text in good {
            assert!(parse(text).is_ok(), "{text}");
        }
        assert_eq!(parse("@every 1h30m"), Ok(Schedule::Every(5400)));
        let Ok(Schedule::At { minutes, any_day, any_weekday, weekdays, .. }) = parse("*/20 3 * * 1-5") else {
            panic!()
        };
        assert_eq!((minutes, weekdays), (1 | 1 << 20 | 1 << 40, 0b11_1110));
        assert!(any_day && !any_weekday);
    }

    #[test]
    fn mistakes_are_told_as_kubernetes_does() {
        let table = [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("error", "expected exactly 5 fields, found 1: [error]"),
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("@sometimes", "unrecognized descriptor: @sometimes"),
            ("@every day", "failed to parse duration @every day"),
        ];
        for (text, message) in table {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
