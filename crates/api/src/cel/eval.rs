//! Evaluation: every step is paid for, and `&&`, `||` and their kin forgive an error that the other
//! side makes irrelevant.

use std::sync::Arc;

use serde_json::Value;

use super::parser::{Each, Expr};
use super::value::Val;
use super::{Budget, Error, functions, operators};

/// The variables that an expression sees.
pub(crate) struct Scope<'a> {
    variables: Vec<(String, Val<'a>)>,
}

impl<'a> Scope<'a> {
    /// These variables.
    pub(crate) fn new(variables: Vec<(String, Val<'a>)>) -> Self {
        Self { variables }
    }

    /// The value of an expression.
    pub(crate) fn eval(&mut self, expr: &'a Expr, budget: &mut Budget) -> Result<Val<'a>, Error> {
        budget.pay(1)?;
        match expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Name(name, _) => self.variable(name),
            Expr::Field { of, name, optional, .. } => {
                let key = Val::text(unescaped(name));
                let of = self.eval(of, budget)?;
                chosen(&of, &key, *optional, name)
            }
            Expr::Has { of, name, .. } => {
                let of = self.eval(of, budget)?;
                Ok(Val::Bool(of.get(&Val::text(unescaped(name)))?.is_some_and(|value| !is_none(&value))))
            }
            Expr::Index { of, at, optional, .. } => {
                let (of, at) = (self.eval(of, budget)?, self.eval(at, budget)?);
                let name = if let Val::Text(text) = &at { text.to_string() } else { operators::show(&at) };
                match chosen(&of, &at, *optional, &name) {
                    Err(Error::NoKey(_)) if of.items().is_some() => {
                        Err(Error::Value(format!("index out of bounds: {name}")))
                    }
                    found => found,
                }
            }
            Expr::Call { name, on, with, .. } => self.call(name, on.as_deref(), with, budget),
            Expr::Unary { name, of, .. } => operators::unary(name, &self.eval(of, budget)?),
            Expr::Binary { name: name @ ("&&" | "||"), left, right, .. } => {
                self.logic(*name == "||", left, right, budget)
            }
            Expr::Binary { name, left, right, .. } => {
                let (left, right) = (self.eval(left, budget)?, self.eval(right, budget)?);
                budget.pay(weight(&left).min(weight(&right).max(1)))?;
                operators::binary(name, &left, &right, budget)
            }
            Expr::Choice { when, then, otherwise, .. } => match self.eval(when, budget)? {
                Val::Bool(true) => self.eval(then, budget),
                Val::Bool(false) => self.eval(otherwise, budget),
                other => Err(Error::Overload(format!("{} ? _ : _", other.kind()))),
            },
            Expr::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.eval(item, budget)).collect();
                Ok(Val::List(Arc::new(items?)))
            }
            Expr::Map(entries) => {
                let mut map = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    map.push((self.eval(key, budget)?, self.eval(value, budget)?));
                }
                Ok(Val::Map(Arc::new(map)))
            }
            Expr::Each { how, of, names, filter, body, .. } => {
                let of = self.eval(of, budget)?;
                self.each(*how, &of, names, filter.as_deref(), body, budget)
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Val<'a>, Error> {
        if let Some((_, value)) = self.variables.iter().rev().find(|(own, _)| own == name) {
            return Ok(value.clone());
        }
        functions::type_named(name).map(Val::Type).ok_or_else(|| Error::Undeclared(name.to_owned()))
    }

