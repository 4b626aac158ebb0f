//! Durations as Go writes them (`1h30m`, `300ms`, `-1s`), which is how kubectl's flags take them.

use std::time::Duration;

/// A flag's time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Look once, do not wait.
    Now,
    /// Wait this long.
    After(Duration),
    /// Negative: as long as it takes.
    Never,
}

/// Reads a duration; a bare `0` is one too.
pub(crate) fn parse(text: &str) -> Result<Limit, String> {
    let wrong = || format!("invalid duration {text:?}: expected a number with a unit, such as 30s, 5m or 1h30m");
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if rest == "0" {
        return Ok(Limit::Now);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        seconds += number * unit(&rest[..letters]).ok_or_else(wrong)?;
        rest = &rest[letters..];
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) => Ok(Limit::Now),
        Ok(_) if negative => Ok(Limit::Never),
        Ok(duration) => Ok(Limit::After(duration)),
        Err(_) => Err(wrong()),
    }
}

fn unit(name: &str) -> Option<f64> {
    match name {
        "ns" => Some(1e-9),
        "us" | "µs" => Some(1e-6),
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        let after = |millis| Ok(Limit::After(Duration::from_millis(millis)));
        for (text, expected) in [
            ("30s", after(30_000)),
            ("1h30m", after(5_400_000)),
            ("1.5s", after(1500)),
            ("300ms", after(300)),
            ("0", Ok(Limit::Now)),
            ("0s", Ok(Limit::Now)),
            ("-1s", Ok(Limit::Never)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        for text in ["", "-", "5", "s", "1x", "1.2.3s", "99999999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
