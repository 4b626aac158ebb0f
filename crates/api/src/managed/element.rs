//! One step of a field's path: a field's name, the keys of a list's item, an item that is its own
//! key, or a position. Ordered and written as Kubernetes does in `FieldsV1`.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::FieldsError;

/// One step of a path.
#[derive(Clone, Debug)]
pub enum Element {
    /// `f:name`: a field of an object.
    Field(Box<str>),
    /// `k:{"name":"a"}`: the item of a list with these keys, sorted by name.
    Key(Vec<(Box<str>, Value)>),
    /// `v:"a"`: an item of a set.
    Value(Value),
    /// `i:0`: the item at a position.
    Index(i64),
}

impl Element {
    /// A field of an object.
    #[must_use]
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// Reads a step as `FieldsV1` writes it; `None` for a sort that is not known.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, FieldsError> {
        let bad = || FieldsError(text.to_owned());
        let (sort, rest) = text.split_once(':').filter(|(sort, _)| sort.len() == 1).ok_or_else(bad)?;
        Ok(Some(match sort {
            "f" => Self::field(rest),
            "v" => Self::Value(serde_json::from_str(rest).map_err(|_| bad())?),
            "i" => Self::Index(rest.parse().map_err(|_| bad())?),
            "k" => {
                let Ok(Value::Object(keys)) = serde_json::from_str(rest) else { return Err(bad()) };
                let mut keys: Vec<(Box<str>, Value)> = keys.into_iter().map(|(k, v)| (k.into(), v)).collect();
                keys.sort_by(|a, b| a.0.cmp(&b.0));
                Self::Key(keys)
            }
            _ => return Ok(None),
        }))
    }

    /// The step as `FieldsV1` writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => {
                let mut text = String::from("k:{");
                for (index, (name, value)) in keys.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    text.push_str(&format!("{comma}{}:{value}", Value::from(&**name)));
                }
                text.push('}');
                text
            }
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Value(a), Self::Value(b)) => compare(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => {
                let pairs = a.iter().zip(b).map(|(a, b)| a.0.cmp(&b.0).then_with(|| compare(&a.1, &b.1)));
                pairs.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}

/// Numbers before texts before truths before everything else.
fn compare(a: &Value, b: &Value) -> Ordering {
    const fn rank(value: &Value) -> u8 {
        match value {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        }
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => a.to_string().cmp(&b.to_string()),
        _ => rank(a).cmp(&rank(b)),
    }
}

impl fmt::Display for Element {
    /// As messages show it: `.spec`, `[name="a"]`, `[="a"]`, `[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(keys) => {
                f.write_str("[")?;
                for (index, (name, value)) in keys.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={value}")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A path as messages show it: `.spec.containers[name="a"].image`.
#[must_use]
pub fn show(path: &[Element]) -> String {
    path.iter().map(ToString::to_string).collect()
}
