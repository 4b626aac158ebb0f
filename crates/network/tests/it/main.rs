//! The pod network against the kernel, in network namespaces that end with each test.
#![allow(clippy::unwrap_used)]

mod attach;
mod lab;
mod node;
