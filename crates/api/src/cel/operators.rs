//! `+`, `<`, `in` and the other operators.

use std::cmp::Ordering;
use std::sync::Arc;

use super::value::Val;
use super::{Budget, Error, time};

fn overload<T>(left: &Val<'_>, name: &str, right: &Val<'_>) -> Result<T, Error> {
    Err(Error::Overload(format!("{} {name} {}", left.kind(), right.kind())))
}

fn overflow() -> Error {
    Error::Value("integer overflow".to_owned())
}

/// `!a`, `-a`
pub(super) fn unary<'a>(name: &str, of: &Val<'a>) -> Result<Val<'a>, Error> {
    match (name, of) {
        ("!", Val::Bool(value)) => Ok(Val::Bool(!value)),
        ("-", Val::Int(value)) => value.checked_neg().map(Val::Int).ok_or_else(overflow),
        ("-", Val::Double(value)) => Ok(Val::Double(-value)),
        ("-", Val::Duration(value)) => value.checked_neg().map(Val::Duration).ok_or_else(overflow),
        _ => Err(Error::Overload(format!("{name}{}", of.kind()))),
    }
}

/// `a + b`
pub(super) fn binary<'a>(name: &str, left: &Val<'a>, right: &Val<'a>, budget: &mut Budget) -> Result<Val<'a>, Error> {
    match name {
        "==" => Ok(Val::Bool(left.equals(right))),
        "!=" => Ok(Val::Bool(!left.equals(right))),
        "in" => contains(left, right),
        "<" | "<=" | ">" | ">=" => compare(name, left, right),
        "+" => add(left, right, budget),
        _ => arithmetic(name, left, right),
    }
}

fn contains<'a>(item: &Val<'a>, of: &Val<'a>) -> Result<Val<'a>, Error> {
    if let Some(items) = of.items() {
        return Ok(Val::Bool(items.iter().any(|one| one.equals(item))));
    }
    match of.entries() {
        Some(entries) => Ok(Val::Bool(entries.iter().any(|(key, _)| key.equals(item)))),
        None => overload(item, "in", of),
    }
}

fn compare<'a>(name: &str, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>, Error> {
    let is_nan = |value: &Val<'_>| matches!(value, Val::Double(value) if value.is_nan());
    let Some(order) = left.order(right) else {
        return if is_nan(left) || is_nan(right) { Ok(Val::Bool(false)) } else { overload(left, name, right) };
    };
    Ok(Val::Bool(match name {
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

fn add<'a>(left: &Val<'a>, right: &Val<'a>, budget: &mut Budget) -> Result<Val<'a>, Error> {
    match (left, right) {
        (Val::Text(a), Val::Text(b)) => {
            budget.pay((a.len() + b.len()) / 10)?;
            Ok(Val::text(format!("{a}{b}")))
        }
        (Val::Bytes(a), Val::Bytes(b)) => {
            budget.pay((a.len() + b.len()) / 10)?;
            Ok(Val::Bytes([&a[..], &b[..]].concat().into()))
        }
        (Val::Time(at), Val::Duration(by)) | (Val::Duration(by), Val::Time(at)) => time::shift(*at, *by),
        (Val::Duration(a), Val::Duration(b)) => a.checked_add(*b).map(Val::Duration).ok_or_else(overflow),
        (left, right) => match (left.items(), right.items()) {
            (Some(mut a), Some(b)) => {
                budget.pay(a.len() + b.len())?;
                a.extend(b);
                Ok(Val::List(Arc::new(a)))
            }
            _ => arithmetic("+", left, right),
        },
    }
}

/// The operation of that name on two whole numbers, of either sort.
macro_rules! checked {
    ($name:expr, $a:expr, $b:expr) => {
        match $name {
            "+" => $a.checked_add(*$b),
            "-" => $a.checked_sub(*$b),
            "*" => $a.checked_mul(*$b),
            "/" => $a.checked_div(*$b),
            _ => $a.checked_rem(*$b),
        }
    };
}

fn arithmetic<'a>(name: &str, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>, Error> {
    let by_zero = || Error::Value(if name == "%" { "modulus by zero" } else { "division by zero" }.to_owned());
    match (left, right) {
        (Val::Int(_), Val::Int(0)) | (Val::Uint(_), Val::Uint(0)) if matches!(name, "/" | "%") => Err(by_zero()),
        (Val::Int(a), Val::Int(b)) => checked!(name, a, b).map(Val::Int).ok_or_else(overflow),
        (Val::Uint(a), Val::Uint(b)) => {
            checked!(name, a, b).map(Val::Uint).ok_or_else(|| Error::Value("unsigned integer overflow".to_owned()))
        }
        (Val::Double(a), Val::Double(b)) if name != "%" => Ok(Val::Double(match name {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            _ => a / b,
        })),
        (Val::Time(a), Val::Time(b)) if name == "-" => time::between(*a, *b),
        (Val::Time(at), Val::Duration(by)) if name == "-" => time::shift(*at, by.checked_neg().ok_or_else(overflow)?),
        (Val::Duration(a), Val::Duration(b)) if name == "-" => {
            a.checked_sub(*b).map(Val::Duration).ok_or_else(overflow)
        }
        _ => overload(left, name, right),
    }
}

/// A value as text, for messages and `format`.
pub(super) fn show(value: &Val<'_>) -> String {
    match value {
        Val::Null => "null".to_owned(),
        Val::Bool(value) => value.to_string(),
        Val::Int(value) => value.to_string(),
        Val::Uint(value) => value.to_string(),
        Val::Double(value) => value.to_string(),
        Val::Text(text) => text.to_string(),
        Val::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Val::Time(at) => crate::time::format(*at),
        Val::Duration(of) => time::show(*of),
        Val::Type(name) => (*name).to_owned(),
        Val::Quantity(quantity) => quantity.to_string(),
        Val::Ip(ip) => ip.to_string(),
        Val::Cidr(cidr) => cidr.to_string(),
        Val::Url(url) => url.text.clone(),
        Val::Format(name) => (*name).to_owned(),
        Val::Optional(Some(inner)) => format!("optional({})", show(inner)),
        Val::Optional(None) => "optional.none()".to_owned(),
        Val::List(_) | Val::Map(_) | Val::Json(..) => match (value.items(), value.entries()) {
            (Some(items), _) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
            (_, entries) => {
                let entries = entries.unwrap_or_default();
                let list: Vec<String> = entries.iter().map(|(k, v)| format!("{}: {}", show(k), show(v))).collect();
                format!("{{{}}}", list.join(", "))
            }
        },
    }
}
