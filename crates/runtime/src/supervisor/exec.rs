//! Commands run in a running container: probes and hooks, whose output is kept, and those of users, who hold the streams
//! themselves. They join the container's namespaces and control group and give up what it has given up.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use skiff_linux::user::Identity;

use crate::error::Fault;
use crate::spec::ExecSpec;
use crate::status::ExecResult;
use crate::supervisor::clients::Caller;
use crate::supervisor::container::{Container, Phase, ending, exit_code, load_filter};
use crate::supervisor::launch::{self, Launched, Outcome, Reports, Setup};
use crate::supervisor::processes::Processes;
use crate::supervisor::program::{self, Program};
use crate::supervisor::sandbox::step;
use crate::supervisor::stdio::Stdio;

/// At its end a command's pipe holds this much at most.
const MOST_LEFT: usize = 1 << 20;

/// Where a command is to run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) container: &'a Container,
    /// Our own process namespace, to come back to.
    pub(super) own_processes: BorrowedFd<'a>,
    pub(super) host_pid: bool,
}

#[derive(Debug)]
pub(super) struct Exec {
    pub(super) caller: Caller,
    pub(super) pid: Pid,
    pub(super) deadline: Option<Instant>,
    setup: Setup,
    /// None: the caller holds the streams.
    output: Option<File>,
    kept: Vec<u8>,
    most: usize,
    timed_out: bool,
}

impl Exec {
    /// Starts a command with those streams, or with its output kept. `None`: the container does not run.
    pub(super) fn launch(
        place: Place<'_>,
        spec: &ExecSpec,
        streams: Option<Stdio>,
        caller: Caller,
    ) -> Option<Result<Exec, Fault>> {
        let Phase::Running { pidfd, identity, .. } = &place.container.phase else { return None };
        let wired = streams.map_or_else(kept_output, |stdio| Ok((stdio, None)));
        let launched = wired.and_then(|(stdio, output)| {
            let launched = launch_in(place, pidfd, identity, spec, &stdio)?;
            Ok((launched, output))
        });
        Some(launched.map(|(launched, output)| Exec {
            caller,
            pid: launched.pid,
            deadline: spec.timeout_ms.and_then(|timeout| Instant::now().checked_add(Duration::from_millis(timeout))),
            setup: launched.setup,
            output: output.map(File::from),
            kept: Vec::new(),
            most: spec.max_output,
            timed_out: false,
        }))
    }

    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(File::as_fd)
    }

    /// Its time is over: it is killed, with the processes that it has started.
    pub(super) fn expire(&mut self) {
        self.timed_out = true;
        self.deadline = None;
        // It leads no group yet when it is still being set up.
        killpg(self.pid, Signal::SIGKILL).ok();
        kill(self.pid, Signal::SIGKILL).ok();
    }

    /// Takes in output. False: there will be no more.
    pub(super) fn pump(&mut self, buffer: &mut [u8]) -> bool {
        self.read(buffer, buffer.len())
    }

    fn read(&mut self, buffer: &mut [u8], most: usize) -> bool {
        let Some(output) = &mut self.output else { return false };
        let mut total = 0;
        while total < most {
            match output.read(buffer) {
                Ok(0) => return false,
                Ok(read) => {
                    total += read;
                    let room = self.most.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&buffer[..read.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// It has ended.
    pub(super) fn end(mut self, how: WaitStatus, buffer: &mut [u8]) -> Result<ExecResult, Fault> {
        let (exit_code, signal) = exit_code(how);
        match self.setup.read() {
            Some(Outcome::Failed(fault)) => return Err(fault),
            Some(Outcome::Died) if !self.timed_out => {
                return Err(Fault::Died { how: ending(exit_code, signal, false) });
            }
            _ => {}
        }
        // What its own children may still print is not waited for.
        self.read(buffer, MOST_LEFT);
        let output = String::from_utf8_lossy(&self.kept).into_owned();
        Ok(ExecResult { exit_code, timed_out: self.timed_out, output })
    }
}

/// Both streams into one pipe.
fn kept_output() -> Result<(Stdio, Option<OwnedFd>), Fault> {
    let (read, write) = launch::pipe().map_err(step("make a pipe"))?;
    let again = write.try_clone().map_err(step("make a pipe"))?;
    Ok((Stdio::Files([None, Some(write), Some(again)]), Some(read)))
}

fn launch_in(
    place: Place<'_>,
    pidfd: &OwnedFd,
    identity: &Identity,
    spec: &ExecSpec,
    stdio: &Stdio,
) -> Result<Launched, Fault> {
    let Place { container, own_processes, host_pid } = place;
    let filter = load_filter(container.filter.as_ref())?;
    let processes = if host_pid { Processes::Host } else { Processes::With(pidfd.as_fd()) };
    let work = |reports: &mut Reports| {
        program::adjust_oom_score(&container.spec);
        setns(pidfd, CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP)
            .map_err(step("join the container's namespaces"))?;
        let hostname = nix::unistd::gethostname().map_err(step("read the host name"))?;
        let program = Program {
            spec: &container.spec,
            argv: &spec.argv,
            env: &spec.env,
            hostname: &hostname.to_string_lossy(),
            caps: container.caps,
            filter,
            stdio,
        };
        program.become_it(identity, reports)
    };
    processes.within(own_processes, || launch::launch(CloneFlags::empty(), &container.group, stdio, work))
}
