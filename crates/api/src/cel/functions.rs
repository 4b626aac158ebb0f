//! The functions: those of the language, and those that Kubernetes adds.

use std::cmp::Ordering;
use std::sync::Arc;

use super::operators::{self, show};
use super::value::Val;
use super::{Budget, Error, formats, network, text, time};
use crate::quantity::Quantity;

/// The types by their names.
pub(super) fn type_named(name: &str) -> Option<&'static str> {
    const TYPES: &[&str] = &["bool", "int", "uint", "double", "string", "bytes", "list", "map", "type", "null_type"];
    TYPES.iter().find(|own| **own == name).copied()
}

/// All functions and methods, for the check of names.
pub(super) const NAMES: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "find",
    "findAll",
    "lowerAscii",
    "upperAscii",
    "trim",
    "reverse",
    "charAt",
    "substring",
    "replace",
    "split",
    "join",
    "indexOf",
    "lastIndexOf",
    "format",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "dyn",
    "type",
    "timestamp",
    "duration",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "sum",
    "min",
    "max",
    "isSorted",
    "quantity",
    "isQuantity",
    "sign",
    "isInteger",
    "asInteger",
    "asApproximateFloat",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "add",
    "sub",
    "url",
    "isURL",
    "getScheme",
    "getHost",
    "getHostname",
    "getPort",
    "getEscapedPath",
    "getQuery",
    "ip",
    "isIP",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "cidr",
    "isCIDR",
    "prefixLength",
    "masked",
    "containsIP",
    "containsCIDR",
    "hasValue",
    "value",
    "or",
    "orValue",
    "optional.of",
    "optional.none",
    "optional.ofNonZeroValue",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "math.greatest",
    "math.least",
    "math.abs",
    "ip.isCanonical",
    "format.named",
    "validate",
    "distinct",
    "flatten",
    "slice",
    "sort",
];

/// Calls a function, or a method on the first value.
pub(super) fn call<'a>(name: &str, with: &[Val<'a>], is_method: bool, budget: &mut Budget) -> Result<Val<'a>, Error> {
    if !NAMES.contains(&name) {
        return formats::of(name).ok_or_else(|| Error::Undeclared(name.to_owned()));
    }
    let found = match (is_method, with) {
        (true, [on, rest @ ..]) => method(name, on, rest, budget)?,
        _ => plain(name, with)?,
    };
    let kinds = || with.iter().map(Val::kind).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| Error::Overload(format!("{name}({})", kinds())))
}

fn size<'a>(of: &Val<'a>) -> Option<Val<'a>> {
    of.size().and_then(|size| i64::try_from(size).ok()).map(Val::Int)
}

