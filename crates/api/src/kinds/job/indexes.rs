//! The indexes of an Indexed Job as text, `1,3-5`, and what a Job says about them that ends before all of
//! its pods have.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::value::Read as _;

/// How many indexes the text names, all of them less than `completions`.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let (mut total, mut last) = (0, None);
    for interval in text.split(',') {
        let (first, end) = bounds(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first and the last index of `3` or `3-5`.
fn bounds(interval: &str, completions: i64) -> Result<(i64, i64), String> {
    let number = |text: &str| {
        let number: i64 = text.parse().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if number >= completions { Err(format!("too large index: {text:?}")) } else { Ok(number) }
    };
    match interval.split('-').collect::<Vec<_>>()[..] {
        [one] => number(one).map(|one| (one, one)),
        [first, last] => {
            let (first, last) = (number(first)?, number(last)?);
            if first >= last {
                return Err(format!("non-increasing order, previous: {first}, current: {last}"));
            }
            Ok((first, last))
        }
        _ => Err(format!(
            "the fragment {interval:?} violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        )),
    }
}

/// What must hold for the policy by which a Job with so many completions is over.
pub(super) fn success_policy(policy: &Value, completions: i64, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const MOST: usize = 20;
    let path = at.child("rules");
    let rules = policy.items("rules");
    if rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(&path, detail));
    } else if rules.len() > MOST {
        errors.push(FieldError::too_many(&path, rules.len(), MOST));
    }
    for (i, rule) in rules.iter().enumerate() {
        success_rule(rule, completions, &path.index(i), errors);
    }
}

fn success_rule(rule: &Value, completions: i64, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const LONGEST: usize = 64 * 1024;
    let (wanted, indexes) = (rule.int("succeededCount"), rule["succeededIndexes"].as_str());
    if wanted.is_none() && indexes.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(FieldError::required(at, detail));
    }
    let mut named = 0;
    if let Some(indexes) = indexes {
        let path = at.child("succeededIndexes");
        if indexes.len() > LONGEST {
            errors.push(FieldError::too_long(&path, LONGEST));
        }
        match count(indexes, completions) {
            Ok(total) => named = total,
            Err(why) => {
                let detail = format!("error parsing succeededIndexes: {why}");
                errors.push(FieldError::invalid(&path, indexes, detail));
            }
        }
    }
    let Some(wanted) = wanted else { return };
    let path = at.child("succeededCount");
    common::not_negative(rule, "succeededCount", at, errors);
    for (most, of) in [
        (Some(completions), "the number of specified completions"),
        (indexes.map(|_| named), "the number of indexes in the specified succeededIndexes field"),
    ] {
        if let Some(most) = most.filter(|most| wanted > *most) {
            let detail = format!("must be less than or equal to {most} ({of})");
            errors.push(FieldError::invalid(&path, wanted, detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_read_as_they_are_written() {
        for (text, expected) in [("", Ok(0)), ("0", Ok(1)), ("0,2-4,9", Ok(5))] {
            assert_eq!(count(text, 10), expected, "{text}");
        }
        for (text, why) in [
            ("10", "too large index: \"10\""),
            ("3-3", "non-increasing order, previous: 3, current: 3"),
            ("3,2", "non-increasing order, previous: 3, current: 2"),
            ("a", "cannot convert string to integer for index: \"a\""),
            ("1-2-3", "at most two parts separated by '-'"),
        ] {
            assert!(count(text, 10).unwrap_err().ends_with(why), "{text}");
        }
    }
}
