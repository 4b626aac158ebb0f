//! The node agent as a whole.
#![allow(clippy::unwrap_used)]
