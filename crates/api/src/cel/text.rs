//! The functions of text, and `format`.

use std::sync::Arc;

use super::operators::show;
use super::value::Val;
use super::{Budget, Error};

fn strings<'a>(found: impl Iterator<Item = impl AsRef<str>>) -> Val<'a> {
    Val::List(Arc::new(found.map(Val::text).collect()))
}

fn regex(pattern: &str) -> Result<regex::Regex, Error> {
    crate::custom::schema::pattern(pattern).ok_or_else(|| Error::Value(format!("error parsing regexp: {pattern}")))
}

fn range() -> Error {
    Error::Value("index out of range".to_owned())
}

/// A method of text; `None` if there is no such method.
pub(super) fn method<'a>(
    name: &str,
    text: &str,
    with: &[Val<'a>],
    budget: &mut Budget,
) -> Result<Option<Val<'a>>, Error> {
    Ok(Some(match (name, with) {
        ("contains", [Val::Text(part)]) => {
            budget.pay(text.len() * part.len() / 100)?;
            Val::Bool(text.contains(&**part))
        }
        ("startsWith", [Val::Text(part)]) => Val::Bool(text.starts_with(&**part)),
        ("endsWith", [Val::Text(part)]) => Val::Bool(text.ends_with(&**part)),
        ("matches", [Val::Text(pattern)]) => {
            budget.pay(pattern.len() + text.len() * pattern.len() / 40)?;
            Val::Bool(regex(pattern)?.is_match(text))
        }
        ("find", [Val::Text(pattern)]) => {
            budget.pay(pattern.len() + text.len() * pattern.len() / 40)?;
            Val::text(regex(pattern)?.find(text).map_or("", |found| found.as_str()))
        }
        ("findAll", [Val::Text(pattern)]) => all(text, pattern, usize::MAX, budget)?,
        ("findAll", [Val::Text(pattern), Val::Int(most)]) => {
            all(text, pattern, usize::try_from(*most).unwrap_or(usize::MAX), budget)?
        }
        ("lowerAscii", []) => Val::text(text.to_ascii_lowercase()),
        ("upperAscii", []) => Val::text(text.to_ascii_uppercase()),
        ("trim", []) => Val::text(text.trim()),
        ("reverse", []) => Val::text(text.chars().rev().collect::<String>()),
        ("charAt", [Val::Int(at)]) => {
            let at = usize::try_from(*at).map_err(|_| range())?;
            match text.chars().nth(at) {
                Some(letter) => Val::text(letter.to_string()),
                None if at == text.chars().count() => Val::text(""),
                None => return Err(range()),
            }
        }
        ("substring", [Val::Int(from)]) => Val::text(part(text, *from, text.chars().count() as i64)?),
        ("substring", [Val::Int(from), Val::Int(to)]) => Val::text(part(text, *from, *to)?),
        ("replace", [Val::Text(from), Val::Text(to)]) => replaced(text, from, to, usize::MAX, budget)?,
        ("replace", [Val::Text(from), Val::Text(to), Val::Int(most)]) => {
            replaced(text, from, to, usize::try_from(*most).unwrap_or(usize::MAX), budget)?
        }
        ("split", [Val::Text(by)]) => split(text, by, -1),
        ("split", [Val::Text(by), Val::Int(most)]) => split(text, by, *most),
        ("indexOf" | "lastIndexOf", [Val::Text(part), rest @ ..]) => index(name, text, part, rest)?,
        ("format", [list]) => Val::text(format(text, &list.items().unwrap_or_default())?),
        _ => return Ok(None),
    }))
}

fn all<'a>(text: &str, pattern: &str, most: usize, budget: &mut Budget) -> Result<Val<'a>, Error> {
    budget.pay(pattern.len() + text.len() * pattern.len() / 40)?;
    Ok(strings(regex(pattern)?.find_iter(text).take(most).map(|found| found.as_str().to_owned())))
}

