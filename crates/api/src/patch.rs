//! Patches: the three ways in which a client may say what is to change.

mod json;
mod merge;
mod strategic;
#[cfg(test)]
mod tests;

pub use json::json;
pub use merge::merge;
pub use strategic::strategic;

use crate::status::{Qualified, Status};

/// How a body says what is to change; told by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// `application/json-patch+json`: a list of operations.
    Json,
    /// `application/merge-patch+json`: a document whose fields replace.
    Merge,
    /// `application/strategic-merge-patch+json`: the same, with lists merged as their types say.
    Strategic,
}

/// The content type of a server-side apply, which is no change but a wish; see [`crate::managed`].
pub const APPLY: &str = "application/apply-patch+yaml";

/// The content types that a patch may have.
pub const CONTENT_TYPES: &[&str] =
    &["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", APPLY];

impl PatchType {
    /// The type of a patch with this content type, parameters aside.
    #[must_use]
    pub fn of_content_type(text: &str) -> Option<Self> {
        match text.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }
}

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It is not JSON.
    #[error("invalid character or end in patch: {0}")]
    Syntax(String),
    /// It has not the shape that its type asks for.
    #[error("json: cannot unmarshal {found} into Go value of type {expected}")]
    Shape {
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// It has more operations than are applied at once.
    #[error("The allowed maximum operations in a JSON patch is {most}, got {found}")]
    TooMany {
        /// How many are allowed.
        most: usize,
        /// How many there are.
        found: usize,
    },
    /// A directive of a strategic merge patch is malformed.
    #[error("{0}")]
    Directive(String),
    /// An operation does not fit the object.
    #[error("{0}")]
    Mismatch(String),
}

impl PatchError {
    /// What the client is told.
    #[must_use]
    pub fn status(&self) -> Status {
        let message = self.to_string();
        match self {
            Self::Syntax(_) | Self::Shape { .. } | Self::Directive(_) => Status::bad_request(message),
            Self::TooMany { most, .. } => Status { message, ..Status::request_entity_too_large(*most) },
            Self::Mismatch(_) => {
                let empty = Qualified::new("", "");
                Status { message: unprocessable(&message), ..Status::invalid(empty, "", &[]) }
            }
        }
    }
}

fn unprocessable(why: &str) -> String {
    format!("the server rejected our request due to an error in our request: {why}")
}

/// What a JSON value is, in the words of kube-apiserver.
const fn sort(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    }
}
