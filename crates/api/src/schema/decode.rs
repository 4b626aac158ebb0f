//! JSON to an object of a known type, in one pass: what is unknown is left out and remembered, what
//! is there twice is remembered, what has a wrong type is an error; all in the words of kube-apiserver.
//!
//! Values come out in their normal form, as if they had gone through Kubernetes's own types: nulls
//! are left out, quantities and times are canonical.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Of, Type};
use crate::quantity::Quantity;
use crate::time;

/// At most so many strict errors are remembered.
const MOST: usize = 100;

/// An object, and what strict field validation has to say about it.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// The object in its normal form.
    pub object: Value,
    /// `unknown field "spec.x"`, `duplicate field "spec.y"`, in the order of the document.
    pub strict: Vec<String>,
}

/// Why bytes are not an object of the type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are not JSON.
    #[error("{0}")]
    Syntax(String),
    /// A value has a wrong type or form.
    #[error("{0}")]
    Type(String),
}

/// Reads an object of type `name` (`io.k8s.api.core.v1.Pod`) from any source of JSON: bytes or a [`Value`].
pub fn decode<'de, D: Deserializer<'de>>(name: &str, source: D) -> Result<Decoded, DecodeError> {
    let state = State::default();
    let of = super::find(name);
    let seed = Seed { state: &state, of: Target::Root(of) };
    let object = seed.deserialize(source).map_err(|error| DecodeError::Syntax(error.to_string()))?;
    let state = state.0.into_inner();
    match state.error {
        Some(error) => Err(DecodeError::Type(error)),
        None => Ok(Decoded { object: object.unwrap_or_default(), strict: state.strict }),
    }
}

#[derive(Default)]
struct State(RefCell<Found>);

#[derive(Default)]
struct Found {
    /// Where the reader is, for unknown and duplicate fields: with list indexes and map keys.
    path: Vec<Step>,
    /// The fields above the reader, for wrong types: without indexes and map keys.
    fields: Vec<&'static str>,
    /// The type that holds the innermost of them.
    holder: &'static str,
    strict: Vec<String>,
    error: Option<String>,
}

enum Step {
    Key(Cow<'static, str>),
    Index(usize),
}

impl Found {
    fn strict(&mut self, sort: &str, field: &str) {
        if self.strict.len() >= MOST {
            return;
        }
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        let dot = if path.is_empty() { "" } else { "." };
        let message = format!("{sort} field {:?}", format!("{path}{dot}{field}"));
        if !self.strict.contains(&message) {
            self.strict.push(message);
        }
    }

    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    fn mismatch(&mut self, what: &str, of: &str) {
        let at = if self.fields.is_empty() {
            "value".to_owned()
        } else {
            format!("struct field {}.{}", self.holder, self.fields.join("."))
        };
        self.fail(format!("json: cannot unmarshal {what} into Go {at} of type {of}"));
    }
}

#[derive(Clone, Copy)]
enum Target {
    /// The object itself; `None`: a type that the table does not know, anything goes.
    Root(Option<&'static Type>),
    /// A field, an item or a map's value.
    Of(&'static Of),
}

impl Target {
    fn go(self) -> String {
        match self {
            Self::Root(Some(of)) => {
                let mut parts = of.name.rsplit('.');
                let (base, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                format!("{package}.{base}")
            }
            Self::Root(None) => "interface {}".to_owned(),
            Self::Of(of) => of.go(),
        }
    }

    /// The fields of an object here; `None`: it has no fixed ones.
    fn fields(self) -> Option<&'static Type> {
        let of = match self {
            Self::Root(of) => of,
            Self::Of(Of::Type(name)) => name.find(),
            Self::Of(_) => None,
        };
        of.filter(|of| !of.fields.is_empty())
    }

    /// Whether anything may stand here.
    fn is_any(self) -> bool {
        match self {
            Self::Root(_) | Self::Of(Of::Type(_)) => self.fields().is_none(),
            Self::Of(of) => *of == Of::Any,
        }
    }
}

struct Seed<'a> {
    state: &'a State,
    of: Target,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    /// `None`: the value is left out.
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl Seed<'_> {
    fn mismatch(&self, what: &str) -> Option<Value> {
        self.state.0.borrow_mut().mismatch(what, &self.of.go());
        None
    }

    fn fail(&self, error: impl fmt::Display) -> Option<Value> {
        self.state.0.borrow_mut().fail(error.to_string());
        None
    }

    fn number(&self, number: serde_json::Number) -> Option<Value> {
        let of = match self.of {
            Target::Of(of) => of,
            Target::Root(_) => return self.mismatch("number"),
        };
        let fits = match of {
            Of::Any | Of::Number => true,
            Of::Int64 => number.as_i64().is_some(),
            Of::Int32 => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            Of::IntOrString if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => true,
            Of::IntOrString => {
                return self.fail(format!("json: cannot unmarshal number {number} into Go value of type int32"));
            }
            Of::Quantity => return self.quantity(&number.to_string()),
            Of::Type(_) if self.of.is_any() => true,
            _ => return self.mismatch("number"),
        };
        if fits { Some(Value::Number(number)) } else { self.mismatch(&format!("number {number}")) }
    }

    fn quantity(&self, text: &str) -> Option<Value> {
        match text.trim().parse::<Quantity>() {
            Ok(quantity) => Some(quantity.to_string().into()),
            Err(error) => self.fail(error),
        }
    }

    fn text(&self, text: String) -> Option<Value> {
        match self.of {
            Target::Of(Of::String | Of::IntOrString | Of::Any) => Some(Value::String(text)),
            Target::Of(Of::Quantity) => self.quantity(&text),
            Target::Of(Of::Time | Of::MicroTime) if text.is_empty() => None,
            Target::Of(of @ (Of::Time | Of::MicroTime)) => match time::parse(&text) {
                Some(parsed) if *of == Of::Time => Some(time::format(parsed).into()),
                Some(parsed) => Some(time::format_micro(parsed).into()),
                None => {
                    let layout = "2006-01-02T15:04:05Z07:00";
                    self.fail(format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""))
                }
            },
            Target::Of(Of::Bytes) => match base64::engine::general_purpose::STANDARD.decode(&text) {
                Ok(_) => Some(Value::String(text)),
                Err(error) => {
                    let at = match error {
                        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                        _ => text.len(),
                    };
                    self.fail(format!("illegal base64 data at input byte {at}"))
                }
            },
            _ if self.of.is_any() => Some(Value::String(text)),
            _ => self.mismatch("string"),
        }
    }

