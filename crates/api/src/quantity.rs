//! Amounts of resources: `500m`, `1.5Gi`, `2e3`.
//!
//! An amount is kept in billionths, rounded up, which is as fine as Kubernetes keeps it. Amounts
//! beyond what 128 bits hold are cut to the largest that they do.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde_json::Value;

const NANO: i128 = 1_000_000_000;
const DECIMAL: &[(&str, i32)] =
    &[("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: &[&str] = &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// How an amount is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `12M`
    Decimal,
    /// `12Mi`
    Binary,
    /// `12e6`
    Exponent,
}

/// An amount of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not look like one at all.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number before the suffix is not one.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// The suffix is none of the known ones.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0, format: Format::Decimal };

    /// A whole amount.
    #[must_use]
    pub const fn from_units(units: i64) -> Self {
        Self { nanos: units as i128 * NANO, format: Format::Decimal }
    }

    /// An amount in thousandths, as CPU time is counted.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self { nanos: millis as i128 * (NANO / 1000), format: Format::Decimal }
    }

    /// A whole amount that is written with `Ki`, `Mi` and so on, as memory is counted.
    #[must_use]
    pub const fn from_bytes(bytes: i64) -> Self {
        Self { nanos: bytes as i128 * NANO, format: Format::Binary }
    }

    /// Reads a JSON string or number.
    pub fn from_json(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::String(text) => text.trim().parse(),
            Value::Number(number) => number.to_string().parse(),
            _ => Err(QuantityError::Format),
        }
    }

    /// The amount in whole units, rounded up.
    #[must_use]
    pub fn units(self) -> i64 {
        saturate(divide_up(self.nanos, NANO))
    }

    /// The amount in thousandths, rounded up.
    #[must_use]
    pub fn millis(self) -> i64 {
        saturate(divide_up(self.nanos, NANO / 1000))
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether it is less than nothing.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a whole number of units.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }
}

fn saturate(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}

fn divide_up(n: i128, by: i128) -> i128 {
    let (quotient, rest) = (n / by, n % by);
    if rest == 0 { quotient } else { quotient + rest.signum() }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        if number.is_empty() {
            return Err(QuantityError::Format);
        }
        check_suffix(suffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(QuantityError::Number);
        }
        let (nanos, format) = magnitude(whole, fraction, suffix)?;
        Ok(Self { nanos: if text.starts_with('-') { -nanos } else { nanos }, format })
    }
}

fn check_suffix(suffix: &str) -> Result<(), QuantityError> {
    let digits = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if digits.bytes().all(|b| b.is_ascii_digit()) { Ok(()) } else { Err(QuantityError::Format) }
}

fn magnitude(whole: &str, fraction: &str, suffix: &str) -> Result<(i128, Format), QuantityError> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Ok((decimal(whole, fraction, *exponent), Format::Decimal));
    }
    if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
        let nanos = decimal(whole, fraction, 0).saturating_mul(1 << (10 * power));
        let most = i128::from(i64::MAX) * NANO;
        // A fraction of the unit may have been lost to rounding before it was multiplied.
        let nanos = if fraction.len() > 9 { binary_fraction(whole, fraction, power) } else { nanos };
        let format = if nanos > 0 && nanos < NANO { Format::Decimal } else { Format::Binary };
        return Ok((nanos.min(most), format));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
    let exponent: i64 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
    let exponent = i32::try_from(exponent).unwrap_or(if exponent < 0 { -1000 } else { 1000 });
    Ok((decimal(whole, fraction, exponent), Format::Exponent))
}

/// Billionths of `whole.fraction` × 1024^power for a fraction that is finer than billionths.
fn binary_fraction(whole: &str, fraction: &str, power: usize) -> i128 {
    let part = decimal("", fraction, 9);
    let scaled = part.saturating_mul(1 << (10 * power));
    let whole = decimal(whole, "", 0).saturating_mul(1 << (10 * power));
    whole.saturating_add(divide_up(scaled, NANO))
}

