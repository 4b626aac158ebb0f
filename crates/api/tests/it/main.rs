//! What the crate says as a whole: documents, kinds, and the way of an object through them.
#![allow(clippy::unwrap_used)]

mod documents;
