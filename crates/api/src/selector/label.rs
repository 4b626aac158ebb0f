//! Label selectors: `app=web,tier in (a, b),!canary`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::SelectorError;
use crate::field_error::{FieldError, Path};
use crate::validate::names;

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `key=value`
    Equals,
    /// `key==value`
    DoubleEquals,
    /// `key!=value`
    NotEquals,
    /// `key in (a, b)`
    In,
    /// `key notin (a, b)`
    NotIn,
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key>1`
    GreaterThan,
    /// `key<1`
    LessThan,
}

/// One term of a [`LabelSelector`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what, sorted.
    pub values: Vec<String>,
}

/// Terms that must all hold. No terms: everything matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl Requirement {
    fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, SelectorError> {
        values.sort();
        values.dedup();
        let invalid = |path: &Path<'_>, value: Value, detail: &str| {
            Err(SelectorError::Requirement(FieldError::invalid(path, value, detail)))
        };
        let problems = names::qualified_name(key);
        if !problems.is_empty() {
            return invalid(&Path::new("key"), key.into(), &problems.join("; "));
        }
        let at = Path::new("values");
        let number = |value: &String| value.parse::<i64>().is_ok();
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                return invalid(&at, Value::from(values), "for 'in', 'notin' operators, values set can't be empty");
            }
            Operator::GreaterThan | Operator::LessThan if !values.iter().all(number) => {
                let value = values.first().cloned().unwrap_or_default();
                return invalid(&at.index(0), value.into(), "for 'Gt', 'Lt' operators, the value must be an integer");
            }
            _ => {}
        }
        for value in &values {
            let problems = names::label_value(value);
            if !problems.is_empty() {
                return invalid(&at.key(key), value.as_str().into(), &problems.join("; "));
            }
        }
        Ok(Self { key: key.to_owned(), operator, values })
    }

    /// Whether a label with this value (`None`: no such label) satisfies the term.
    #[must_use]
    pub fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|v| v == value);
        let number = |text: &str| text.parse::<i64>().ok();
        let compare = |test: fn(&i64, &i64) -> bool| {
            let limit = self.values.first().and_then(|v| number(v));
            value.and_then(number).zip(limit).is_some_and(|(value, limit)| test(&value, &limit))
        };
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => value.is_some_and(listed),
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => compare(i64::gt),
            Operator::LessThan => compare(i64::lt),
        }
    }
}

impl LabelSelector {
    /// A selector that nothing matches: what an absent selector of a workload means.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// The terms.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Whether labels, looked up by `label`, match.
    pub fn matches_with<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(label(&r.key)))
    }

    /// Whether an object's labels match.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.matches_labels(&object["metadata"]["labels"])
    }

    /// Whether a JSON map of labels matches.
    #[must_use]
    pub fn matches_labels(&self, labels: &Value) -> bool {
        self.matches_with(|key| labels[key].as_str())
    }

    /// Whether a map of labels matches, as typed objects hold one.
    #[must_use]
    pub fn matches_map(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.matches_with(|key| labels?.get(key).map(String::as_str))
    }

    /// A selector of a `meta/v1` LabelSelector (`matchLabels`, `matchExpressions`); null matches nothing.
    pub fn from_json(value: &Value) -> Result<Self, SelectorError> {
        if value.is_null() {
            return Ok(Self::nothing());
        }
        let mut requirements = Self::from_labels(&value["matchLabels"])?.requirements;
        for expression in value["matchExpressions"].as_array().into_iter().flatten() {
            let operator = match expression["operator"].as_str().unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(SelectorError::Operator(other.to_owned())),
            };
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.filter_map(|v| Some(v.as_str()?.to_owned())).collect();
            requirements.push(Requirement::new(expression["key"].as_str().unwrap_or_default(), operator, values)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements, nothing: false })
    }

    /// A selector of a plain map of labels, as a Service has one. An empty map matches everything.
    pub fn from_labels(labels: &Value) -> Result<Self, SelectorError> {
        let requirements = crate::meta::strings(labels)
            .map(|(key, value)| Requirement::new(key, Operator::Equals, vec![value.to_owned()]))
            .collect::<Result<_, _>>()?;
        Ok(Self { requirements, nothing: false })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            let Requirement { key, operator, values } = requirement;
            let list = values.join(",");
            match operator {
                Operator::Equals => write!(f, "{key}={list}")?,
                Operator::DoubleEquals => write!(f, "{key}=={list}")?,
                Operator::NotEquals => write!(f, "{key}!={list}")?,
                Operator::In => write!(f, "{key} in ({list})")?,
                Operator::NotIn => write!(f, "{key} notin ({list})")?,
                Operator::Exists => write!(f, "{key}")?,
                Operator::DoesNotExist => write!(f, "!{key}")?,
                Operator::GreaterThan => write!(f, "{key}>{list}")?,
                Operator::LessThan => write!(f, "{key}<{list}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let mut requirements = parser.selector()?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements, nothing: false })
    }
}

fn tokens(text: &str) -> Vec<&str> {
    let special = |c: char| "=!(),<>".contains(c);
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '=' | '!' if rest[1..].starts_with('=') => 2,
            _ if special(first) => 1,
            _ => rest.find(|c: char| special(c) || c.is_whitespace()).unwrap_or(rest.len()),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_identifier(token: &str) -> bool {
    !token.is_empty() && !token.starts_with(|c| "=!(),<>".contains(c))
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).copied().unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, SelectorError> {
        let mut requirements = Vec::new();
        if self.peek().is_empty() {
            return Ok(requirements);
        }
        loop {
            requirements.push(self.requirement()?);
            match self.next() {
                "" => return Ok(requirements),
                "," if is_identifier(self.peek()) || self.peek() == "!" => {}
                "," => return Err(SelectorError::AfterComma(self.peek().to_owned())),
                other => return Err(SelectorError::Trailing(other.to_owned())),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let absent = self.peek() == "!";
        if absent {
            self.next();
        }
        let key = self.next();
        if !is_identifier(key) {
            let expected = if absent { "identifier" } else { "!, identifier, or 'end of string'" };
            return Err(SelectorError::Unexpected { found: key.to_owned(), expected });
        }
        if absent {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(), "" | ",") {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let operator = match self.next() {
            "=" => Operator::Equals,
            "==" => Operator::DoubleEquals,
            "!=" => Operator::NotEquals,
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            ">" => Operator::GreaterThan,
            "<" => Operator::LessThan,
            other => {
                let expected = "in, notin, =, ==, !=, gt, lt";
                return Err(SelectorError::Unexpected { found: other.to_owned(), expected });
            }
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.set()?,
            _ => vec![self.exact()?],
        };
        Requirement::new(key, operator, values)
    }

    fn exact(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            "" | "," => Ok(String::new()),
            token if is_identifier(token) => Ok(self.next().to_owned()),
            other => Err(SelectorError::Unexpected { found: other.to_owned(), expected: "identifier" }),
        }
    }

    fn set(&mut self) -> Result<Vec<String>, SelectorError> {
        let unexpected = |found: &str, expected| Err(SelectorError::Unexpected { found: found.to_owned(), expected });
        match self.next() {
            "(" => {}
            other => return unexpected(other, "'('"),
        }
        let mut values = Vec::new();
        loop {
            match self.peek() {
                "," | ")" => values.push(String::new()),
                token if is_identifier(token) => values.push(self.next().to_owned()),
                other => return unexpected(other, "',', ')' or identifier"),
            }
            match self.next() {
                "," => {}
                ")" => return Ok(values),
                other => return unexpected(other, "',' or ')'"),
            }
        }
    }
}
