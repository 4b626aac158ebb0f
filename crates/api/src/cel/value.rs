//! What expressions are about: JSON with the types that its schema gives it, and what comes of it.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{Error, time};
use crate::custom::schema::{Schema, Sort};
use crate::quantity::Quantity;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    List(Arc<Vec<Val<'a>>>),
    Map(Arc<Vec<(Val<'a>, Val<'a>)>>),
    /// A list or an object of JSON, with what its schema says about it.
    Json(&'a Value, Option<&'a Schema>),
    Time(Timestamp),
    /// Nanoseconds.
    Duration(i64),
    Type(&'static str),
    Optional(Option<Arc<Val<'a>>>),
    Quantity(Quantity),
    Ip(std::net::IpAddr),
    Cidr(ipnet::IpNet),
    Url(Arc<super::network::Url>),
    /// A format that text may have.
    Format(&'static str),
}

impl<'a> Val<'a> {
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// A JSON value as the schema types it.
    pub(crate) fn of(value: &'a Value, schema: Option<&'a Schema>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => {
                let double = schema.is_some_and(|schema| schema.sort == Sort::Number);
                match number.as_i64().filter(|_| !double) {
                    Some(value) => Self::Int(value),
                    None => Self::Double(number.as_f64().unwrap_or_default()),
                }
            }
            Value::String(text) => time::typed(text, schema).unwrap_or_else(|| Self::text(text)),
            Value::Array(_) | Value::Object(_) => Self::Json(value, schema),
        }
    }

    /// Its type as `type()` and messages name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) | Self::Json(Value::Array(_), _) => "list",
            Self::Map(_) | Self::Json(..) => "map",
            Self::Time(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Url(_) => "kubernetes.URL",
            Self::Format(_) => "kubernetes.NamedFormat",
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Option<Vec<Val<'a>>> {
        match self {
            Self::List(list) => Some(list.to_vec()),
            Self::Json(Value::Array(list), schema) => {
                let of = schema.and_then(|schema| schema.items.as_deref());
                Some(list.iter().map(|item| Self::of(item, of)).collect())
            }
            _ => None,
        }
    }

    /// The entries of a map.
    pub(super) fn entries(&self) -> Option<Vec<(Val<'a>, Val<'a>)>> {
        match self {
            Self::Map(map) => Some(map.to_vec()),
            Self::Json(Value::Object(map), schema) => {
                let of = |name: &str| schema.and_then(|schema| schema.field(name));
                Some(map.iter().map(|(name, value)| (Self::text(name), Self::of(value, of(name)))).collect())
            }
            _ => None,
        }
    }

    /// How many items, entries or letters there are.
    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.chars().count()),
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::List(list) => Some(list.len()),
            Self::Map(map) => Some(map.len()),
            Self::Json(Value::Array(list), _) => Some(list.len()),
            Self::Json(Value::Object(map), _) => Some(map.len()),
            _ => None,
        }
    }

    /// A field or an entry; `Ok(None)` if it is not there.
    pub(super) fn get(&self, key: &Val<'a>) -> Result<Option<Val<'a>>, Error> {
        match (self, key) {
            (Self::Json(Value::Object(map), schema), Self::Text(name)) => {
                let of = schema.and_then(|schema| schema.field(name));
                Ok(map.get(&**name).map(|value| Self::of(value, of)))
            }
            (Self::Map(map), key) => Ok(map.iter().find(|(own, _)| own.equals(key)).map(|(_, value)| value.clone())),
            (Self::List(list), Self::Int(at)) => Ok(usize::try_from(*at).ok().and_then(|at| list.get(at)).cloned()),
            (Self::Json(Value::Array(list), schema), Self::Int(at)) => {
                let of = schema.and_then(|schema| schema.items.as_deref());
                Ok(usize::try_from(*at).ok().and_then(|at| list.get(at)).map(|item| Self::of(item, of)))
            }
            (Self::Optional(None), _) => Ok(None),
            (Self::Optional(Some(inner)), key) => inner.get(key),
            _ => Err(Error::Overload(format!("{}[{}]", self.kind(), key.kind()))),
        }
    }

    pub(super) fn equals(&self, other: &Self) -> bool {
        if let (Some(a), Some(b)) = (self.number(), other.number()) {
            return a.partial_cmp(&b) == Some(Ordering::Equal) && self.order(other) == Some(Ordering::Equal);
        }
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Json(a, _), Self::Json(b, _)) => a == b,
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.equals(b),
                (a, b) => a.is_none() && b.is_none(),
            },
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a), Self::Cidr(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::List(_) | Self::Json(..), Self::List(_) | Self::Json(..)) => match (self.items(), other.items()) {
                (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.equals(b)),
                _ => false,
            },
            (Self::Map(_) | Self::Json(..), Self::Map(_) | Self::Json(..)) => {
                let (Some(a), Some(b)) = (self.entries(), other.entries()) else { return false };
                let has = |(key, value): &(Val<'a>, Val<'a>)| {
                    b.iter().any(|(other, of)| other.equals(key) && of.equals(value))
                };
                a.len() == b.len() && a.iter().all(has)
            }
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Uint(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// The order of two values that have one.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Uint(a), Self::Uint(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Uint(a), Self::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Quantity(a), Self::Quantity(b)) => Some(a.cmp(b)),
            (a, b) => a.number()?.partial_cmp(&b.number()?),
        }
    }
}