fn method<'a>(name: &str, on: &Val<'a>, with: &[Val<'a>], budget: &mut Budget) -> Result<Option<Val<'a>>, Error> {
    if let ("size", []) = (name, with) {
        return Ok(size(on));
    }
    match on {
        Val::Text(text) => text::method(name, text, with, budget),
        Val::Time(_) | Val::Duration(_) => match with {
            [] => time::part(name, on, None),
            [Val::Text(zone)] => time::part(name, on, Some(zone)),
            _ => Ok(None),
        },
        Val::Quantity(of) => Ok(quantity(name, *of, with)),
        Val::Url(url) if with.is_empty() => Ok(network::url_method(name, url)),
        Val::Ip(ip) if with.is_empty() => Ok(network::ip_method(name, ip)),
        Val::Format(of) => Ok(match (name, with) {
            ("validate", [Val::Text(text)]) => Some(formats::judged(of, text)),
            _ => None,
        }),
        Val::Cidr(net) if with.len() < 2 => Ok(network::cidr_method(name, net, with.first())),
        Val::Optional(inner) => optional(name, inner.as_ref(), with),
        _ => match on.items() {
            Some(items) => list(name, &items, with, budget),
            None => Ok(None),
        },
    }
}

fn optional<'a>(name: &str, inner: Option<&Arc<Val<'a>>>, with: &[Val<'a>]) -> Result<Option<Val<'a>>, Error> {
    Ok(Some(match (name, inner, with) {
        ("hasValue", inner, []) => Val::Bool(inner.is_some()),
        ("value", Some(inner), []) => (**inner).clone(),
        ("value", None, []) => return Err(Error::Value("optional.none() dereference".to_owned())),
        ("orValue", Some(inner), [_]) => (**inner).clone(),
        ("orValue" | "or", None, [other]) => other.clone(),
        ("or", Some(inner), [_]) => Val::Optional(Some(Arc::clone(inner))),
        _ => return Ok(None),
    }))
}

fn list<'a>(name: &str, items: &[Val<'a>], with: &[Val<'a>], budget: &mut Budget) -> Result<Option<Val<'a>>, Error> {
    let best = |wanted: Ordering| {
        let mut found: Option<&Val<'a>> = None;
        for item in items {
            if found.is_none_or(|held| item.order(held) == Some(wanted)) {
                found = Some(item);
            }
        }
        found.cloned().ok_or_else(|| Error::Value(format!("{name} called on empty list")))
    };
    let at = |found: Option<usize>| Val::Int(found.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1));
    Ok(Some(match (name, with) {
        ("sum", []) => {
            let mut total = items.first().cloned().unwrap_or(Val::Int(0));
            for item in items.iter().skip(1) {
                total = operators::binary("+", &total, item, budget)?;
            }
            total
        }
        ("min", []) => best(Ordering::Less)?,
        ("max", []) => best(Ordering::Greater)?,
        ("isSorted", []) => Val::Bool(items.windows(2).all(|pair| pair[0].order(&pair[1]) != Some(Ordering::Greater))),
        ("indexOf", [item]) => at(items.iter().position(|one| one.equals(item))),
        ("lastIndexOf", [item]) => at(items.iter().rposition(|one| one.equals(item))),
        ("join", []) => Val::text(items.iter().map(show).collect::<String>()),
        ("join", [Val::Text(by)]) => Val::text(items.iter().map(show).collect::<Vec<_>>().join(by)),
        ("reverse", []) => Val::List(Arc::new(items.iter().rev().cloned().collect())),
        ("distinct", []) => {
            budget.pay(items.len().saturating_mul(items.len()) / 2)?;
            let mut found: Vec<Val<'a>> = Vec::new();
            for item in items {
                if !found.iter().any(|one| one.equals(item)) {
                    found.push(item.clone());
                }
            }
            Val::List(Arc::new(found))
        }
        ("sort", []) => {
            let mut sorted = items.to_vec();
            sorted.sort_by(|a, b| a.order(b).unwrap_or(Ordering::Equal));
            Val::List(Arc::new(sorted))
        }
        ("flatten", []) => Val::List(Arc::new(
            items.iter().flat_map(|item| item.items().unwrap_or_else(|| vec![item.clone()])).collect(),
        )),
        ("slice", [Val::Int(from), Val::Int(to)]) => {
            let range = usize::try_from(*from).ok().zip(usize::try_from(*to).ok()).filter(|(from, to)| from <= to);
            let found = range.and_then(|(from, to)| items.get(from..to));
            Val::List(Arc::new(
                found.ok_or_else(|| Error::Value("cannot slice: index out of range".to_owned()))?.to_vec(),
            ))
        }
        _ => return Ok(None),
    }))
}

fn quantity<'a>(name: &str, of: Quantity, with: &[Val<'a>]) -> Option<Val<'a>> {
    let other = match with {
        [] => None,
        [Val::Quantity(other)] => Some(*other),
        [Val::Int(other)] => other.to_string().parse::<Quantity>().ok(),
        _ => return None,
    };
    let sign = match (of.is_zero(), of.is_negative()) {
        (true, _) => 0,
        (_, true) => -1,
        _ => 1,
    };
    Some(match (name, other) {
        ("sign", None) => Val::Int(sign),
        ("isInteger", None) => Val::Bool(of.is_whole()),
        ("asInteger", None) => Val::Int(of.units()),
        ("asApproximateFloat", None) => Val::Double(of.millis() as f64 / 1000.0),
        ("isGreaterThan", Some(other)) => Val::Bool(of > other),
        ("isLessThan", Some(other)) => Val::Bool(of < other),
        ("compareTo", Some(other)) => Val::Int(of.cmp(&other) as i64),
        ("add", Some(other)) => Val::Quantity(of + other),
        ("sub", Some(other)) => Val::Quantity(of - other),
        _ => return None,
    })
}

