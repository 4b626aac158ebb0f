//! The Common Expression Language, as Kubernetes uses it: expressions that an administrator writes and
//! that judge objects.
//!
//! # Guarantees
//! An expression can neither loop for ever nor recurse without bound: its depth is limited when it is
//! parsed, and every step of its evaluation is paid for from a [`Budget`].

mod check;
mod eval;
mod formats;
mod functions;
mod lexer;
mod network;
mod operators;
mod parser;
mod signatures;
mod text;
mod time;
mod types;
mod value;

pub(crate) use check::{Checked, check, complaint};
pub(crate) use eval::{Scope, unescaped};
pub(crate) use parser::{Expr, parse};
pub(crate) use types::Type;
pub(crate) use value::Val;

/// What an evaluation may cost at most, in steps.
const COST: u64 = 1_000_000;

/// What expressions may still cost.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: 10 * COST }
    }
}

impl Budget {
    /// The part of the budget that one expression may use.
    pub(crate) fn one(&mut self) -> Self {
        Self { left: self.left.min(COST) }
    }

    /// Pays for what one expression has used of its part.
    pub(crate) fn settle(&mut self, before: u64, part: &Self) {
        self.left = self.left.saturating_sub(before - part.left);
    }

    /// Whether there is less left than one expression may use.
    pub(crate) const fn is_short(&self) -> bool {
        self.left < COST
    }

    /// Nothing may cost anything any more.
    pub(crate) const fn end(&mut self) {
        self.left = 0;
    }

    pub(crate) const fn left(&self) -> u64 {
        self.left
    }

    fn pay(&mut self, steps: usize) -> Result<(), Error> {
        match self.left.checked_sub(steps as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Error::Cost)
            }
        }
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// It is not of the language.
    #[error("Syntax error: {what}")]
    Syntax {
        /// Where, from 1.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// A name that means nothing.
    #[error("undeclared reference to '{0}' (in container '')")]
    Undeclared(String),
    /// A field that is not there.
    #[error("no such key: {0}")]
    NoKey(String),
    /// An operation on values that it does not know.
    #[error("no such overload: {0}")]
    Overload(String),
    /// A value that cannot be made or used.
    #[error("{0}")]
    Value(String),
    /// It is too much work.
    #[error("operation cancelled: actual cost limit exceeded")]
    Cost,
}

#[cfg(test)]
mod tests;