    /// What null means in a list or in a map: the zero value of what belongs there.
    fn zero(&self) -> Option<Value> {
        match self.of {
            Target::Of(Of::String | Of::Bytes) => Some(Value::String(String::new())),
            Target::Of(Of::Bool) => Some(Value::Bool(false)),
            Target::Of(Of::Int32 | Of::Int64 | Of::Number | Of::IntOrString) => Some(0.into()),
            Target::Of(Of::Quantity) => Some("0".into()),
            Target::Of(Of::Type(_)) => Some(Value::Object(Map::new())),
            _ => Some(Value::Null),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(match self.of {
            Target::Of(Of::Bool) => Some(Value::Bool(value)),
            _ if self.of.is_any() => Some(Value::Bool(value)),
            _ => self.mismatch("bool"),
        })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(self.number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(self.text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(self.text(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(match self.of {
            Target::Of(Of::Any) => Some(Value::Null),
            _ => None,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let item = match self.of {
            Target::Of(Of::List(item)) => item,
            _ => {
                let any = self.of.is_any();
                if !any {
                    self.mismatch("array");
                }
                let mut list = Vec::new();
                while let Some(item) = items.next_element_seed(Seed { state: self.state, of: ANY })? {
                    list.push(item.unwrap_or_default());
                }
                return Ok(any.then_some(Value::Array(list)));
            }
        };
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0).min(1024));
        let seed = || Seed { state: self.state, of: Target::Of(item) };
        loop {
            self.state.0.borrow_mut().path.push(Step::Index(list.len()));
            let next = items.next_element_seed(seed())?;
            self.state.0.borrow_mut().path.pop();
            match next {
                Some(item) => list.push(item.or_else(|| seed().zero()).unwrap_or_default()),
                None => return Ok(Some(Value::Array(list))),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        match (self.of.fields(), self.of) {
            (Some(of), _) => self.structure(of, entries),
            (None, Target::Of(Of::Map(of))) => self.map(Target::Of(of), entries, false),
            _ if self.of.is_any() => self.map(ANY, entries, true),
            _ => {
                self.mismatch("object");
                self.map(ANY, entries, true)?;
                Ok(None)
            }
        }
    }
}

const ANY: Target = Target::Of(&Of::Any);

impl Seed<'_> {
    fn structure<'de, A: MapAccess<'de>>(self, of: &'static Type, mut entries: A) -> Result<Option<Value>, A::Error> {
        let mut map = Map::new();
        let mut seen = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Some(field) = of.field(&key) else {
                self.state.0.borrow_mut().strict("unknown", &key);
                // Not `IgnoredAny`: what is skipped counts against the depth limit as well.
                entries.next_value_seed(Seed { state: &State::default(), of: ANY })?;
                continue;
            };
            if !seen.insert(field.name) {
                self.state.0.borrow_mut().strict("duplicate", field.name);
            }
            let holder = {
                let mut found = self.state.0.borrow_mut();
                found.path.push(Step::Key(Cow::Borrowed(field.name)));
                found.fields.push(field.name);
                std::mem::replace(&mut found.holder, of.base())
            };
            let value = entries.next_value_seed(Seed { state: self.state, of: Target::Of(&field.of) })?;
            let mut found = self.state.0.borrow_mut();
            found.path.pop();
            found.fields.pop();
            found.holder = holder;
            drop(found);
            match value {
                Some(value) => map.insert(field.name.to_owned(), value),
                None => map.remove(field.name),
            };
        }
        Ok(Some(Value::Object(map)))
    }

    fn map<'de, A: MapAccess<'de>>(self, of: Target, mut entries: A, any: bool) -> Result<Option<Value>, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !any && map.contains_key(&key) {
                self.state.0.borrow_mut().strict("duplicate", &key);
            }
            self.state.0.borrow_mut().path.push(Step::Key(Cow::Owned(key.clone())));
            let seed = || Seed { state: self.state, of };
            let value = entries.next_value_seed(seed())?;
            self.state.0.borrow_mut().path.pop();
            if let Some(value) = value.or_else(|| seed().zero()) {
                map.insert(key, value);
            }
        }
        Ok(Some(Value::Object(map)))
    }
}
