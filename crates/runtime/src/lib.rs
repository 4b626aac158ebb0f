//! Containers, run by one small supervisor process per pod.
//!
//! ```text
//! Runtime ── create ──▶ Sandbox ── start / kill / exec / statuses / events ──▶ supervisor ── fork ──▶ containers
//! ```
//!
//! The supervisor is started by executing [`Config::supervisor`] and is the parent of the pod's containers. It keeps
//! their logs and exit codes whether or not a server is there to listen, and it outlives the server: [`Runtime::adopt`]
//! finds it again. It holds the pod's network, IPC and host-name namespaces; each container has its own mount and
//! process namespaces, its own control group, and an overlay of the image's layers as its root.
//!
//! Nothing is polled: the server waits for the supervisor's socket, the supervisor for signals, pipes and deadlines.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cgroups;
mod cleanup;
mod command;
mod error;
mod filter;
mod link;
mod paths;
mod protocol;
mod runtime;
mod sandbox;
mod spec;
mod status;
mod stream;
pub mod supervisor;

pub use cgroups::Cgroups;
pub use command::Running;
pub use error::{Error, Fault, Reason, StartError};
pub use protocol::Streams;
pub use runtime::{Adopted, Config, Lost, Runtime};
pub use sandbox::Sandbox;
pub use skiff_linux::cgroup::{Memory, Usage};
pub use spec::{
    Capabilities, ContainerSpec, ExecSpec, Limits, Log, MASKED_PATHS, Mount, Propagation, READONLY_PATHS, SandboxSpec,
    Seccomp, User,
};
pub use status::{ContainerStatus, Event, ExecResult, Exit, ExitReason, Started, State};
pub use stream::{Held, Pipe};