fn plain<'a>(name: &str, with: &[Val<'a>]) -> Result<Option<Val<'a>>, Error> {
    let bad = |what: &str, text: &str| Error::Value(format!("{what} parse error: {text}"));
    Ok(Some(match (name, with) {
        ("size", [of]) => return Ok(size(of)),
        ("matches", [Val::Text(on), with @ ..]) => return text::method(name, on, with, &mut Budget::default()),
        ("dyn", [of]) => of.clone(),
        ("type", [of]) => Val::Type(of.kind()),
        ("int" | "uint" | "double" | "string" | "bool" | "bytes" | "timestamp" | "duration", [of]) => {
            return converted(name, of);
        }
        ("quantity", [Val::Text(text)]) => Val::Quantity(text.parse().map_err(|_| bad("quantity", text))?),
        ("isQuantity", [Val::Text(text)]) => Val::Bool(text.parse::<Quantity>().is_ok()),
        ("format.named", [Val::Text(name)]) => formats::named(name),
        ("url", [Val::Text(text)]) => Val::Url(Arc::new(network::url(text).ok_or_else(|| bad("URL", text))?)),
        ("isURL", [Val::Text(text)]) => Val::Bool(network::url(text).is_some()),
        ("ip", [Val::Text(text)]) => Val::Ip(network::ip(text).ok_or_else(|| bad("IP Address", text))?),
        ("isIP", [Val::Text(text)]) => Val::Bool(network::ip(text).is_some()),
        ("ip.isCanonical", [Val::Text(text)]) => {
            Val::Bool(network::ip(text).ok_or_else(|| bad("IP Address", text))?.to_string() == **text)
        }
        ("cidr", [Val::Text(text)]) => Val::Cidr(network::cidr(text).ok_or_else(|| bad("CIDR", text))?),
        ("isCIDR", [Val::Text(text)]) => Val::Bool(network::cidr(text).is_some()),
        ("optional.of", [of]) => Val::Optional(Some(Arc::new(of.clone()))),
        ("optional.none", []) => Val::Optional(None),
        ("optional.ofNonZeroValue", [of]) => {
            let zero = of.size() == Some(0) || matches!(of, Val::Null | Val::Bool(false) | Val::Int(0));
            Val::Optional((!zero).then(|| Arc::new(of.clone())))
        }
        ("sets.contains" | "sets.equivalent" | "sets.intersects", [a, b]) => return Ok(sets(name, a, b)),
        ("math.abs", [Val::Int(of)]) => {
            Val::Int(of.checked_abs().ok_or_else(|| Error::Value("integer overflow".to_owned()))?)
        }
        ("math.abs", [Val::Double(of)]) => Val::Double(of.abs()),
        ("math.greatest" | "math.least", with) => {
            let all = if let [list] = with { list.items().unwrap_or_else(|| with.to_vec()) } else { with.to_vec() };
            let name = if name == "math.greatest" { "max" } else { "min" };
            return list(name, &all, &[], &mut Budget::default());
        }
        _ => return Ok(None),
    }))
}

fn sets<'a>(name: &str, a: &Val<'a>, b: &Val<'a>) -> Option<Val<'a>> {
    let (a, b) = (a.items()?, b.items()?);
    let within = |few: &[Val<'a>], many: &[Val<'a>]| few.iter().all(|one| many.iter().any(|other| other.equals(one)));
    Some(Val::Bool(match name {
        "sets.contains" => within(&b, &a),
        "sets.equivalent" => within(&a, &b) && within(&b, &a),
        _ => a.iter().any(|one| b.iter().any(|other| other.equals(one))),
    }))
}

fn converted<'a>(name: &str, of: &Val<'a>) -> Result<Option<Val<'a>>, Error> {
    let range = || Error::Value("integer overflow".to_owned());
    let bad = |text: &str| Error::Value(format!("cannot convert {text:?} to {name}"));
    Ok(Some(match (name, of) {
        ("string", Val::Text(_)) | ("int", Val::Int(_)) | ("uint", Val::Uint(_)) | ("double", Val::Double(_)) => {
            of.clone()
        }
        ("bool", Val::Bool(_)) | ("bytes", Val::Bytes(_)) => of.clone(),
        ("timestamp", Val::Time(_)) | ("duration", Val::Duration(_)) => of.clone(),
        ("int", Val::Uint(value)) => Val::Int(i64::try_from(*value).map_err(|_| range())?),
        ("int", Val::Double(value)) if value.abs() < 9.2e18 => Val::Int(*value as i64),
        ("int", Val::Double(_)) => return Err(range()),
        ("int", Val::Text(text)) => Val::Int(text.parse().map_err(|_| bad(text))?),
        ("int", Val::Time(at)) => Val::Int(at.as_second()),
        ("int", Val::Duration(nanos)) => Val::Int(*nanos),
        ("uint", Val::Int(value)) => Val::Uint(u64::try_from(*value).map_err(|_| range())?),
        ("uint", Val::Double(value)) if (0.0..1.8e19).contains(value) => Val::Uint(*value as u64),
        ("uint", Val::Text(text)) => Val::Uint(text.parse().map_err(|_| bad(text))?),
        ("double", Val::Int(value)) => Val::Double(*value as f64),
        ("double", Val::Uint(value)) => Val::Double(*value as f64),
        ("double", Val::Text(text)) => Val::Double(text.parse().map_err(|_| bad(text))?),
        ("bool", Val::Text(text)) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Val::Bool(true),
            "false" | "False" | "FALSE" | "f" | "0" => Val::Bool(false),
            other => return Err(bad(other)),
        },
        ("bytes", Val::Text(text)) => Val::Bytes(text.as_bytes().into()),
        ("string", Val::Bytes(bytes)) => {
            Val::text(std::str::from_utf8(bytes).map_err(|_| Error::Value("invalid UTF-8 in bytes".to_owned()))?)
        }
        ("string", Val::List(_) | Val::Map(_) | Val::Json(..) | Val::Null) => return Ok(None),
        ("string", other) => Val::text(show(other)),
        ("timestamp", Val::Text(text)) => Val::Time(text.parse().map_err(|_| bad(text))?),
        ("timestamp", Val::Int(seconds)) => Val::Time(jiff::Timestamp::from_second(*seconds).map_err(|_| range())?),
        ("duration", Val::Text(text)) => Val::Duration(time::parse(text).ok_or_else(|| bad(text))?),
        _ => return Ok(None),
    }))
}
