//! The check of an expression before there are values: names, fields and types, with the messages of the
//! language's usual implementation, and what it may cost at most.
//!
//! The cost is a lower bound of what Kubernetes estimates: what is refused here is refused there, too.

use std::fmt::Write as _;

use super::parser::{Each, Expr};
use super::signatures::{self, Given};
use super::types::Type;
use super::{Error, Val, functions, unescaped};
use crate::custom::schema::Schema;

/// What is known of an expression.
pub(crate) struct Checked<'a> {
    pub(crate) of: Type<'a>,
    /// What is wrong with it: where, in letters from 1, and what.
    pub(crate) wrong: Vec<(usize, String)>,
    /// What its evaluation costs at most, at least.
    pub(crate) cost: f64,
}

/// Checks an expression that sees these variables, all of them values of the schema: types and greatest sizes.
pub(crate) fn check<'a>(expr: &'a Expr, variables: Vec<(&'a str, Type<'a>, f64)>, schema: &'a Schema) -> Checked<'a> {
    let seen = |(name, of, size)| (name, Seen { of, size, schema: Some(schema) });
    let bound = variables.into_iter().map(seen).collect();
    let mut walk = Walk { bound, wrong: Vec::new(), cost: 0.0 };
    let seen = walk.walk(expr);
    Checked { of: seen.of, wrong: walk.wrong, cost: walk.cost }
}

/// How the usual implementation says what is wrong with a text.
pub(crate) fn complaint(text: &str, wrong: &[(usize, String)]) -> String {
    let mut out = String::new();
    for (place, what) in wrong {
        let before: String = text.chars().take(place.saturating_sub(1)).collect();
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let shown = text.split('\n').nth(line).unwrap_or_default().replace('\t', " ");
        let gap = if out.is_empty() { "" } else { "\n" };
        let dots = ".".repeat(column);
        // Writing to a text cannot fail.
        let _ = write!(out, "{gap}ERROR: <input>:{}:{}: {what}\n | {shown}\n | {dots}^", line + 1, column + 1);
    }
    out
}

/// The same for an expression that is none.
impl Error {
    pub(crate) fn complaint(&self, text: &str) -> String {
        let place = if let Self::Syntax { column, .. } = self { *column } else { 1 };
        complaint(text, &[(place, self.to_string())])
    }
}

/// Functions that go through all of what they are about.
const COSTLY: &[&str] = &[
    "contains",
    "matches",
    "find",
    "findAll",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "sum",
    "min",
    "max",
    "isSorted",
    "quantity",
    "isQuantity",
    "url",
    "isURL",
];

/// Deep chains are not followed beyond this many complaints.
const MOST: usize = 16;

#[derive(Clone)]
struct Seen<'a> {
    of: Type<'a>,
    /// How many items, entries or letters it has at most.
    size: f64,
    /// What it is a value of.
    schema: Option<&'a Schema>,
}

impl<'a> Seen<'a> {
    fn of(of: Type<'a>) -> Self {
        Self { of, size: 0.0, schema: None }
    }

    fn unknown() -> Self {
        Self::of(Type::Dyn)
    }

    fn at(schema: &'a Schema, of: Type<'a>) -> Self {
        Self { of, size: schema.most(), schema: Some(schema) }
    }
}

struct Walk<'a> {
    bound: Vec<(&'a str, Seen<'a>)>,
    wrong: Vec<(usize, String)>,
    cost: f64,
}

