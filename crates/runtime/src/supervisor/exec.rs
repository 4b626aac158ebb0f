//! Commands run in a running container: probes and hooks. They join the container's namespaces and control group and
//! give up what it has given up.

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
use crate::supervisor::launch::{self, Launched, Outcome, Setup};
use crate::supervisor::program::{self, Program};
use crate::supervisor::sandbox::step;

/// At its end a command's pipe holds this much at most.
const MOST_LEFT: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Exec {
    pub(super) caller: Caller,
    pub(super) pid: Pid,
    pub(super) deadline: Option<Instant>,
    setup: Setup,
    output: File,
    kept: Vec<u8>,
    most: usize,
    timed_out: bool,
}

impl Exec {
    /// Starts a command. `None`: the container does not run.
    pub(super) fn launch(
        container: &Container,
        spec: ExecSpec,
        own_processes: BorrowedFd<'_>,
        host_pid: bool,
        caller: Caller,
    ) -> Option<Result<Exec, Fault>> {
        let Phase::Running { pidfd, identity, .. } = &container.phase else { return None };
        Some(launch_in(container, pidfd, identity, &spec, own_processes, host_pid).map(|(launched, output)| Exec {
            caller,
            pid: launched.pid,
            deadline: spec.timeout_ms.and_then(|timeout| Instant::now().checked_add(Duration::from_millis(timeout))),
            setup: launched.setup,
            output: output.into(),
            kept: Vec::new(),
            most: spec.max_output,
            timed_out: false,
        }))
    }

    pub(super) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
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
        let mut total = 0;
        while total < most {
            match self.output.read(buffer) {
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

fn launch_in(
    container: &Container,
    pidfd: &OwnedFd,
    identity: &Identity,
    spec: &ExecSpec,
    own_processes: BorrowedFd<'_>,
    host_pid: bool,
) -> Result<(Launched, OwnedFd), Fault> {
    let filter = load_filter(container.filter.as_ref())?;
    let (read, write) = launch::pipe().map_err(step("make a pipe"))?;
    if !host_pid {
        // Only children are affected: this one is born into the container's process namespace.
        setns(pidfd, CloneFlags::CLONE_NEWPID).map_err(step("join the container's process namespace"))?;
    }
    let launched = launch::launch(CloneFlags::empty(), &container.group, [&write, &write], |reports| {
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
        };
        program.become_it(identity, reports)
    });
    if !host_pid {
        setns(own_processes, CloneFlags::CLONE_NEWPID).map_err(step("return from the process namespace"))?;
    }
    Ok((launched?, read))
}
