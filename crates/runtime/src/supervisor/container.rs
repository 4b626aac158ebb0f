//! One container: from its set-up to its end.
//!
//! ```text
//! Starting ── set-up pipe closes ──▶ Running ── first process ends ──▶ Ended
//!     └────────── a fault, or its first process ends ──────────────────▶ Ended
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{self, Signal};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use skiff_linux::caps::CapSet;
use skiff_linux::cgroup::Group;
use skiff_linux::fds;
use skiff_linux::seccomp::Profile;
use skiff_linux::user::Identity;

use crate::error::{Fault, Reason};
use crate::filter;
use crate::paths::{self, PodDir};
use crate::spec::{ContainerSpec, SandboxSpec};
use crate::status::{ContainerStatus, Exit, ExitReason, Started, State};
use crate::supervisor::clients::Caller;
use crate::supervisor::launch::{self, Launched, Outcome, Reports, Setup};
use crate::supervisor::log::{Stream, Writer};
use crate::supervisor::processes::Processes;
use crate::supervisor::program::{self, Program};
use crate::supervisor::rootfs::{self, Rootfs};
use crate::supervisor::sandbox::{Sandbox, cgroup_fault, step};
use crate::supervisor::stdio::Stdio;

/// At its end a container's pipes hold this much at most.
const MOST_LEFT: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Container {
    pub(super) spec: ContainerSpec,
    pub(super) caps: CapSet,
    /// The compiled system call filter.
    pub(super) filter: Option<PathBuf>,
    pub(super) group: Group,
    /// Whether the group has been removed.
    pub(super) tidy: bool,
    pub(super) phase: Phase,
    log: Option<Writer>,
    outputs: [Option<Output>; 2],
    input: Input,
    /// Descriptors that are at their end, to be no longer waited for and then closed.
    done: Vec<OwnedFd>,
    status: State,
}

#[derive(Debug)]
pub(super) enum Phase {
    Starting { pid: Pid, pidfd: OwnedFd, progress: Progress, caller: Caller },
    Running { pid: Pid, pidfd: OwnedFd, identity: Identity, started_at: Timestamp },
    Ended,
}

/// How far the set-up is.
#[derive(Debug)]
pub(super) enum Progress {
    UnderWay(Setup),
    Over(Outcome),
}

/// Where a container belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) spec: &'a SandboxSpec,
    pub(super) dir: &'a PodDir,
    pub(super) sandbox: &'a Sandbox,
    pub(super) processes: Processes<'a>,
    /// The supervisor's own process namespace, to come back to.
    pub(super) home: BorrowedFd<'a>,
}

/// Where those who attach write to.
#[derive(Debug)]
enum Input {
    None,
    Pipe(OwnedFd),
    /// The terminal is still to come over this socket.
    Expected(UnixStream),
    Terminal(OwnedFd),
}

#[derive(Debug)]
struct Output {
    pipe: File,
    stream: Stream,
}

/// How the start of a container went, for whoever asked for it.
pub(super) type Answer = (Caller, Result<Started, Fault>);

impl Container {
    /// Sets out to start it; the set-up goes on in its first process.
    pub(super) fn launch(
        place: Place<'_>,
        spec: ContainerSpec,
        filter: Option<PathBuf>,
        caller: Caller,
    ) -> Result<Container, Fault> {
        if spec.layers.is_empty() {
            return Err(Fault::NoLayers);
        }
        let caps = filter::capabilities(&spec.capabilities, spec.privileged)?;
        let log = spec.log.clone().map(Writer::open).transpose().map_err(step("open the container's log"))?;
        let group = place.sandbox.container_group(&spec.name, spec.attempt);
        let begun = group
            .create()
            .and_then(|()| group.limit(&spec.limits))
            .map_err(cgroup_fault)
            .and_then(|()| fork(place, &spec, &group, caps, filter.as_ref()));
        let (Launched { pid, pidfd, setup }, Wires { outputs, input }) = match begun {
            Ok(begun) => begun,
            Err(fault) => {
                // The pod's end removes what can't be removed now.
                group.remove().ok();
                return Err(fault);
            }
        };
        let phase = Phase::Starting { pid, pidfd, progress: Progress::UnderWay(setup), caller };
        let status = State::Starting;
        Ok(Container { spec, caps, filter, group, tidy: false, phase, log, outputs, input, done: Vec::new(), status })
    }

    pub(super) fn status(&self) -> ContainerStatus {
        ContainerStatus {
            name: self.spec.name.clone(),
            attempt: self.spec.attempt,
            state: self.status.clone(),
            annotations: self.spec.annotations.clone(),
        }
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        match &self.phase {
            Phase::Starting { pid, .. } | Phase::Running { pid, .. } => Some(*pid),
            Phase::Ended => None,
        }
    }

