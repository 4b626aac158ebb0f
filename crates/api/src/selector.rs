//! Label and field selectors: parsed from their text or from JSON, matched, written back.

mod field;
mod label;
#[cfg(test)]
mod tests;

pub use field::{FieldRequirement, FieldSelector};
pub use label::{LabelSelector, Operator, Requirement};

/// Why a text is not a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Something stands where something else should.
    #[error("unable to parse requirement: found '{found}', expected: {expected}")]
    Unexpected {
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// A requirement is complete but makes no sense.
    #[error("unable to parse requirement: {0}")]
    Requirement(crate::field_error::FieldError),
    /// Something follows a requirement that is no comma.
    #[error("found '{0}', expected: ',' or 'end of string'")]
    Trailing(String),
    /// No identifier follows a comma.
    #[error("found '{0}', expected: identifier after ','")]
    AfterComma(String),
    /// A field requirement without an operator.
    #[error("invalid selector: '{selector}'; can't understand '{part}'")]
    FieldTerm {
        /// The whole text.
        selector: String,
        /// The part that is at fault.
        part: String,
    },
    /// A backslash before something that needs none.
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    /// A JSON selector with an unknown operator.
    #[error("{0:?} is not a valid label selector operator")]
    Operator(String),
}
