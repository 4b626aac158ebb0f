//! A child on its way to becoming a program: it reports through a pipe that closes by itself when it succeeds.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::unistd::{Pid, pipe2};
use serde::{Deserialize, Serialize};
use skiff_linux::cgroup::Group;
use skiff_linux::process::{self, Forked};
use skiff_linux::user::Identity;

use crate::error::Fault;
use crate::supervisor::sandbox::{cgroup_fault, step};
use crate::supervisor::stdio::Stdio;

/// What a child says on its way.
#[derive(Debug, Serialize, Deserialize)]
enum Report {
    /// All is set up; the next step is to become the program.
    Becoming(Identity),
    Failed(Fault),
}

/// The child's end of the pipe.
#[derive(Debug)]
pub(super) struct Reports(File);

impl Reports {
    /// Says who the program will run as.
    pub(super) fn becoming(&mut self, identity: &Identity) -> Result<(), Fault> {
        self.send(&Report::Becoming(identity.clone())).map_err(step("report to the supervisor"))
    }

    /// Whether the supervisor is still there to listen.
    pub(super) fn heard(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|broken| broken == 0)
    }

    fn send(&mut self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

/// The supervisor's end of the pipe.
#[derive(Debug)]
pub(super) struct Setup {
    pipe: File,
    received: Vec<u8>,
}

/// How a child's set-up went.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It became its program.
    Became(Identity),
    /// It did not.
    Failed(Fault),
    /// It ended without a word.
    Died,
}

impl Setup {
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Reads on. `None`: the child is still at it.
    pub(super) fn read(&mut self) -> Option<Outcome> {
        match self.pipe.read_to_end(&mut self.received) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            _ => Some(outcome(&self.received)),
        }
    }
}

impl From<Setup> for OwnedFd {
    fn from(setup: Setup) -> OwnedFd {
        setup.pipe.into()
    }
}

fn outcome(received: &[u8]) -> Outcome {
    let mut reports = received.rsplit(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    match reports.next() {
        Some(Report::Becoming(identity)) => Outcome::Became(identity),
        Some(Report::Failed(fault)) => Outcome::Failed(fault),
        None => Outcome::Died,
    }
}

/// A child on its way.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    pub(super) setup: Setup,
}

/// Forks a child into `namespaces` and `group`, with its streams set, to do `work`, which ends in a program or a fault.
pub(super) fn launch(
    namespaces: CloneFlags,
    group: &Group,
    stdio: &Stdio,
    work: impl FnOnce(&mut Reports) -> Result<Infallible, Fault>,
) -> Result<Launched, Fault> {
    let (read, write) = pipe().map_err(step("make a pipe"))?;
    let folder = group.clone_into().map_err(cgroup_fault)?;
    match process::fork(namespaces, folder.as_ref()).map_err(step("fork"))? {
        Forked::Parent { pid, pidfd } => {
            Ok(Launched { pid, pidfd, setup: Setup { pipe: File::from(read), received: Vec::new() } })
        }
        Forked::Child => {
            drop(read);
            let mut reports = Reports(File::from(write));
            let result = begin(group, stdio).and_then(|()| work(&mut reports));
            let Err(fault) = result;
            // If nobody listens any more there is nothing else to be done about it.
            reports.send(&Report::Failed(fault)).ok();
            process::exit_now(1)
        }
    }
}

fn begin(group: &Group, stdio: &Stdio) -> Result<(), Fault> {
    process::reset_signals();
    // A fresh child leads no session, so this can't fail.
    nix::unistd::setsid().map_err(step("make a session"))?;
    stdio.set().map_err(step("set the standard streams"))?;
    group.enter().map_err(cgroup_fault)
}

/// A pipe whose read end does not block, and that no program inherits.
pub(super) fn pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// A pipe whose write end does not block, and that no program inherits.
pub(super) fn input_pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}