impl<'a> Walk<'a> {
    fn complain(&mut self, place: usize, what: String) -> Seen<'a> {
        if self.wrong.len() < MOST {
            self.wrong.push((place, what));
        }
        Seen::unknown()
    }

    fn unfit(&mut self, place: usize, name: &str, on: Option<&Type<'a>>, with: &[Type<'a>]) -> Seen<'a> {
        let list: Vec<String> = with.iter().map(ToString::to_string).collect();
        let on = on.map(|on| format!("{on}.")).unwrap_or_default();
        let what = format!("found no matching overload for '{name}' applied to '{on}({})'", list.join(", "));
        self.complain(place, what)
    }

    fn walk(&mut self, expr: &'a Expr) -> Seen<'a> {
        self.cost += step(expr);
        match expr {
            Expr::Literal(value) => literal(value),
            Expr::Name(name, place) => self.variable(name, *place),
            Expr::Field { of, name, optional, place } => {
                let of = self.walk(of);
                self.field(of, name, *optional, *place)
            }
            Expr::Has { of, name, place } => {
                let of = self.walk(of);
                self.field(of, name, false, *place);
                Seen::of(Type::Bool)
            }
            Expr::Index { of, at, optional, place } => {
                let (of, at) = (self.walk(of), self.walk(at));
                self.index(of, at, *optional, *place)
            }
            Expr::Call { name, on, with, place } => self.call(name, on.as_deref(), with, *place),
            Expr::Unary { name, of, place } => self.unary(name, of, *place),
            Expr::Binary { name, left, right, place } => {
                let (left, right) = (self.walk(left), self.walk(right));
                self.binary(name, left, right, *place)
            }
            Expr::Choice { when, then, otherwise, place } => {
                let when = self.walk(when);
                let (then, otherwise) = self.either(then, otherwise);
                if !when.of.fits(&Type::Bool) || !then.of.fits(&otherwise.of) {
                    return self.unfit(*place, "_?_:_", None, &[when.of, then.of, otherwise.of]);
                }
                let size = then.size.max(otherwise.size);
                Seen { size, schema: then.schema, of: then.of.join(otherwise.of) }
            }
            Expr::List(items) => {
                let items: Vec<Seen<'a>> = items.iter().map(|item| self.walk(item)).collect();
                let size = items.len() as f64;
                let of = items.into_iter().map(|item| item.of).reduce(Type::join).unwrap_or(Type::Dyn);
                Seen { of: Type::list(of), size, schema: None }
            }
            Expr::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(key, value)| (self.walk(key).of, self.walk(value).of)).collect();
                let size = entries.len() as f64;
                let of = entries.into_iter().reduce(|(a, b), (c, d)| (a.join(c), b.join(d)));
                let (key, value) = of.unwrap_or((Type::Dyn, Type::Dyn));
                Seen { of: Type::Map(Box::new(key), Box::new(value)), size, schema: None }
            }
            Expr::Each { how, of, names, filter, body, place } => {
                self.each(*how, of, names, (filter.as_deref(), body), *place)
            }
        }
    }

    /// Only one of them is evaluated, the cheaper one at least.
    fn either(&mut self, then: &'a Expr, otherwise: &'a Expr) -> (Seen<'a>, Seen<'a>) {
        let before = self.cost;
        let then = self.walk(then);
        let first = std::mem::replace(&mut self.cost, before);
        let otherwise = self.walk(otherwise);
        self.cost = self.cost.max(first);
        (then, otherwise)
    }

    fn variable(&mut self, name: &str, place: usize) -> Seen<'a> {
        if let Some((_, seen)) = self.bound.iter().rev().find(|(own, _)| *own == name) {
            return seen.clone();
        }
        if functions::type_named(name).is_some() {
            return Seen::of(Type::Meta);
        }
        self.complain(place, Error::Undeclared(name.to_owned()).to_string())
    }

    fn field(&mut self, of: Seen<'a>, name: &str, optional: bool, place: usize) -> Seen<'a> {
        let name = unescaped(name);
        let (inner, optional) = match of.of {
            Type::Optional(inner) => (*inner, true),
            other => (other, optional),
        };
        let found = match inner {
            Type::Dyn => Seen::unknown(),
            Type::Map(_, value) => self.entry(of.schema, *value),
            Type::Metadata if matches!(name.as_str(), "name" | "generateName") => {
                Seen { of: Type::Text, size: 253.0, schema: None }
            }
            Type::Object(schema, whole) => match Type::field(schema, whole, &name) {
                Some(of) => match schema.properties.get(&name) {
                    Some(schema) => Seen::at(schema, of),
                    None => Seen::of(of),
                },
                None => return self.complain(place, format!("undefined field '{name}'")),
            },
            Type::Metadata => return self.complain(place, format!("undefined field '{name}'")),
            other => return self.complain(place, format!("type '{other}' does not support field selection")),
        };
        if optional { Seen { of: Type::Optional(Box::new(found.of)), ..found } } else { found }
    }

    /// A value of a list or a map.
    fn entry(&self, schema: Option<&'a Schema>, of: Type<'a>) -> Seen<'a> {
        match schema.and_then(Schema::inner) {
            Some(schema) => Seen::at(schema, of),
            None => Seen::of(of),
        }
    }

    fn index(&mut self, of: Seen<'a>, at: Seen<'a>, optional: bool, place: usize) -> Seen<'a> {
        let found = match (&of.of, &at.of) {
            (Type::Dyn, _) => Seen::unknown(),
            (Type::List(item), Type::Int | Type::Uint | Type::Double | Type::Dyn) => {
                self.entry(of.schema, (**item).clone())
            }
            (Type::Map(key, value), at) if key.fits(at) => self.entry(of.schema, (**value).clone()),
            (Type::Optional(_), _) => Seen::unknown(),
            _ => return self.unfit(place, "_[_]", None, &[of.of, at.of]),
        };
        if optional { Seen { of: Type::Optional(Box::new(found.of)), ..found } } else { found }
    }

    fn call(&mut self, name: &'a str, on: Option<&'a Expr>, with: &'a [Expr], place: usize) -> Seen<'a> {
        // `math.greatest` and the like: a namespace, not a value.
        let space = match on {
            Some(Expr::Name(space, _)) if !self.bound.iter().any(|(own, _)| own == space) => Some(space.as_str()),
            _ => None,
        };
        let full = space.map_or_else(|| name.to_owned(), |space| format!("{space}.{name}"));
        let on = on.filter(|_| space.is_none()).map(|on| self.walk(on));
        let with: Vec<Seen<'a>> = with.iter().map(|one| self.walk(one)).collect();
        let size = on.iter().chain(&with).map(|one| one.size).fold(0.0, f64::max);
        if COSTLY.contains(&name) {
            self.cost += 0.1 * on.as_ref().or(with.first()).map_or(0.0, |one| one.size);
        }
        let types: Vec<Type<'a>> = with.iter().map(|one| one.of.clone()).collect();
        let own = on.as_ref().map(|on| on.of.clone());
        match signatures::call(&full, own.as_ref(), &types) {
            Given::Gives(of) => Seen { of, size, schema: None },
            Given::Unfit => self.unfit(place, &full, own.as_ref(), &types),
            Given::Unknown => {
                let unknown = match space {
                    Some(space) => space,
                    None => name,
                };
                self.complain(place, Error::Undeclared(unknown.to_owned()).to_string())
            }
        }
    }

    fn unary(&mut self, name: &str, of: &'a Expr, place: usize) -> Seen<'a> {
        let of = self.walk(of);
        match (name, &of.of) {
            ("!", Type::Bool | Type::Dyn) => Seen::of(Type::Bool),
            ("-", Type::Int | Type::Double | Type::Dyn) => Seen::of(of.of),
            _ => self.unfit(place, if name == "!" { "!_" } else { "-_" }, None, &[of.of]),
        }
    }

    fn binary(&mut self, name: &str, left: Seen<'a>, right: Seen<'a>, place: usize) -> Seen<'a> {
        match name {
            "==" | "!=" => self.cost += 0.1 * left.size.min(right.size),
            "in" => self.cost += right.size,
            _ => {}
        }
        match operated(name, &left.of, &right.of) {
            Some(of) => Seen { of, size: left.size + right.size, schema: None },
            None => {
                let shown = if name == "in" { "@in".to_owned() } else { format!("_{name}_") };
                self.unfit(place, &shown, None, &[left.of, right.of])
            }
        }
    }

    fn each(
        &mut self,
        how: Each,
        of: &'a Expr,
        names: &'a [String],
        (filter, body): (Option<&'a Expr>, &'a Expr),
        place: usize,
    ) -> Seen<'a> {
        let of = self.walk(of);
        let Some((key, item)) = self.range(how, &of) else {
            let what = format!(
                "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)",
                of.of
            );
            return self.complain(place, what);
        };
        let depth = self.bound.len();
        let is_map = matches!(of.of, Type::Map(..));
        match names {
            [name] if is_map => self.bound.push((name, key.clone())),
            [name] => self.bound.push((name, item)),
            [first, second, ..] => self.bound.extend([(first.as_str(), key.clone()), (second.as_str(), item)]),
            [] => {}
        }
        let before = std::mem::take(&mut self.cost);
        let filter = filter.map(|filter| self.walk(filter));
        let body = self.walk(body);
        let rounds = if matches!(how, Each::Bind | Each::OptMap | Each::OptFlatMap) { 1.0 } else { of.size };
        self.cost = before + rounds * (self.cost + 1.0);
        self.bound.truncate(depth);
        let judged = matches!(how, Each::All | Each::Exists | Each::ExistsOne | Each::Filter).then_some(&body);
        for truth in filter.iter().chain(judged) {
            if !truth.of.fits(&Type::Bool) {
                let what = format!("expected type 'bool' but found '{}'", truth.of);
                self.complain(place, what);
            }
        }
        match how {
            Each::All | Each::Exists | Each::ExistsOne => Seen::of(Type::Bool),
            Each::Filter if is_map => Seen { of: Type::list(key.of), size: of.size, schema: None },
            Each::Filter => of,
            Each::Map => Seen { of: Type::list(body.of), size: of.size, schema: None },
            Each::TransformMap => {
                Seen { of: Type::Map(Box::new(key.of), Box::new(body.of)), size: of.size, schema: None }
            }
            Each::Bind | Each::OptFlatMap => body,
            Each::OptMap => Seen { of: Type::Optional(Box::new(body.of)), ..body },
        }
    }

    /// Keys, or positions, and items of what is gone through.
    fn range(&self, how: Each, of: &Seen<'a>) -> Option<(Seen<'a>, Seen<'a>)> {
        let (key, value) = match (how, &of.of) {
            (Each::Bind, _) => return Some((of.clone(), of.clone())),
            (Each::OptMap | Each::OptFlatMap, Type::Optional(inner)) => (Type::Int, (**inner).clone()),
            (_, Type::Dyn) => return Some((Seen::unknown(), Seen::unknown())),
            (Each::OptMap | Each::OptFlatMap, _) => return None,
            (_, Type::List(item)) => (Type::Int, (**item).clone()),
            (_, Type::Map(key, value)) => ((**key).clone(), (**value).clone()),
            _ => return None,
        };
        Some((Seen::of(key), self.entry(of.schema, value)))
    }
}

