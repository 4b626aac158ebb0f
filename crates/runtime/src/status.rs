//! What runs, and how what no longer runs has ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One container, as its supervisor knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Which start of it.
    pub attempt: u32,
    /// Where it stands.
    pub state: State,
    /// The notes its spec carried.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl ContainerStatus {
    /// How it ended, if it has.
    pub fn exit(&self) -> Option<&Exit> {
        match &self.state {
            State::Exited(exit) => Some(exit),
            State::Starting | State::Running { .. } => None,
        }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }
}

/// Where a container stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Being set up; its program has not begun.
    Starting,
    /// Its program runs.
    Running {
        /// Process id on the host.
        pid: u32,
        /// When its program began.
        started_at: Timestamp,
    },
    /// It has ended, or never began.
    Exited(Exit),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code; 128 + n after signal n; 128 when it could not be started.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why, in one word.
    pub reason: ExitReason,
    /// What went wrong, where there is more to say.
    pub message: Option<String>,
    /// When its program began. None: never.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// Why a container ended; the names are those that a pod's status shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitReason {
    /// Exit code 0.
    Completed,
    /// Any other exit code or a signal.
    Error,
    /// The kernel killed it for want of memory.
    OOMKilled,
    /// It could not be started.
    StartError,
    /// Its supervisor died; the true exit code is not known.
    ContainerStatusUnknown,
}

impl ExitReason {
    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            ExitReason::Completed => "Completed",
            ExitReason::Error => "Error",
            ExitReason::OOMKilled => "OOMKilled",
            ExitReason::StartError => "StartError",
            ExitReason::ContainerStatusUnknown => "ContainerStatusUnknown",
        }
    }
}

impl std::fmt::Display for ExitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A container's program has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Process id on the host.
    pub pid: u32,
    /// When.
    pub started_at: Timestamp,
}

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecResult {
    /// The exit code; 128 + n after signal n.
    pub exit_code: i32,
    /// Whether its deadline ended it.
    pub timed_out: bool,
    /// The beginning of what it printed on both streams.
    pub output: String,
}

/// Something happened in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A container began to run or ended.
    Changed(ContainerStatus),
    /// The supervisor died, and every container with it. Nothing follows.
    Lost,
}
