//! Who owns which field of an object, and server-side apply.
//!
//! Every write says who makes it. `metadata.managedFields` lists for each manager what it owns: what its
//! last configuration mentions if it applies, what it last changed if it updates. An apply that would
//! change what others own is a conflict, unless it is forced.
//!
//! # Flow
//! [`compare`] tells what a write changes, as sets of paths ([`Set`]); [`update`] moves the ownership of
//! that to the author. [`apply`] lays a configuration over the object, takes away what its author wants
//! no more and nobody else owns, and settles the conflicts. All of it is driven by a [`Schema`].

mod apply;
mod compare;
mod conflict;
mod element;
mod entries;
mod fields;
mod items;
mod last_applied;
mod merge;
mod remove;
mod schema;
mod set;
#[cfg(test)]
mod tests;
mod update;
mod versions;

use serde_json::Value;

pub use apply::apply;
pub use compare::{Difference, compare};
pub use conflict::Conflict;
pub use element::{Element, show};
pub use schema::Schema;
pub use set::Set;
pub use update::{keep_times, update};
pub use versions::{Rules, Unconverted, Versions};

use crate::meta;
use crate::status::Status;

/// Who writes, through which part of the object, and when.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// The name of the manager; empty: unknown.
    pub manager: &'a str,
    /// The version of the object that it writes: `apps/v1`.
    pub api_version: &'a str,
    /// The part of the object: `status`; empty for the object itself.
    pub subresource: &'a str,
    /// Now, in whole seconds, as objects hold it.
    pub time: &'a str,
}

/// Something is no field set; what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid managed fields: {0}")]
pub struct FieldsError(pub(crate) String);

/// A value does not fit the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{why}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ShapeError {
    path: String,
    why: String,
}

impl ShapeError {
    const fn new(why: String) -> Self {
        Self { path: String::new(), why }
    }

    fn within(mut self, element: &Element) -> Self {
        self.path.insert_str(0, &element.to_string());
        self
    }
}

/// Why a configuration cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Others own what it would change.
    #[error("{}", conflict::message(.0))]
    Conflicts(Vec<Conflict>),
    /// It does not fit the schema.
    #[error("failed to create typed patch object ({object}): {why}")]
    Shape {
        /// Which object it is about.
        object: String,
        /// What is wrong.
        #[source]
        why: ShapeError,
    },
    /// The list of owners that the object has cannot be read.
    #[error("failed to decode managed fields: {0}")]
    Owners(#[source] FieldsError),
    /// Some own fields in a version in which the object is not available yet.
    #[error(transparent)]
    Unconverted(#[from] Unconverted),
}

impl ApplyError {
    fn shape(config: &Value, why: ShapeError) -> Self {
        let text = |field: &str| config[field].as_str().unwrap_or_default();
        let (namespace, name) = (meta::namespace(config), meta::name(config));
        let object = format!("{namespace}/{name}; {}, Kind={}", text("apiVersion"), text("kind"));
        Self::Shape { object, why }
    }

    /// What the client is told.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Conflicts(conflicts) => conflict::status(conflicts),
            Self::Unconverted(_) => Status::internal(self),
            Self::Shape { .. } | Self::Owners(_) => Status::bad_request(self.to_string()),
        }
    }
}

/// Whether a configuration, as the client sent it, fits the schema.
pub fn check(schema: Schema<'_>, config: &Value) -> Result<(), ApplyError> {
    fields::check(schema, config).map_err(|why| ApplyError::shape(config, why))
}
