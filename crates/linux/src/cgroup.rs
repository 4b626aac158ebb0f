//! Control groups, on machines with version 2, version 1, or both side by side (where a controller is mounted in version
//! 1, it is used there). Files are written directly; no daemon is asked.

mod hierarchy;
mod usage;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use hierarchy::Hierarchy;
pub use hierarchy::{Controller, Hierarchies, Version};
pub use usage::{Memory, Usage};

use crate::process;

/// Resource limits. None: unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Relative CPU weight, 2..=262144, 1024 per CPU asked for.
    pub cpu_shares: Option<u64>,
    /// CPU time in microseconds per `cpu_period`.
    pub cpu_quota: Option<u64>,
    /// In microseconds; 100,000 by default.
    pub cpu_period: Option<u64>,
    /// Bytes of memory (swap is not allowed beyond it).
    pub memory: Option<u64>,
    /// Number of processes and threads.
    pub pids: Option<u64>,
}

/// One group, which is a folder in every hierarchy that has a controller of ours.
#[derive(Debug, Clone)]
pub struct Group {
    members: Vec<Member>,
}

/// A group's folder in one hierarchy.
#[derive(Debug, Clone, Copy)]
pub struct Folder<'a> {
    /// Which generation.
    pub version: Version,
    /// The name that the hierarchy is mounted by, such as `memory` or `cpu,cpuacct`.
    pub hierarchy: &'a OsStr,
    /// The folder.
    pub path: &'a Path,
}

#[derive(Debug, Clone)]
struct Member {
    hierarchy: Hierarchy,
    path: PathBuf,
}

/// A group can't be made or limited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of it can't be written.
    #[error("control group {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A limit needs a controller that this machine does not have.
    #[error("this machine has no {} cgroup controller", .0.name())]
    NoController(Controller),
}

impl Hierarchies {
    /// The group at a path below each hierarchy's root. Without any controller it still holds processes together.
    pub fn group(&self, relative: &str) -> Group {
        let member =
            |hierarchy: &Hierarchy| Member { path: hierarchy.mount.join(relative), hierarchy: hierarchy.clone() };
        let bare = self.0.iter().all(|hierarchy| hierarchy.controllers.is_empty());
        let ours = self.0.iter().filter(|hierarchy| bare || !hierarchy.controllers.is_empty());
        Group { members: ours.map(member).collect() }
    }

    /// Moves this process out of whatever group a service manager tracks it by, in every hierarchy, so that stopping
    /// the service that started it does not stop it.
    ///
    /// # Errors
    /// When a group can't be made or entered.
    pub fn take_refuge(&self, relative: &str) -> Result<(), Error> {
        for hierarchy in self.0.iter().filter(|hierarchy| hierarchy.own != "/") {
            let member = Member { path: hierarchy.mount.join(relative), hierarchy: hierarchy.clone() };
            member.make()?;
            member.enter()?;
        }
        Ok(())
    }

    /// Removes a group that [`Self::take_refuge`] or [`Group::create`] made, in every hierarchy, if it is empty.
    pub fn remove_if_empty(&self, relative: &str) {
        for hierarchy in &self.0 {
            remove_if_empty(&hierarchy.mount.join(relative));
        }
    }
}

