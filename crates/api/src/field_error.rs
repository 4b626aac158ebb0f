//! What is wrong with one field of an object, in the words clients of Kubernetes know.
//!
//! A [`Path`] borrows its parents, so walking an object costs nothing until something is wrong.

use std::fmt;

use serde_json::Value;

/// Where a field is: `spec.containers[0].ports`, `data[key]`.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Segment<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// A path that starts at a top-level field.
    #[must_use]
    pub const fn new(field: &'a str) -> Self {
        Self { parent: None, segment: Segment::Field(field) }
    }

    /// The field `name` of what this path points at.
    #[must_use]
    pub const fn child(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), segment: Segment::Field(name) }
    }

    /// The list item `index` of what this path points at.
    #[must_use]
    pub const fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), segment: Segment::Index(index) }
    }

    /// The map entry `key` of what this path points at.
    #[must_use]
    pub const fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), segment: Segment::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.segment {
            Segment::Field(name) if self.parent.is_some() => write!(f, ".{name}"),
            Segment::Field(name) => f.write_str(name),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// The sort of mistake; clients read it as the `reason` of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// A value that refers to something that is not there.
    NotFound,
    /// A value is missing.
    Required,
    /// A value that must be unique is there twice.
    Duplicate,
    /// A malformed or out-of-range value.
    Invalid,
    /// The same of a value that is too large to be shown.
    InvalidUnshown,
    /// A value that is none of the known ones.
    NotSupported,
    /// A value that is not allowed here.
    Forbidden,
    /// A value with too many bytes.
    TooLong,
    /// A list with too many items.
    TooMany,
    /// A failure of the server while it looked at the field.
    Internal,
}

impl FieldErrorKind {
    /// The machine-readable reason of a `Status` cause.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid | Self::InvalidUnshown => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::InvalidUnshown => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }

    const fn shows_value(self) -> bool {
        matches!(self, Self::NotFound | Self::Duplicate | Self::Invalid | Self::NotSupported | Self::TooMany)
    }
}

/// One mistake in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The sort of mistake.
    pub kind: FieldErrorKind,
    /// Where the field is.
    pub field: String,
    /// The offending value (`Null` where it is not shown).
    pub value: Value,
    /// What would be right.
    pub detail: String,
}

impl FieldError {
    fn new(kind: FieldErrorKind, path: &Path<'_>, value: Value, detail: impl Into<String>) -> Self {
        Self { kind, field: path.to_string(), value, detail: detail.into() }
    }

    /// A value is missing.
    #[must_use]
    pub fn required(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, path, Value::Null, detail)
    }

    /// A malformed or out-of-range value.
    #[must_use]
    pub fn invalid(path: &Path<'_>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Invalid, path, value.into(), detail)
    }

    /// A value that does not fit and is too large to be shown.
    #[must_use]
    pub fn invalid_unshown(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::InvalidUnshown, path, Value::Null, detail)
    }

    /// A value that is none of `supported`.
    #[must_use]
    pub fn not_supported(path: &Path<'_>, value: impl Into<Value>, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|s| format!("{s:?}")).collect();
        let detail = if list.is_empty() { String::new() } else { format!("supported values: {}", list.join(", ")) };
        Self::new(FieldErrorKind::NotSupported, path, value.into(), detail)
    }

    /// A value that is there twice.
    #[must_use]
    pub fn duplicate(path: &Path<'_>, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::Duplicate, path, value.into(), "")
    }

    /// A value that is not allowed here.
    #[must_use]
    pub fn forbidden(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, path, Value::Null, detail)
    }

    /// A value that refers to something that is not there.
    #[must_use]
    pub fn not_found(path: &Path<'_>, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::NotFound, path, value.into(), "")
    }

    /// A value of more than `max` bytes.
    #[must_use]
    pub fn too_long(path: &Path<'_>, max: usize) -> Self {
        Self::new(FieldErrorKind::TooLong, path, Value::Null, format!("may not be more than {max} bytes"))
    }

    /// A list of more than `max` items.
    #[must_use]
    pub fn too_many(path: &Path<'_>, actual: usize, max: usize) -> Self {
        let items = if max == 1 { "item" } else { "items" };
        Self::new(FieldErrorKind::TooMany, path, actual.into(), format!("must have at most {max} {items}"))
    }

    /// A failure of the server while it looked at the field.
    #[must_use]
    pub fn internal(path: &Path<'_>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Internal, path, Value::Null, detail)
    }

    /// The message without the field's path.
    #[must_use]
    pub fn body(&self) -> String {
        let mut text = self.kind.words().to_owned();
        if self.kind.shows_value() {
            text.push_str(": ");
            match &self.value {
                Value::String(s) => text.push_str(&format!("{s:?}")),
                other => text.push_str(&other.to_string()),
            }
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_bodies_read_as_kubernetes_writes_them() {
        let spec = Path::new("spec");
        let ports = spec.child("ports");
        let port = ports.index(2);
        let error = FieldError::invalid(&port.child("port"), 70000, "must be between 1 and 65535, inclusive");
        assert_eq!(
            error.to_string(),
            "spec.ports[2].port: Invalid value: 70000: must be between 1 and 65535, inclusive"
        );
        let data = Path::new("data");
        assert_eq!(FieldError::required(&data.key("a b"), "").to_string(), "data[a b]: Required value");
        let unsupported = FieldError::not_supported(&spec.child("type"), "x", &["ClusterIP", "NodePort"]);
        assert_eq!(
            unsupported.to_string(),
            r#"spec.type: Unsupported value: "x": supported values: "ClusterIP", "NodePort""#
        );
        assert_eq!(FieldError::too_many(&spec, 3, 1).body(), "Too many: 3: must have at most 1 item");
        assert_eq!(FieldError::too_long(&spec, 63).body(), "Too long: may not be more than 63 bytes");
        let object = FieldError::invalid(&spec, serde_json::json!({"a": 1}), "field is immutable");
        assert_eq!(object.body(), r#"Invalid value: {"a":1}: field is immutable"#);
    }
}