fn replaced<'a>(text: &str, from: &str, to: &str, most: usize, budget: &mut Budget) -> Result<Val<'a>, Error> {
    let longest = text.len().saturating_add(to.len().saturating_mul(text.len() / from.len().max(1) + 1));
    budget.pay(longest / 10)?;
    Ok(Val::text(text.replacen(from, to, most)))
}

fn part(text: &str, from: i64, to: i64) -> Result<String, Error> {
    let letters = text.chars().count();
    let (from, to) = (usize::try_from(from).map_err(|_| range())?, usize::try_from(to).map_err(|_| range())?);
    if from > to || to > letters {
        return Err(range());
    }
    Ok(text.chars().skip(from).take(to - from).collect())
}

fn split<'a>(text: &str, by: &str, most: i64) -> Val<'a> {
    let letters = || text.chars().map(|letter| letter.to_string());
    match usize::try_from(most) {
        Ok(0) => strings(std::iter::empty::<&str>()),
        Ok(_) | Err(_) if by.is_empty() => strings(letters()),
        Ok(most) => strings(text.splitn(most, by)),
        Err(_) => strings(text.split(by)),
    }
}

fn index<'a>(name: &str, text: &str, part: &str, rest: &[Val<'a>]) -> Result<Val<'a>, Error> {
    let letters: Vec<char> = text.chars().collect();
    let wanted: Vec<char> = part.chars().collect();
    let last = letters.len().checked_sub(wanted.len());
    let bound = match rest {
        [] => None,
        [Val::Int(at)] => Some(usize::try_from(*at).ok().filter(|at| *at <= letters.len()).ok_or_else(range)?),
        _ => return Err(Error::Overload(format!("string.{name}"))),
    };
    let Some(last) = last else { return Ok(Val::Int(-1)) };
    let is_at = |at: &usize| letters[*at..].starts_with(&wanted);
    let found = match name {
        "indexOf" => (bound.unwrap_or(0)..=last).find(is_at),
        _ => (0..=bound.unwrap_or(last).min(last)).rev().find(is_at),
    };
    Ok(Val::Int(found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)))
}

/// `"%s has %d".format([a, b])`
fn format(pattern: &str, with: &[Val<'_>]) -> Result<String, Error> {
    let mut out = String::new();
    let mut with = with.iter();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut precision = None;
        if letters.peek() == Some(&'.') {
            letters.next();
            let mut digits = String::new();
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            precision = digits.parse::<usize>().ok().filter(|digits| *digits <= 100);
        }
        let verb = letters.next().ok_or_else(|| Error::Value("unexpected end of format string".to_owned()))?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = with.next().ok_or_else(|| Error::Value("not enough arguments for the format string".to_owned()))?;
        out.push_str(&verbed(verb, precision, value)?);
    }
    Ok(out)
}

fn verbed(verb: char, precision: Option<usize>, value: &Val<'_>) -> Result<String, Error> {
    let number = match value {
        Val::Int(value) => Some(*value as f64),
        Val::Uint(value) => Some(*value as f64),
        Val::Double(value) => Some(*value),
        _ => None,
    };
    Ok(match (verb, value, number) {
        ('s', value, _) => show(value),
        ('d', value @ (Val::Int(_) | Val::Uint(_)), _) => show(value),
        ('f', _, Some(number)) => format!("{number:.*}", precision.unwrap_or(6)),
        ('e', _, Some(number)) => format!("{number:.*e}", precision.unwrap_or(6)),
        ('b', Val::Bool(value), _) => u8::from(*value).to_string(),
        ('b', Val::Int(value), _) => format!("{value:b}"),
        ('b', Val::Uint(value), _) => format!("{value:b}"),
        ('o', Val::Int(value), _) => format!("{value:o}"),
        ('x', Val::Int(value), _) => format!("{value:x}"),
        ('X', Val::Int(value), _) => format!("{value:X}"),
        ('x', Val::Uint(value), _) => format!("{value:x}"),
        ('x', Val::Text(text), _) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        _ => return Err(Error::Value(format!("could not format {} with %{verb}", value.kind()))),
    })
}
