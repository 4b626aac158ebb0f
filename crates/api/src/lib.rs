//! What the Kubernetes API is made of, as pure functions over JSON values: the resource registry
//! (kinds are data), the schema of every type, defaulting, validation, patches, selectors, tables,
//! discovery and OpenAPI documents.
//!
//! # Flow
//! Bytes → decoded object (field validation) → defaults → admission → validation → the store; the
//! registry says for each kind how. Nothing here does I/O or reads a clock: time is an
//! argument.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod catalogue;
mod cel;
pub mod custom;
pub mod discovery;
pub mod endpoints;
pub mod field_error;
mod kinds;
pub mod managed;
pub mod meta;
pub mod openapi;
pub mod patch;
mod print;
pub mod quantity;
pub mod resource;
pub mod scale;
pub mod schema;
pub mod selector;
pub mod status;
pub mod table;
pub mod time;
pub mod toleration;
pub mod validate;
mod value;
