//! What is to run: plain data that the caller fills in and that travels to the supervisor as it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
pub use skiff_linux::cgroup::Limits;

/// A pod's sandbox: the namespaces and limits that its containers share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxSpec {
    /// The pod's uid; names folders and cgroups, so it must be a single path element.
    pub uid: String,
    /// The pod's namespace, for people.
    pub namespace: String,
    /// The pod's name, for people.
    pub name: String,
    /// The host name the containers see. Empty: the machine's own.
    pub hostname: String,
    /// The pod's data folder. The containers' writable layers live in `containers/` in it.
    pub dir: PathBuf,
    /// Share the host's network namespace.
    pub host_network: bool,
    /// Share the host's process namespace.
    pub host_pid: bool,
    /// All containers share one process namespace.
    pub share_processes: bool,
    /// Share the host's IPC namespace.
    pub host_ipc: bool,
    /// Sysctls of the pod's namespaces (`net.*`, `kernel.shm*`, `kernel.msg*`, `kernel.sem`, `fs.mqueue.*`).
    pub sysctls: BTreeMap<String, String>,
    /// Limits on all containers together.
    pub limits: Limits,
    /// The caller's own notes, given back after adoption.
    pub annotations: BTreeMap<String, String>,
}

/// One container of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// The container's name; with the attempt it is its key in the sandbox. A single path element.
    pub name: String,
    /// Which start of this container this is, from 0. Each attempt has its own writable layer and status.
    pub attempt: u32,
    /// The image's unpacked layers, top first. At least one.
    pub layers: Vec<PathBuf>,
    /// Program and arguments. The program is looked up in the container's `PATH`.
    pub argv: Vec<String>,
    /// Environment. `PATH`, `HOME` and `HOSTNAME` are added when they are missing.
    pub env: Vec<(String, String)>,
    /// Working folder; made when missing.
    pub cwd: String,
    /// Whom to run as.
    pub user: User,
    /// Changes to the default capability set.
    pub capabilities: Capabilities,
    /// All capabilities, all host devices, no seccomp filter, nothing masked or read-only.
    pub privileged: bool,
    /// Mount the root file system read-only.
    pub readonly_root: bool,
    /// System call filter.
    pub seccomp: Seccomp,
    /// Forbid gaining privileges through set-uid programs and file capabilities.
    pub no_new_privileges: bool,
    /// Paths hidden behind an empty file or folder.
    pub masked_paths: Vec<PathBuf>,
    /// Paths made read-only.
    pub readonly_paths: Vec<PathBuf>,
    /// Bind mounts.
    pub mounts: Vec<Mount>,
    /// Share the process namespace of this container of the sandbox, which has to run.
    pub processes_of: Option<String>,
    /// Limits of this container.
    pub limits: Limits,
    /// The kernel's out-of-memory score adjustment. Applied as far as this machine permits.
    pub oom_score_adj: i32,
    /// The signal that asks the container to stop, as in an image's `StopSignal` ("SIGTERM", "TERM", "15").
    pub stop_signal: Option<String>,
    /// Keep standard input open, for whoever attaches.
    pub stdin: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// Where output goes. None: discarded.
    pub log: Option<Log>,
    /// The caller's own notes, given back with the status.
    pub annotations: BTreeMap<String, String>,
}

impl Default for ContainerSpec {
    fn default() -> Self {
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
        ContainerSpec {
            name: String::new(),
            attempt: 0,
            layers: Vec::new(),
            argv: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
            user: User::default(),
            capabilities: Capabilities::default(),
            privileged: false,
            readonly_root: false,
            seccomp: Seccomp::default(),
            no_new_privileges: false,
            masked_paths: paths(MASKED_PATHS),
            readonly_paths: paths(READONLY_PATHS),
            mounts: Vec::new(),
            processes_of: None,
            limits: Limits::default(),
            oom_score_adj: 0,
            stop_signal: None,
            stdin: false,
            tty: false,
            log: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// Hidden in every container unless it asks otherwise: they tell about, or reach into, the machine.
pub const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Read-only in every container unless it asks otherwise.
pub const READONLY_PATHS: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Whom a container runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// As in an image's `User`: `name`, `uid`, `name:group`, `uid:gid`; empty means root. Names are looked up in the
    /// container's own `/etc/passwd` and `/etc/group`.
    pub name: String,
    /// Overrides the primary group.
    pub gid: Option<u32>,
    /// Further groups, beside those that `/etc/group` gives the user.
    pub groups: Vec<u32>,
}

/// Changes to the default capability set. Names with or without `CAP_`, in any case; `ALL` means every one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Added after `drop` was applied.
    pub add: Vec<String>,
    /// Taken away.
    pub drop: Vec<String>,
}

/// System call filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// The allow list that containers usually run under.
    #[default]
    Default,
    /// None.
    Unconfined,
}

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// A file or folder of the host. The caller has resolved sub-paths safely.
    pub source: PathBuf,
    /// An absolute path in the container; made when missing.
    pub target: PathBuf,
    /// Read-only, with everything mounted below it.
    pub readonly: bool,
    /// Whether later mounts show on the other side.
    #[serde(default)]
    pub propagation: Propagation,
}

/// Whether mounts made later below a bind mount show on the other side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// No.
    #[default]
    Private,
    /// The host's show in the container.
    HostToContainer,
    /// Both ways.
    Bidirectional,
}

/// Where a container's output goes: CRI lines, rotated as `<path>.1` (newest) … `<path>.<files - 1>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The file; its folder is made when missing.
    pub path: PathBuf,
    /// Bytes after which a new file begins.
    pub max_size: u64,
    /// How many files are kept, with the current one.
    pub max_files: u32,
}

impl Log {
    /// A log with the usual bounds: five files of 10 MiB.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Log { path: path.into(), max_size: 10 << 20, max_files: 5 }
    }
}

/// A command to run in a running container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables beside those of the container.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// Killed after this many milliseconds. None: never.
    pub timeout_ms: Option<u64>,
    /// How many bytes of output (both streams together) are kept; the rest is read and dropped.
    pub max_output: usize,
}

impl ExecSpec {
    /// A command without a deadline that keeps 16 KiB of output.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(argv: I) -> Self {
        let argv = argv.into_iter().map(Into::into).collect();
        ExecSpec { argv, env: Vec::new(), timeout_ms: None, max_output: 16 << 10 }
    }

    /// With a deadline.
    #[must_use]
    pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
        self.timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        self
    }
}
