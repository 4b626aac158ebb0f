//! Times and durations.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Error;
use super::value::Val;
use crate::custom::schema::Schema;

const SECOND: i64 = 1_000_000_000;

/// Text that its schema gives a type: a time, a duration, bytes.
pub(super) fn typed(text: &str, schema: Option<&Schema>) -> Option<Val<'static>> {
    match schema?.format()? {
        "date-time" | "datetime" => text.parse().ok().map(Val::Time),
        "date" => format!("{text}T00:00:00Z").parse().ok().map(Val::Time),
        "duration" => parse(text).map(Val::Duration),
        "byte" => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).ok().map(|bytes| Val::Bytes(bytes.into()))
        }
        _ => None,
    }
}

/// `1h30m` in nanoseconds.
pub(super) fn parse(text: &str) -> Option<i64> {
    if !crate::custom::is_duration(text) {
        return None;
    }
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut total = 0.0;
    while !rest.is_empty() && rest != "0" {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(end);
        let units = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
        let (unit, nanos) = units.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        total += number.parse::<f64>().ok()? * nanos;
        rest = &after[unit.len()..];
    }
    // Up to the years that Kubernetes knows, a double holds the nanoseconds well enough.
    (total < i64::MAX as f64).then_some((sign * total) as i64)
}

/// As `string()` and `format` write it.
pub(super) fn show(nanos: i64) -> String {
    let seconds = nanos as f64 / SECOND as f64;
    format!("{seconds}s")
}

fn out_of_range() -> Error {
    Error::Value("timestamp overflow".to_owned())
}

/// A time moved by nanoseconds.
pub(super) fn shift<'a>(at: Timestamp, by: i64) -> Result<Val<'a>, Error> {
    at.checked_add(SignedDuration::from_nanos(by)).map(Val::Time).map_err(|_| out_of_range())
}

/// How long it is from `b` to `a`.
pub(super) fn between<'a>(a: Timestamp, b: Timestamp) -> Result<Val<'a>, Error> {
    let nanos = i64::try_from(a.duration_since(b).as_nanos()).map_err(|_| out_of_range())?;
    Ok(Val::Duration(nanos))
}

/// `getFullYear` and its kin, of a time (in a zone) or of a duration.
pub(super) fn part<'a>(name: &str, of: &Val<'a>, zone: Option<&str>) -> Result<Option<Val<'a>>, Error> {
    if let Val::Duration(nanos) = of {
        let unit = match name {
            "getHours" => 3600 * SECOND,
            "getMinutes" => 60 * SECOND,
            "getSeconds" => SECOND,
            "getMilliseconds" => return Ok(Some(Val::Int(nanos % SECOND / 1_000_000))),
            _ => return Ok(None),
        };
        return Ok(Some(Val::Int(nanos / unit)));
    }
    let Val::Time(at) = of else { return Ok(None) };
    let zone = match zone {
        None | Some("UTC") => TimeZone::UTC,
        Some(name) => fixed(name)?,
    };
    let local = zone.to_datetime(*at);
    let value = match name {
        "getFullYear" => i64::from(local.year()),
        "getMonth" => i64::from(local.month()) - 1,
        "getDate" => i64::from(local.day()),
        "getDayOfMonth" => i64::from(local.day()) - 1,
        "getDayOfWeek" => i64::from(local.weekday().to_sunday_zero_offset()),
        "getDayOfYear" => i64::from(local.date().day_of_year()) - 1,
        "getHours" => i64::from(local.hour()),
        "getMinutes" => i64::from(local.minute()),
        "getSeconds" => i64::from(local.second()),
        "getMilliseconds" => i64::from(local.millisecond()),
        _ => return Ok(None),
    };
    Ok(Some(Val::Int(value)))
}

/// `+01:30`, or the name of a zone that this machine knows.
fn fixed(name: &str) -> Result<TimeZone, Error> {
    let unknown = || Error::Value(format!("unknown time zone {name}"));
    let (sign, rest) = match name.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, name.strip_prefix('+').unwrap_or(name)),
    };
    match rest.split_once(':') {
        Some((hours, minutes)) => {
            let (hours, minutes): (i32, i32) =
                (hours.parse().map_err(|_| unknown())?, minutes.parse().map_err(|_| unknown())?);
            let seconds = hours
                .checked_mul(3600)
                .and_then(|hours| hours.checked_add(minutes.checked_mul(60)?))
                .ok_or_else(unknown)?;
            jiff::tz::Offset::from_seconds(sign * seconds).map(TimeZone::fixed).map_err(|_| unknown())
        }
        None => TimeZone::get(name).map_err(|_| unknown()),
    }
}