    /// Its first process, if its program runs.
    pub(super) fn first(&self) -> Option<BorrowedFd<'_>> {
        match &self.phase {
            Phase::Running { pidfd, .. } => Some(pidfd.as_fd()),
            Phase::Starting { .. } | Phase::Ended => None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The descriptors to wait for: the set-up's, standard output, standard error.
    pub(super) fn descriptors(&self) -> (Option<BorrowedFd<'_>>, [Option<BorrowedFd<'_>>; 2]) {
        let setup = match &self.phase {
            Phase::Starting { progress: Progress::UnderWay(setup), .. } => Some(setup.as_fd()),
            _ => None,
        };
        (setup, self.outputs.each_ref().map(|output| output.as_ref().map(|output| output.pipe.as_fd())))
    }

    /// Descriptors that are at their end.
    pub(super) fn take_done(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.done)
    }

    pub(super) fn signal(&self, number: i32) -> nix::Result<()> {
        let Some(pid) = self.pid() else { return Err(nix::Error::ESRCH) };
        // The process has not been waited for yet, so its number is still its own.
        signal::kill(pid, Some(Signal::try_from(number)?))
    }

    /// Reads what the set-up reports; an answer when it is done and well. A fault is told when the process has ended,
    /// which it is about to.
    pub(super) fn progress(&mut self) -> Option<Answer> {
        let Phase::Starting { progress, .. } = &mut self.phase else { return None };
        let Progress::UnderWay(setup) = progress else { return None };
        let outcome = setup.read()?;
        if let Progress::UnderWay(setup) = std::mem::replace(progress, Progress::Over(outcome)) {
            self.done.push(setup.into());
        }
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Starting { pid, pidfd, progress: Progress::Over(Outcome::Became(identity)), caller } => {
                self.take_terminal();
                let started_at = Timestamp::now();
                let number = pid.as_raw().cast_unsigned();
                self.phase = Phase::Running { pid, pidfd, identity, started_at };
                self.status = State::Running { pid: number, started_at };
                Some((caller, Ok(Started { pid: number, started_at })))
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// The terminal that the set-up has made.
    fn take_terminal(&mut self) {
        let Input::Expected(socket) = &self.input else { return };
        let (mut byte, mut received) = ([0], Vec::new());
        // It was sent before the program began. Should it not be here, the container has no streams.
        fds::receive(socket, &mut byte, &mut received).ok();
        self.input = Input::None;
        let Some(terminal) = received.pop() else { return };
        if let Ok(pipe) = terminal.try_clone() {
            self.outputs[0] = Some(Output { pipe: pipe.into(), stream: Stream::new("stdout") });
            self.input = Input::Terminal(terminal);
        }
    }

    /// What those who attach write to: its terminal, or its standard input.
    pub(super) fn input(&self) -> Option<BorrowedFd<'_>> {
        match &self.input {
            Input::None | Input::Expected(_) => None,
            Input::Pipe(fd) | Input::Terminal(fd) => Some(fd.as_fd()),
        }
    }

    /// Whoever reads its standard input sees the end of it. A terminal has none.
    pub(super) fn close_stdin(&mut self) {
        if let Input::Pipe(_) = self.input {
            self.input = Input::None;
        }
    }

    /// Its first process has ended, and with it (where it has a process namespace of its own) every other.
    pub(super) fn end(
        &mut self,
        how: WaitStatus,
        buffer: &mut [u8],
        see: &mut dyn FnMut(usize, &[u8]),
    ) -> Option<Answer> {
        let mut answer = self.progress();
        (0..self.outputs.len()).for_each(|which| self.read_output(which, buffer, MOST_LEFT, see));
        self.input = Input::None;
        let killed_for_memory = self.group.oom_kills() > 0;
        let finished_at = Timestamp::now();
        let (code, signal) = exit_code(how);
        let exit = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Starting { caller, progress, .. } => {
                let fault = match progress {
                    Progress::Over(Outcome::Failed(fault)) => fault,
                    _ => Fault::Died { how: ending(code, signal, killed_for_memory) },
                };
                let message = Some(fault.to_string());
                answer = Some((caller, Err(fault)));
                Exit { code: 128, signal: None, reason: ExitReason::StartError, message, started_at: None, finished_at }
            }
            Phase::Running { started_at, .. } => {
                let reason = match code {
                    0 => ExitReason::Completed,
                    _ if killed_for_memory => ExitReason::OOMKilled,
                    _ => ExitReason::Error,
                };
                Exit { code, signal, reason, message: None, started_at: Some(started_at), finished_at }
            }
            Phase::Ended => return None,
        };
        self.status = State::Exited(exit);
        self.tidy_up();
        answer
    }

    /// Removes its control group, and what a container without a process namespace of its own has left in it.
    pub(super) fn tidy_up(&mut self) {
        if self.has_ended() && !self.tidy {
            self.tidy = self.group.remove().is_ok();
            if !self.tidy {
                // Tried again when what is killed here has ended.
                self.group.kill();
            }
        }
    }

    /// Reads one of its streams, and shows it to `see`.
    pub(super) fn pump(&mut self, which: usize, buffer: &mut [u8], see: &mut dyn FnMut(usize, &[u8])) {
        self.read_output(which, buffer, 4 * buffer.len(), see);
    }

    fn read_output(&mut self, which: usize, buffer: &mut [u8], most: usize, see: &mut dyn FnMut(usize, &[u8])) {
        let Some(output) = self.outputs[which].as_mut() else { return };
        let (mut entries, mut total, mut ended) = (Vec::new(), 0, false);
        while total < most && !ended {
            match output.pipe.read(buffer) {
                Ok(0) => ended = true,
                Ok(read) => {
                    total += read;
                    see(which, &buffer[..read]);
                    output.stream.push(&buffer[..read], Timestamp::now(), &mut entries);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => ended = true,
            }
        }
        if ended {
            output.stream.finish(Timestamp::now(), &mut entries);
        }
        if let Some(log) = &mut self.log {
            log.write(&entries);
        }
        if ended {
            self.done.extend(self.outputs[which].take().map(|output| OwnedFd::from(output.pipe)));
        }
    }
}