/// Whoever is still in it will have it removed. But who has just ended counts for a moment more.
fn remove_if_empty(path: &Path) {
    let deadline = Instant::now() + Duration::from_millis(500);
    while let Err(error) = fs::remove_dir(path) {
        let busy = error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline;
        let below = || fs::read_dir(path).is_ok_and(|mut all| all.any(|one| one.is_ok_and(|one| one.path().is_dir())));
        let listed = || fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
        if !busy || below() || listed().lines().any(is_alive) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether this process runs a program: one that is on its way out has none any more.
fn is_alive(pid: &str) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

impl Group {
    /// Makes its folders.
    ///
    /// # Errors
    /// When one can't be made.
    pub fn create(&self) -> Result<(), Error> {
        self.members.iter().try_for_each(Member::make)
    }

    /// Moves the calling process, which must have one thread, into it. Where [`Self::clone_into`] gives a folder, that
    /// hierarchy is left out, since the process was born in it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> Result<(), Error> {
        let own_version = |member: &&Member| member.hierarchy.version == Version::One;
        self.members.iter().filter(own_version).try_for_each(Member::enter)
    }

    /// The folder for [`process::fork`], in a version 2 hierarchy.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn clone_into(&self) -> Result<Option<File>, Error> {
        let Some(member) = self.members.iter().find(|member| member.hierarchy.version == Version::Two) else {
            return Ok(None);
        };
        File::open(&member.path).map(Some).map_err(|source| Error::File { path: member.path.clone(), source })
    }

    /// Sets limits. A missing limit is left as it is.
    ///
    /// # Errors
    /// When the kernel refuses a value, or a limit's controller is missing.
    pub fn limit(&self, limits: &Limits) -> Result<(), Error> {
        if let Some(shares) = limits.cpu_shares {
            // A relative weight is a wish: without the controller it is none.
            if let Some(member) = self.member(Controller::Cpu) {
                match member.hierarchy.version {
                    Version::One => member.write("cpu.shares", shares)?,
                    Version::Two => member.write("cpu.weight", weight(shares))?,
                }
            }
        }
        if let Some(quota) = limits.cpu_quota {
            let period = limits.cpu_period.unwrap_or(100_000);
            let member = self.needed(Controller::Cpu)?;
            match member.hierarchy.version {
                Version::One => {
                    member.write("cpu.cfs_period_us", period)?;
                    member.write("cpu.cfs_quota_us", quota)?;
                }
                Version::Two => member.write("cpu.max", format_args!("{quota} {period}"))?,
            }
        }
        if let Some(pids) = limits.pids {
            self.needed(Controller::Pids)?.write("pids.max", pids)?;
        }
        limits.memory.map_or(Ok(()), |memory| self.limit_memory(memory))
    }

    fn limit_memory(&self, bytes: u64) -> Result<(), Error> {
        let member = self.needed(Controller::Memory)?;
        match member.hierarchy.version {
            Version::One => {
                // Neither may pass the other on the way: more begins with the sum, less with memory itself.
                if member.write("memory.limit_in_bytes", bytes).is_ok() {
                    return member.write_if_there("memory.memsw.limit_in_bytes", bytes);
                }
                member.write_if_there("memory.memsw.limit_in_bytes", bytes)?;
                member.write("memory.limit_in_bytes", bytes)
            }
            Version::Two => {
                member.write("memory.max", bytes)?;
                member.write_if_there("memory.swap.max", 0)?;
                // Half a container is no container: its processes go together, as Kubernetes has it.
                member.write_if_there("memory.oom.group", 1)
            }
        }
    }

    /// How many processes of it the kernel has killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let Some(member) = self.member(Controller::Memory) else { return 0 };
        let file = match member.hierarchy.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(member.path.join(file)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// The processes in it and below.
    pub fn processes(&self) -> Vec<Pid> {
        let mut found = Vec::new();
        if let Some(member) = self.members.first() {
            collect_processes(&member.path, &mut found);
        }
        found
    }

    /// Kills the processes in it and below; they are not gone yet when this returns.
    pub fn kill(&self) {
        let second = self.members.iter().find(|member| member.hierarchy.version == Version::Two);
        if second.is_some_and(|member| fs::write(member.path.join("cgroup.kill"), "1").is_ok()) {
            return;
        }
        for pid in self.processes() {
            // Gone already is as good.
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).ok();
        }
    }

    /// Removes it and what is below.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] when processes are left in it.
    pub fn remove(&self) -> io::Result<()> {
        self.members.iter().try_for_each(|member| remove_tree(&member.path))
    }

    /// Kills what is in it, waits until that is gone, and removes it.
    ///
    /// # Errors
    /// When processes don't end in time.
    pub fn kill_and_remove(&self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let processes = self.processes();
            // Descriptors first, so that waiting can't be for another process of the same number.
            let dying: Vec<OwnedFd> = processes.iter().filter_map(|pid| process::pidfd_open(*pid).ok()).collect();
            if !processes.is_empty() {
                self.kill();
            }
            dying.iter().try_for_each(|pidfd| wait_gone(pidfd, deadline))?;
            match self.remove() {
                // The last of it is on its way out.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                    std::thread::yield_now();
                }
                other => return other,
            }
        }
    }

    /// Its folders, for mounts that show a container its own limits.
    pub fn folders(&self) -> impl Iterator<Item = Folder<'_>> {
        self.members.iter().map(|member| Folder {
            version: member.hierarchy.version,
            hierarchy: member.hierarchy.mount.file_name().unwrap_or_default(),
            path: &member.path,
        })
    }

    fn member(&self, controller: Controller) -> Option<&Member> {
        self.members.iter().find(|member| member.hierarchy.controllers.contains(&controller))
    }

    fn needed(&self, controller: Controller) -> Result<&Member, Error> {
        self.member(controller).ok_or(Error::NoController(controller))
    }
}

impl Member {
    fn make(&self) -> Result<(), Error> {
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_below()?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(|source| Error::File { path: self.path.clone(), source })?,
        }
        Ok(())
    }

    /// With the parents; in version 2 they must hand the controllers down.
    fn make_below(&self) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        let relative = self.path.strip_prefix(&self.hierarchy.mount).unwrap_or(Path::new(""));
        let mut path = self.hierarchy.mount.clone();
        for element in relative {
            if self.hierarchy.version == Version::Two {
                self.hierarchy.hand_down(&path);
            }
            path.push(element);
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.map_err(failed(&path))?,
            }
        }
        Ok(())
    }

    /// In version 1 through `tasks`: moving a single thread that is the caller spares the kernel its global lock.
    fn enter(&self) -> Result<(), Error> {
        match self.hierarchy.version {
            Version::One => self.write("tasks", 0),
            Version::Two => self.write("cgroup.procs", 0),
        }
    }

    fn write(&self, file: &str, value: impl std::fmt::Display) -> Result<(), Error> {
        let path = self.path.join(file);
        fs::write(&path, value.to_string()).map_err(|source| Error::File { path, source })
    }

    /// Some files exist only with swap accounting or on newer kernels.
    fn write_if_there(&self, file: &str, value: u64) -> Result<(), Error> {
        match self.write(file, value) {
            Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
    }
}

/// Version 2's weight (1..=10000) for version 1's shares (2..=262144), as container runners convert it.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn collect_processes(path: &Path, found: &mut Vec<Pid>) {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse().ok()).map(Pid::from_raw));
    for child in folders(path) {
        collect_processes(&child, found);
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // It has processes, or groups below it.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        Err(error) => return Err(error),
    }
    let below = folders(path);
    if below.is_empty() {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    below.iter().try_for_each(|child| remove_tree(child))?;
    fs::remove_dir(path)
}

fn wait_gone(pidfd: &OwnedFd, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
