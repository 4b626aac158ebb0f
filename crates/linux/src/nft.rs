//! nf_tables over netlink: one table of our own, changed in atomic transactions.
//!
//! # Flow
//! A caller describes changes as [`Op`]s in plain types and hands them to a [`Tables`]: the kernel
//! ([`Kernel`]), or a model of it in tests. All operations of a commit take effect together or not at all.
//! Nothing is ever read back to decide what to do; a [`Monitor`] tells when somebody else touched the table.
//!
//! # Guarantees
//! - A commit is one batch and one system call, however many elements it carries.
//! - Only the one table named at opening is touched.
//!
//! # Errors
//! [`Error`] of the netlink layer: the kernel names the message it refused. A refused batch changed nothing.

mod data;
mod encode;
mod kernel;
mod monitor;
mod types;

pub use crate::netlink::Error;
pub use data::{Data, Kind};
pub use kernel::{Kernel, Tables};
pub use monitor::{Listener, Monitor};
pub use types::{
    Base, Chain, CtKey, Element, Expr, Hook, HookKind, HookPoint, Map, MapValue, Meta, Name, Op, Register, Rejection,
    Rule, Side, Value, Verdict, state, status,
};