/// Billionths of `whole.fraction` × 10^exponent, rounded up.
fn decimal(whole: &str, fraction: &str, exponent: i32) -> i128 {
    let shift = i64::from(exponent) + 9;
    let digits = whole.bytes().chain(fraction.bytes()).map(|b| i128::from(b - b'0'));
    let kept = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(shift);
    let mut value: i128 = 0;
    let mut lost = false;
    let mut seen = 0;
    for digit in digits {
        if seen < kept {
            value = value.saturating_mul(10).saturating_add(digit);
        } else {
            lost |= digit != 0;
        }
        seen += 1;
    }
    while seen < kept && value != 0 && value != i128::MAX {
        value = value.saturating_mul(10);
        seen += 1;
    }
    value.saturating_add(i128::from(lost))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let whole = self.nanos / NANO;
        if self.format == Format::Binary && self.nanos % NANO == 0 && whole.abs() >= 1024 {
            let (mut number, mut power) = (whole, 0);
            while number % 1024 == 0 && power + 1 < BINARY.len() {
                number /= 1024;
                power += 1;
            }
            return write!(f, "{number}{}", BINARY[power]);
        }
        let (mut number, mut step) = (self.nanos, 0);
        while number % 1000 == 0 && step + 1 < DECIMAL.len() {
            number /= 1000;
            step += 1;
        }
        let (suffix, exponent) = DECIMAL[step];
        match self.format {
            Format::Exponent if exponent != 0 => write!(f, "{number}e{exponent}"),
            _ => write!(f, "{number}{suffix}"),
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: self.nanos.saturating_add(other.nanos), format }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: self.nanos.saturating_sub(other.nanos), format }
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_written_in_their_canonical_form() {
        let table = [
            ("0", "0"),
            ("0.5", "500m"),
            ("1", "1"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("100000", "100k"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("512", "512"),
            ("1000Ki", "1000Ki"),
            ("0.5Ki", "512"),
            ("1Ki", "1Ki"),
            ("0.1Ki", "102400m"),
            ("12e6", "12e6"),
            ("12E", "12E"),
            ("1e3", "1e3"),
            ("123e-3", "123e-3"),
            ("-5", "-5"),
            ("+5", "5"),
            (".5", "500m"),
            ("5.", "5"),
            ("0.1n", "1n"),
            ("-0.1n", "-1n"),
            ("00100m", "100m"),
            ("1e-1000", "1e-9"),
        ];
        for (text, canonical) in table {
            assert_eq!(text.parse::<Quantity>().unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_says_why() {
        use QuantityError::{Format, Number, Suffix};
        let table = [("", Format), ("x", Format), ("1.2.3", Number), ("1Q", Format), ("1Mib", Format), ("1mm", Suffix)];
        for (text, error) in table {
            assert_eq!(text.parse::<Quantity>().unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn amounts_compare_and_add_across_forms() {
        let parse = |s: &str| s.parse::<Quantity>().unwrap();
        assert_eq!(parse("1Gi"), parse("1073741824"));
        assert!(parse("999m") < parse("1"));
        assert_eq!((parse("1Gi") + parse("512Mi")).to_string(), "1536Mi");
        assert_eq!(parse("1.2").units(), 2);
        assert_eq!(parse("1.2").millis(), 1200);
        assert_eq!(["1", "500m"].map(parse).into_iter().sum::<Quantity>().to_string(), "1500m");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,40}") {
            let _ = text.parse::<Quantity>();
        }

        #[test]
        fn the_canonical_form_is_read_back(text in "[+-]?[0-9]{1,30}(\\.[0-9]{0,12})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[0-9]{1,3})?") {
            if let Ok(quantity) = text.parse::<Quantity>() {
                let again: Quantity = quantity.to_string().parse().unwrap();
                if quantity.nanos.abs() < i128::from(i64::MAX) {
                    prop_assert_eq!(again, quantity);
                    prop_assert_eq!(again.to_string(), quantity.to_string());
                }
            }
        }
    }
}
