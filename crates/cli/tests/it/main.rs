//! The verbs against an API server in the same process: what they print, and what they leave behind.
#![allow(clippy::unwrap_used)]

mod changes;
mod objects;
mod stock;
mod support;