    fn call(
        &mut self,
        name: &str,
        on: Option<&'a Expr>,
        with: &'a [Expr],
        budget: &mut Budget,
    ) -> Result<Val<'a>, Error> {
        // `math.greatest` and the like: a namespace, not a value.
        let space = match on {
            Some(Expr::Name(space, _)) if !self.variables.iter().any(|(own, _)| own == space) => Some(space.as_str()),
            _ => None,
        };
        let mut values = Vec::with_capacity(with.len() + 1);
        if let (Some(on), None) = (on, space) {
            values.push(self.eval(on, budget)?);
        }
        for argument in with {
            values.push(self.eval(argument, budget)?);
        }
        let work: usize = values.iter().map(weight).sum();
        budget.pay(work)?;
        match space {
            Some(space) => functions::call(&format!("{space}.{name}"), &values, false, budget),
            None => functions::call(name, &values, on.is_some(), budget),
        }
    }

    /// `true` decides an "or" and `false` an "and", whatever the other side is.
    fn logic(&mut self, decides: bool, left: &'a Expr, right: &'a Expr, budget: &mut Budget) -> Result<Val<'a>, Error> {
        let left = self.truth(left, budget);
        if left == Ok(decides) || left == Err(Error::Cost) {
            return left.map(Val::Bool);
        }
        let right = self.truth(right, budget);
        match (left, right) {
            (_, Ok(right)) if right == decides => Ok(Val::Bool(right)),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(left), Ok(_)) => Ok(Val::Bool(left)),
        }
    }

    fn truth(&mut self, expr: &'a Expr, budget: &mut Budget) -> Result<bool, Error> {
        match self.eval(expr, budget)? {
            Val::Bool(value) => Ok(value),
            other => Err(Error::Overload(format!("{} is no bool", other.kind()))),
        }
    }

    fn each(
        &mut self,
        how: Each,
        of: &Val<'a>,
        names: &[String],
        filter: Option<&'a Expr>,
        body: &'a Expr,
        budget: &mut Budget,
    ) -> Result<Val<'a>, Error> {
        if let Each::Bind | Each::OptMap | Each::OptFlatMap = how {
            return self.once(how, of, names, body, budget);
        }
        let depth = self.variables.len();
        let mut fold = Fold { how, found: Vec::new(), count: 0, error: None };
        for (key, value) in pairs(of, names.len())? {
            budget.pay(1)?;
            let bound = match names {
                [name] => vec![(name.clone(), if of.entries().is_some() { key.clone() } else { value.clone() })],
                [first, second, ..] => vec![(first.clone(), key.clone()), (second.clone(), value.clone())],
                [] => Vec::new(),
            };
            self.variables.extend(bound);
            let done = self.step(&mut fold, filter, body, &key, &value, budget);
            self.variables.truncate(depth);
            match done {
                Ok(true) => break,
                Ok(false) => {}
                Err(error @ Error::Cost) => return Err(error),
                Err(error) if matches!(how, Each::All | Each::Exists) => fold.error = Some(error),
                Err(error) => return Err(error),
            }
        }
        fold.finish()
    }

    /// One round; true if the rest does not matter.
    fn step(
        &mut self,
        fold: &mut Fold<'a>,
        filter: Option<&'a Expr>,
        body: &'a Expr,
        key: &Val<'a>,
        value: &Val<'a>,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        if let Some(filter) = filter
            && !self.truth(filter, budget)?
        {
            return Ok(false);
        }
        match fold.how {
            Each::Map => fold.found.push((key.clone(), self.eval(body, budget)?)),
            Each::TransformMap => fold.found.push((key.clone(), self.eval(body, budget)?)),
            Each::Filter => {
                let item = self.variables.last().map_or_else(|| value.clone(), |(_, bound)| bound.clone());
                if self.truth(body, budget)? {
                    fold.found.push((key.clone(), item));
                }
            }
            how => {
                let holds = self.truth(body, budget)?;
                fold.count += usize::from(holds);
                if (how == Each::All && !holds) || (how == Each::Exists && holds) {
                    fold.error = None;
                    fold.found.push((Val::Null, Val::Bool(holds)));
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn once(
        &mut self,
        how: Each,
        of: &Val<'a>,
        names: &[String],
        body: &'a Expr,
        budget: &mut Budget,
    ) -> Result<Val<'a>, Error> {
        let value = match (how, of) {
            (Each::Bind, value) => value.clone(),
            (_, Val::Optional(Some(inner))) => (**inner).clone(),
            (_, Val::Optional(None)) => return Ok(Val::Optional(None)),
            (_, other) => return Err(Error::Overload(format!("{}.optMap", other.kind()))),
        };
        let depth = self.variables.len();
        self.variables.extend(names.first().map(|name| (name.clone(), value)));
        let done = self.eval(body, budget);
        self.variables.truncate(depth);
        let done = done?;
        Ok(if how == Each::OptMap { Val::Optional(Some(Arc::new(done))) } else { done })
    }
}

/// What has come of the rounds so far.
struct Fold<'a> {
    how: Each,
    found: Vec<(Val<'a>, Val<'a>)>,
    count: usize,
    error: Option<Error>,
}

impl<'a> Fold<'a> {
    fn finish(self) -> Result<Val<'a>, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        Ok(match self.how {
            Each::All => Val::Bool(self.found.is_empty()),
            Each::Exists => Val::Bool(!self.found.is_empty()),
            Each::ExistsOne => Val::Bool(self.count == 1),
            Each::TransformMap => Val::Map(Arc::new(self.found)),
            _ => Val::List(Arc::new(self.found.into_iter().map(|(_, value)| value).collect())),
        })
    }
}

/// Index and item, or key and value.
fn pairs<'a>(of: &Val<'a>, _: usize) -> Result<Vec<(Val<'a>, Val<'a>)>, Error> {
    if let Some(items) = of.items() {
        return Ok(items.into_iter().zip(0..).map(|(item, at)| (Val::Int(at), item)).collect());
    }
    of.entries().ok_or_else(|| Error::Overload(format!("{} has no items", of.kind())))
}

fn is_none(value: &Val<'_>) -> bool {
    matches!(value, Val::Optional(None))
}

/// `a.b` and `a[b]`. What comes of something optional is optional.
fn chosen<'a>(of: &Val<'a>, key: &Val<'a>, optional: bool, name: &str) -> Result<Val<'a>, Error> {
    let found = of.get(key)?;
    if optional || matches!(of, Val::Optional(_)) {
        return Ok(Val::Optional(found.map(Arc::new)));
    }
    found.ok_or_else(|| Error::NoKey(name.to_owned()))
}

/// Fields whose names are no identifiers are written escaped.
pub(crate) fn unescaped(name: &str) -> String {
    if !name.contains("__") {
        return name.to_owned();
    }
    if let Some(word) = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"))
        && WORDS.contains(&word)
    {
        return word.to_owned();
    }
    let pairs = [("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"), ("__underscores__", "__")];
    pairs.iter().fold(name.to_owned(), |name, (escaped, plain)| name.replace(escaped, plain))
}

const WORDS: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// How much work it is to look at all of a value.
fn weight(value: &Val<'_>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => 1 + text.len() / 10,
            Value::Array(list) => 1 + list.iter().map(of).sum::<usize>(),
            Value::Object(map) => 1 + map.values().map(of).sum::<usize>(),
            _ => 1,
        }
    }
    match value {
        Val::Json(value, _) => of(value),
        Val::Text(text) => 1 + text.len() / 10,
        Val::Bytes(bytes) => 1 + bytes.len() / 10,
        Val::List(list) => 1 + list.iter().map(weight).sum::<usize>(),
        Val::Map(map) => 1 + map.iter().map(|(key, value)| weight(key) + weight(value)).sum::<usize>(),
        _ => 1,
    }
}