fn fork(
    place: Place<'_>,
    spec: &ContainerSpec,
    group: &Group,
    caps: CapSet,
    filter: Option<&PathBuf>,
) -> Result<(Launched, Wires), Fault> {
    let filter = load_filter(filter)?;
    let folder = paths::container(place.spec, &spec.name, spec.attempt);
    rootfs::make_folders(&folder).map_err(step("make the container's folders"))?;
    let (stdio, wires) = wire(spec)?;
    let work = |reports: &mut Reports| {
        program::adjust_oom_score(spec);
        // Its own group is the root that the container sees.
        unshare(CloneFlags::CLONE_NEWCGROUP).map_err(step("make a control group namespace"))?;
        Rootfs { sandbox: place.spec, spec, pod: place.dir, group, folder: &folder }.build()?;
        let identity = program::identify(spec)?;
        let hostname = nix::unistd::gethostname().map_err(step("read the host name"))?;
        let hostname = hostname.to_string_lossy();
        let program = Program { spec, argv: &spec.argv, env: &[], hostname: &hostname, caps, filter, stdio: &stdio };
        program.become_it(&identity, reports)
    };
    let namespaces = place.processes.namespaces();
    let launched = place.processes.within(place.home, || launch::launch(namespaces, group, &stdio, work));
    Ok((launched.map_err(|fault| without_target(fault, spec, place.processes))?, wires))
}

/// A container that is to look at another one may come at the moment when that ends, which the kernel says in many ways.
fn without_target(fault: Fault, spec: &ContainerSpec, target: Processes<'_>) -> Fault {
    let gone = matches!(fault, Fault::Step { reason: Reason(number), .. } if number == Errno::ESRCH as i32)
        || target.have_ended();
    match &spec.processes_of {
        Some(name) if gone => Fault::NoTarget { name: name.clone() },
        _ => fault,
    }
}

/// Our ends of a container's streams.
#[derive(Debug)]
struct Wires {
    outputs: [Option<Output>; 2],
    input: Input,
}

/// Both ends of a container's streams.
fn wire(spec: &ContainerSpec) -> Result<(Stdio, Wires), Fault> {
    if spec.tty {
        let (ours, theirs) = UnixStream::pair().map_err(step("make a socket"))?;
        ours.set_nonblocking(true).map_err(step("make a socket"))?;
        return Ok((Stdio::Terminal(theirs.into()), Wires { outputs: [None, None], input: Input::Expected(ours) }));
    }
    let pipe = || launch::pipe().map_err(step("make a pipe"));
    let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
    let (stdin, input) = match spec.stdin {
        true => {
            launch::input_pipe().map(|(read, write)| (Some(read), Input::Pipe(write))).map_err(step("make a pipe"))?
        }
        false => (None, Input::None),
    };
    let output = |pipe: OwnedFd, name| Some(Output { pipe: pipe.into(), stream: Stream::new(name) });
    let outputs = [output(stdout, "stdout"), output(stderr, "stderr")];
    Ok((Stdio::Files([stdin, Some(out), Some(err)]), Wires { outputs, input }))
}

pub(super) fn load_filter(path: Option<&PathBuf>) -> Result<Option<Profile>, Fault> {
    let load = |path: &PathBuf| std::fs::read(path).and_then(|bytes| Profile::from_bytes(&bytes));
    path.map(load).transpose().map_err(step("read the system call filter"))
}

/// Exit code and signal, as container statuses have them.
pub(super) fn exit_code(how: WaitStatus) -> (i32, Option<i32>) {
    match how {
        WaitStatus::Exited(_, code) => (code, None),
        WaitStatus::Signaled(_, signal, _) => (128 + signal as i32, Some(signal as i32)),
        // Not asked for, so never reported.
        _ => (255, None),
    }
}

pub(super) fn ending(code: i32, signal: Option<i32>, killed_for_memory: bool) -> String {
    match (signal, killed_for_memory) {
        (_, true) => "the kernel for want of memory: the limit is too low to start a process".into(),
        (Some(signal), false) => format!("signal {signal}"),
        (None, false) => format!("exit code {code}"),
    }
}
