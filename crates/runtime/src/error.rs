//! What can go wrong, in the words that users know from other container runners.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A sandbox can't be made, reached or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the runtime is not as it should be.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was being done to it.
        action: &'static str,
        /// Which one.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The supervisor's program can't be run.
    #[error("can't start the pod supervisor {}: {source}", program.display())]
    Spawn {
        /// Its program.
        program: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The supervisor can't make the sandbox.
    #[error("can't set up the sandbox of pod {uid}: {reason}")]
    Setup {
        /// The pod.
        uid: String,
        /// The supervisor's words.
        reason: Fault,
    },
    /// There is a sandbox of that pod already.
    #[error("pod {uid} has a sandbox already")]
    Exists {
        /// The pod.
        uid: String,
    },
    /// A name that can't be a folder's.
    #[error("{name:?} can't be the name of a pod or container: it must be a single path element")]
    Name {
        /// The name.
        name: String,
    },
    /// The supervisor is gone, and the pod's containers with it.
    #[error("the supervisor of pod {uid} is gone, and its containers with it")]
    Lost {
        /// The pod.
        uid: String,
    },
    /// The supervisor does not know the container, or the container does not run.
    #[error("container {name} of pod {uid} is not running")]
    NotRunning {
        /// The pod.
        uid: String,
        /// The container.
        name: String,
    },
    /// A supervisor answered something else than was asked.
    #[error("the supervisor of pod {uid} gave an answer of another kind than was asked for")]
    Answer {
        /// The pod.
        uid: String,
    },
    /// A supervisor refused a request.
    #[error("pod {uid}: {reason}")]
    Refused {
        /// The pod.
        uid: String,
        /// The supervisor's words.
        reason: Fault,
    },
    /// The system call filter can't be built.
    #[error(transparent)]
    Seccomp(#[from] skiff_linux::seccomp::Error),
}

/// A container or a command in one can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Setting it up failed: the container's fault or the machine's.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] Error),
}

/// What a supervisor reports of a failed start. The texts are shown to users as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Fault {
    /// The program is in none of the folders of `PATH`.
    #[error("exec: {program:?}: executable file not found in $PATH")]
    NotFound {
        /// As given.
        program: String,
    },
    /// The program was named by its path and is not there.
    #[error("exec: {program:?}: stat {program}: no such file or directory")]
    NoSuchFile {
        /// As given.
        program: String,
    },
    /// The program may not be executed by this user.
    #[error("exec: {program:?}: permission denied")]
    PermissionDenied {
        /// As given.
        program: String,
    },
    /// The program is a folder.
    #[error("exec: {program:?}: is a directory")]
    IsDirectory {
        /// As given.
        program: String,
    },
    /// The kernel does not execute the program.
    #[error("exec {program}: {reason}")]
    Exec {
        /// Its path in the container.
        program: String,
        /// The kernel's answer.
        reason: Reason,
    },
    /// No program was given.
    #[error("no command specified")]
    NoCommand,
    /// No layer was given.
    #[error("the container has no image layers")]
    NoLayers,
    /// An argument or variable holds a NUL byte.
    #[error("{what} holds a NUL byte")]
    Nul {
        /// Which.
        what: String,
    },
    /// The user is not in the container's `/etc/passwd`.
    #[error("unable to find user {name}: no matching entries in passwd file")]
    NoUser {
        /// As given.
        name: String,
    },
    /// The group is not in the container's `/etc/group`.
    #[error("unable to find group {name}: no matching entries in group file")]
    NoGroup {
        /// As given.
        name: String,
    },
    /// No such capability.
    #[error("unknown capability {name:?}")]
    Capability {
        /// As given.
        name: String,
    },
    /// A sysctl that is not of the pod's own namespaces.
    #[error("sysctl {name:?} is not of a pod's own namespaces")]
    Sysctl {
        /// As given.
        name: String,
    },
    /// A mount can't be made.
    #[error("mount {from} at {target}: {reason}")]
    Mount {
        /// What was to be mounted.
        from: String,
        /// Where.
        target: String,
        /// The kernel's answer.
        reason: Reason,
    },
    /// A mount that would let the container change what the kernel says of it.
    #[error("mount target {target} must not be in /proc or /sys")]
    MountTarget {
        /// Where.
        target: String,
    },
    /// The working folder can't be entered.
    #[error("can't enter the working folder {path:?}: {reason}")]
    Cwd {
        /// As given.
        path: String,
        /// The kernel's answer.
        reason: Reason,
    },
    /// A limit is asked for and this machine has no control group controller for it.
    #[error("this machine has no {controller} cgroup controller, which a limit of the container needs")]
    Controller {
        /// Its name.
        controller: String,
    },
    /// The container whose processes it is to share does not run.
    #[error("unable to find target container {name}")]
    NoTarget {
        /// Its name.
        name: String,
    },
    /// That attempt of the container exists already.
    #[error("container {name} (attempt {attempt}) exists already")]
    Exists {
        /// Its name.
        name: String,
        /// Its attempt.
        attempt: u32,
    },
    /// Any other step, by what was being done.
    #[error("{step}: {reason}")]
    Step {
        /// What was being done.
        step: String,
        /// The kernel's answer.
        reason: Reason,
    },
    /// The set-up ended without a word (killed, most likely for want of memory).
    #[error("the container's set-up was ended by {how}")]
    Died {
        /// An exit code or signal.
        how: String,
    },
}

/// The kernel's answer, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason(pub i32);

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Reason(error.raw_os_error().unwrap_or(nix::libc::EIO))
    }
}

impl From<nix::Error> for Reason {
    fn from(error: nix::Error) -> Self {
        Reason(error as i32)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&nix::Error::from_raw(self.0).desc().to_lowercase())
    }
}
