//! One module per verb, each with its flags and what it does.

pub(crate) mod get;
