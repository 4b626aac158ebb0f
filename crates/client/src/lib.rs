//! One client for every component of skiff: in process, over a Unix socket, or over TLS.
//!
//! # Flow
//! A component is handed a [`kube::Client`] and an [`Informers`]. It reads from informers (one watch
//! and one decoded cache per kind and process, shared by all components), puts the keys that changed
//! into a [`Queue`], and lets [`reconcile()`] call it back, one key at a time, with back-off on errors.
//!
//! # Guarantees
//! - A [`Queue`] holds a key at most once and never hands one key to two workers at the same time.
//! - An [`Informer`]'s subscriber sees what is there, then [`Delta::Synced`], then every later change,
//!   in the order of the watch. Objects are shared, never copied.
//!
//! # Errors
//! Watches reconnect by themselves, with back-off; the cache keeps serving what it last saw.
#![forbid(unsafe_code)]

mod connect;
mod informer;
mod queue;
mod reconcile;
mod recorder;

pub use connect::{ConnectError, Target, connect, in_process};
pub use informer::{Delta, Informer, Informers, Subscription, Watched};
pub use queue::Queue;
pub use reconcile::{Next, reconcile};
pub use recorder::Recorder;

pub use k8s_openapi;
pub use kube;
