//! The types of expressions, before there are values: what a schema says, and what functions make of it.

use std::fmt;

use crate::custom::schema::{Additional, Schema, Sort};

/// What an expression's value will be.
#[derive(Clone, Debug)]
pub(crate) enum Type<'a> {
    /// Only its value will tell.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Time,
    Duration,
    /// A type itself.
    Meta,
    List(Box<Type<'a>>),
    Map(Box<Type<'a>>, Box<Type<'a>>),
    /// An object with these fields; `true`: a whole object of the API, of which the name is known, too.
    Object(&'a Schema, bool),
    /// The metadata of such an object.
    Metadata,
    Optional(Box<Type<'a>>),
    /// A type of one of the libraries.
    Named(&'static str),
}

impl<'a> Type<'a> {
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    /// What stands where the schema is; `None`: no expression can name it.
    pub(crate) fn of(schema: &'a Schema, whole: bool) -> Option<Self> {
        if schema.int_or_string {
            return Some(Self::Dyn);
        }
        Some(match schema.sort {
            Sort::Any => return None,
            Sort::Array => Self::list(Self::of(schema.items.as_deref()?, false)?),
            Sort::Object => match &schema.additional {
                Additional::Of(of) => Self::Map(Box::new(Self::Text), Box::new(Self::of(of, of.embedded)?)),
                _ => Self::Object(schema, whole || schema.embedded),
            },
            Sort::Boolean => Self::Bool,
            Sort::Integer => Self::Int,
            Sort::Number => Self::Double,
            Sort::String => match schema.format() {
                Some("byte") => Self::Bytes,
                Some("duration") => Self::Duration,
                Some("date" | "date-time") => Self::Time,
                _ => Self::Text,
            },
        })
    }

    /// The type of an object's field.
    pub(super) fn field(schema: &'a Schema, whole: bool, name: &str) -> Option<Self> {
        match name {
            "apiVersion" | "kind" if whole => Some(Self::Text),
            "metadata" if whole => Some(Self::Metadata),
            _ => schema.properties.get(name).and_then(|of| Self::of(of, false)),
        }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether values of both types can be the same.
    pub(super) fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.fits(b),
            (Self::Map(key, value), Self::Map(other_key, other)) => key.fits(other_key) && value.fits(other),
            (Self::Named(a), Self::Named(b)) => a == b,
            // Fields with defaults are not told apart from those without: only their shapes would tell.
            (Self::Object(..) | Self::Map(..) | Self::Metadata, Self::Object(..) | Self::Map(..) | Self::Metadata) => {
                true
            }
            (Self::Null, other) | (other, Self::Null) => matches!(
                other,
                Self::Null
                    | Self::Object(..)
                    | Self::Metadata
                    | Self::Time
                    | Self::Duration
                    | Self::Optional(_)
                    | Self::Named(_)
            ),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }

    /// What both are; [`Self::Dyn`] if they have nothing in common.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Dyn, one) | (one, Self::Dyn) => one,
            (one, other) if one.fits(&other) => {
                if matches!(one, Self::Null) {
                    other
                } else {
                    one
                }
            }
            _ => Self::Dyn,
        }
    }
}

impl fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Time => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Meta => f.write_str("type"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Object(..) | Self::Metadata => f.write_str("object"),
            Self::Optional(of) => write!(f, "optional_type({of})"),
            Self::Named(name) => f.write_str(name),
        }
    }
}