/// What a step costs by itself. Constants, `has` and what only decides about other steps cost nothing.
fn step(expr: &Expr) -> f64 {
    match expr {
        Expr::Name(..) | Expr::Field { .. } | Expr::Index { .. } | Expr::Call { .. } | Expr::Unary { .. } => 1.0,
        Expr::Binary { name, .. } if !matches!(*name, "&&" | "||" | "==" | "!=" | "in") => 1.0,
        _ => 0.0,
    }
}

fn literal<'a>(value: &Val<'_>) -> Seen<'a> {
    let of = match value {
        Val::Null => Type::Null,
        Val::Bool(_) => Type::Bool,
        Val::Int(_) => Type::Int,
        Val::Uint(_) => Type::Uint,
        Val::Double(_) => Type::Double,
        Val::Text(_) => Type::Text,
        Val::Bytes(_) => Type::Bytes,
        _ => Type::Dyn,
    };
    Seen { of, size: value.size().unwrap_or_default() as f64, schema: None }
}

/// What an operator gives; `None`: it does not take these.
fn operated<'a>(name: &str, left: &Type<'a>, right: &Type<'a>) -> Option<Type<'a>> {
    use Type::{Bool, Bytes, Double, Duration, Dyn, Int, List, Map, Text, Time, Uint};
    let dynamic = matches!(left, Dyn) || matches!(right, Dyn);
    let same = left.fits(right);
    let one = || if matches!(left, Dyn) { right.clone() } else { left.clone() };
    match name {
        "&&" | "||" => (left.fits(&Bool) && right.fits(&Bool)).then_some(Bool),
        "==" | "!=" => same.then_some(Bool),
        "<" | "<=" | ">" | ">=" => {
            let ordered = |of: &Type<'_>| matches!(of, Bool | Text | Bytes | Time | Duration | Dyn) || of.is_number();
            let fits = same || (left.is_number() && right.is_number());
            (fits && ordered(left) && ordered(right)).then_some(Bool)
        }
        "in" => match right {
            List(of) => left.fits(of).then_some(Bool),
            Map(key, _) => left.fits(key).then_some(Bool),
            Dyn => Some(Bool),
            _ => None,
        },
        "+" => match (left, right) {
            (Time, Duration) | (Duration, Time) => Some(Time),
            _ if dynamic => Some(Dyn),
            (Int | Uint | Double | Text | Bytes | Duration | List(_), _) if same => Some(one()),
            _ => None,
        },
        "-" => match (left, right) {
            (Time, Time) => Some(Duration),
            (Time, Duration) => Some(Time),
            _ if dynamic => Some(Dyn),
            (Int | Uint | Double | Duration, _) if same => Some(one()),
            _ => None,
        },
        "%" => (same && matches!(one(), Int | Uint | Dyn)).then(one),
        _ => (same && (one().is_number() || dynamic)).then(one),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse;
    use super::*;

    fn wrong(text: &str) -> String {
        let schema = Schema::parse(&json!({"type": "object", "properties": {
            "n": {"type": "integer"}, "t": {"type": "string", "maxLength": 10}, "x": {"x-kubernetes-int-or-string": true},
            "list": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            "when": {"type": "string", "format": "date-time"}, "a-b": {"type": "boolean"},
            "open": {"x-kubernetes-preserve-unknown-fields": true}}}));
        let expr = parse(text).unwrap();
        let of = Type::of(&schema, true).unwrap();
        let checked = check(&expr, vec![("self", of.clone(), 0.0), ("oldSelf", of, 0.0)], &schema);
        complaint(text, &checked.wrong)
    }

    #[test]
    fn what_fits_is_let_through() {
        for text in [
            "self.n > 1 && self.t == 'a' && self.x == 1 && self.x == 'a' && int(self.x) > 0",
            "self.list.all(e, e.name.startsWith('a')) && self.list.exists_one(e, e.name == '')",
            "self.map.all(k, k != '' && self.map[k] > 1) && 'a' in self.map && self.map.a == 1",
            "has(self.t) ? self.t.size() < 5 : true",
            "self.list.map(e, e.name).join(',').contains('a') && size(self.list.filter(e, e.name != '')) > 0",
            "self.when > timestamp('2026-01-01T00:00:00Z') && self.when - self.when < duration('1h')",
            "self.a__dash__b && self.metadata.name.matches('^a') && self.kind == 'K'",
            "self == oldSelf && self.list == oldSelf.list && self.?t.orValue('x') == 'x'",
            "quantity(self.t).isGreaterThan(quantity('1')) && math.greatest(self.n, 2) > 1 && ip(self.t).family() == 4",
            "[1, 2].exists(x, x == self.n) && {'a': 1}['a'] == 1 && cel.bind(v, self.n, v + 1) > 0 && type(self.n) == int",
            "!format.dns1123Label().validate(self.t).hasValue() && format.named(self.t).hasValue()",
            "self.n + 1 > 2.5 && -self.n < 0 && self.list[0].name == ''",
        ] {
            assert_eq!(wrong(text), "", "{text}");
        }
    }

    #[test]
    fn what_does_not_is_named_with_its_place() {
        assert_eq!(wrong("self.z == 100"), "ERROR: <input>:1:5: undefined field 'z'\n | self.z == 100\n | ....^");
        let first = |text: &str| wrong(text).lines().next().unwrap().to_owned();
        for (text, expected) in [
            ("self.n == 'a'", "1:8: found no matching overload for '_==_' applied to '(int, string)'"),
            ("true\n && self.q", "2:9: undefined field 'q'"),
            ("self.n && true", "1:8: found no matching overload for '_&&_' applied to '(int, bool)'"),
            ("self.t.contains(1)", "1:16: found no matching overload for 'contains' applied to 'string.(int)'"),
            ("frob(self.n)", "1:5: undeclared reference to 'frob' (in container '')"),
            ("other == 1", "1:1: undeclared reference to 'other' (in container '')"),
            ("self.n.x == 1", "1:7: type 'int' does not support field selection"),
            ("self.open == 1", "1:5: undefined field 'open'"),
            ("self.metadata.labels == {}", "1:14: undefined field 'labels'"),
            (
                "self.t.all(c, true)",
                "1:11: expression of type 'string' cannot be range of a comprehension (must be list, map, or dynamic)",
            ),
            ("self.list.all(e, e.name)", "1:14: expected type 'bool' but found 'string'"),
            ("1 in self.t", "1:3: found no matching overload for '@in' applied to '(int, string)'"),
            ("!self.n", "1:1: found no matching overload for '!_' applied to '(int)'"),
        ] {
            assert_eq!(first(text), format!("ERROR: <input>:{expected}"), "{text}");
        }
    }

    #[test]
    fn costs_grow_with_what_is_gone_through() {
        let schema =
            Schema::parse(&json!({"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 10}}));
        let cost = |text: &str| {
            let expr = parse(text).unwrap();
            check(&expr, vec![("self", Type::of(&schema, false).unwrap(), schema.most())], &schema).cost
        };
        assert!(cost("self.size() > 1") < 10.0);
        let (once, twice) = (cost("self.all(x, x == 'a')"), cost("self.all(x, self.all(y, x == y))"));
        assert!(once > 100.0 && once < 1000.0 && twice > 10_000.0, "{once} {twice}");
    }
}
