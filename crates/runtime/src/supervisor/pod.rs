//! The supervisor's loop, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Instant;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use skiff_linux::mount;

use crate::error::{Fault, Reason};
use crate::paths::{self, PodDir};
use crate::protocol::{Message, Reply, Request, Streams};
use crate::spec::{ContainerSpec, ExecSpec, SandboxSpec};
use crate::status::ContainerStatus;
use crate::supervisor::attach::{Attachments, Source};
use crate::supervisor::clients::{Caller, Clients};
use crate::supervisor::container::{Answer, Container, Place};
use crate::supervisor::exec::{self, Exec};
use crate::supervisor::poller::{Key, Poller, Ready};
use crate::supervisor::processes::Processes;
use crate::supervisor::sandbox::Sandbox;
use crate::supervisor::stdio::Stdio;

/// How much of a pipe is read at once.
const PIECE: usize = 32 << 10;

#[derive(Debug)]
pub(super) struct Pod {
    spec: SandboxSpec,
    dir: PodDir,
    /// What it failed for, if it did: told to whoever asks.
    sandbox: Result<Sandbox, Fault>,
    listener: UnixListener,
    signals: SignalFd,
    poller: Poller,
    clients: Clients,
    containers: BTreeMap<u32, Container>,
    execs: BTreeMap<u32, Exec>,
    attachments: Attachments,
    /// Streams that are not read on before whoever is attached has caught up.
    held_back: BTreeSet<Source>,
    next: u32,
    closing: Option<Closing>,
    /// Our own process namespace, to come back to.
    own_processes: File,
    buffer: Vec<u8>,
}

/// It is to end, and who is to be told.
#[derive(Debug)]
struct Closing {
    callers: Vec<Caller>,
}

impl Pod {
    pub(super) fn new(
        spec: SandboxSpec,
        dir: PodDir,
        sandbox: Result<Sandbox, Fault>,
        listener: UnixListener,
    ) -> io::Result<Pod> {
        let mut mask = SigSet::empty();
        [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
            .into_iter()
            .for_each(|signal| mask.add(signal));
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let poller = Poller::new()?;
        poller.add(&listener, Key::Listener)?;
        poller.add(&signals, Key::Signals)?;
        Ok(Pod {
            spec,
            dir,
            sandbox,
            listener,
            signals,
            poller,
            clients: Clients::default(),
            containers: BTreeMap::new(),
            execs: BTreeMap::new(),
            attachments: Attachments::default(),
            held_back: BTreeSet::new(),
            next: 0,
            closing: None,
            own_processes: File::open("/proc/self/ns/pid")?,
            buffer: vec![0; PIECE],
        })
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let deadline = self.execs.values().filter_map(|exec| exec.deadline).min();
            for ready in self.poller.wait(deadline)? {
                self.handle(ready)?;
            }
            let now = Instant::now();
            let late = self.execs.values_mut().filter(|exec| exec.deadline.is_some_and(|deadline| deadline <= now));
            late.for_each(Exec::expire);
            if self.is_over() {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, ready: Ready) -> io::Result<()> {
        match ready.key {
            // A client that can't be let in tries again; the containers must not suffer for it.
            Key::Listener => self.clients.accept(&self.listener, &self.poller).unwrap_or(()),
            Key::Signals => self.take_signals()?,
            Key::Client(id) => {
                for (caller, request, fds) in self.clients.serve(id, ready, &self.poller) {
                    self.answer(caller, request, fds);
                }
            }
            Key::Setup(id) => self.progress(id),
            Key::Stdout(id) => self.pump(id, 0),
            Key::Stderr(id) => self.pump(id, 1),
            Key::ExecOutput(id) => {
                if let Some(exec) = self.execs.get_mut(&id)
                    && !exec.pump(&mut self.buffer)
                    && let Some(output) = exec.output()
                {
                    self.poller.remove(output);
                }
            }
            Key::Attached(id) => {
                if let Some((container, _)) = self.attachments.ready(id, ready, &self.poller) {
                    self.pace(container);
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, caller: Caller, request: Request, fds: Vec<OwnedFd>) {
        let reply = match (request, &self.sandbox) {
            (Request::Shutdown, _) => return self.close(Some(caller)),
            (_, Err(fault)) => {
                let reply = Reply::Failed(fault.clone());
                // There is nothing to stay for.
                self.close(None);
                Some(reply)
            }
            (Request::Hello, Ok(_)) => Some(Reply::Ready { pid: std::process::id() }),
            (Request::Start { spec, seccomp }, Ok(_)) => self.start(caller, *spec, seccomp).err().map(Reply::Failed),
            (Request::Kill { name, signal }, Ok(_)) => Some(self.kill(&name, signal)),
            (Request::Exec { name, spec }, Ok(_)) => self.exec(caller, &name, &spec, None),
            (Request::ExecStream { name, spec, streams }, Ok(_)) => match Stdio::received(streams, fds) {
                Ok(stdio) => self.exec(caller, &name, &spec, Some(stdio)),
                Err(fault) => Some(Reply::Failed(fault)),
            },
            (Request::Attach { name, streams }, Ok(_)) => self.attach(caller, &name, streams, fds),
            (Request::CloseStdin { name }, Ok(_)) => Some(self.close_stdin(&name)),
            (Request::Statuses, Ok(_)) => Some(Reply::Statuses(self.statuses())),
            (Request::Forget { name, attempt }, Ok(_)) => Some(self.forget(&name, attempt)),
        };
        if let Some(reply) = reply {
            self.clients.reply(caller, reply, &self.poller);
        }
    }

    fn start(&mut self, caller: Caller, spec: ContainerSpec, filter: Option<PathBuf>) -> Result<(), Fault> {
        let sandbox = self.sandbox.as_ref().map_err(Clone::clone)?;
        let same = |known: &Container| {
            known.spec.name == spec.name && (known.spec.attempt == spec.attempt || !known.has_ended())
        };
        if self.closing.is_some() || self.containers.values().any(same) {
            return Err(Fault::Exists { name: spec.name, attempt: spec.attempt });
        }
        let (processes, home) = (self.processes(&spec, sandbox)?, self.own_processes.as_fd());
        let place = Place { spec: &self.spec, dir: &self.dir, sandbox, processes, home };
        let container = Container::launch(place, spec, filter, caller)?;
        self.next += 1;
        let (setup, [stdout, stderr]) = container.descriptors();
        let keyed =
            [(setup, Key::Setup(self.next)), (stdout, Key::Stdout(self.next)), (stderr, Key::Stderr(self.next))];
        let waited = keyed.into_iter().try_for_each(|(fd, key)| fd.map_or(Ok(()), |fd| self.poller.add(fd, key)));
        if waited.is_err() {
            // Without being heard it can't be kept: its end tells the caller.
            container.signal(Signal::SIGKILL as i32).ok();
        }
        self.containers.insert(self.next, container);
        self.persist();
        Ok(())
    }

    /// Where the processes of a new container will be.
    fn processes<'a>(&'a self, spec: &ContainerSpec, sandbox: &'a Sandbox) -> Result<Processes<'a>, Fault> {
        if self.spec.host_pid {
            return Ok(Processes::Host);
        }
        if let Some(first) = &sandbox.first {
            return Ok(Processes::With(first.as_fd()));
        }
        let Some(name) = &spec.processes_of else { return Ok(Processes::Own) };
        let running = self.newest(name).and_then(|(_, container)| container.first());
        running.map(Processes::With).ok_or_else(|| Fault::NoTarget { name: name.clone() })
    }

    fn progress(&mut self, id: u32) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        let answer = container.progress();
        if answer.is_some()
            && let (true, (_, [Some(terminal), _])) = (container.spec.tty, container.descriptors())
        {
            // Unheard, its output is read at its end.
            self.poller.add(terminal, Key::Stdout(id)).ok();
        }
        self.let_go(id);
        if let Some(answer) = answer {
            self.deliver(answer);
            self.changed(id);
        }
    }

    /// Closes a container's descriptors that are at their end.
    fn let_go(&mut self, id: u32) {
        let done = self.containers.get_mut(&id).map(Container::take_done).unwrap_or_default();
        done.iter().for_each(|fd| self.poller.remove(fd.as_fd()));
    }

    fn deliver(&mut self, (caller, result): Answer) {
        let reply = result.map_or_else(Reply::Failed, Reply::Started);
        self.clients.reply(caller, reply, &self.poller);
    }

    fn pump(&mut self, id: u32, which: usize) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        let attachments = &mut self.attachments;
        container.pump(which, &mut self.buffer, &mut |which, bytes| attachments.offer((id, which), bytes));
        self.let_go(id);
        self.pace(id);
    }

    /// Holds a container's streams back while someone who is attached does not keep up.
    fn pace(&mut self, id: u32) {
        let Some(container) = self.containers.get(&id) else { return };
        let (_, outputs) = container.descriptors();
        for (which, _) in outputs.iter().enumerate().filter(|(_, output)| output.is_none()) {
            self.attachments.end((id, which));
            self.held_back.remove(&(id, which));
        }
        self.attachments.send(id, &self.poller);
        for (which, output) in outputs.into_iter().enumerate() {
            let (source, Some(output)) = ((id, which), output) else { continue };
            if self.attachments.is_behind(source) {
                if self.held_back.insert(source) {
                    self.poller.remove(output);
                }
            } else if self.held_back.remove(&source) {
                // Unheard, it is read at its end.
                self.poller.add(output, if which == 0 { Key::Stdout(id) } else { Key::Stderr(id) }).ok();
            }
        }
    }

    fn attach(&mut self, caller: Caller, name: &str, streams: Streams, fds: Vec<OwnedFd>) -> Option<Reply> {
        let Some((id, container)) = self.newest(name) else { return Some(Reply::NotRunning) };
        if container.has_ended() {
            return Some(Reply::NotRunning);
        }
        let (tty, keeps_stdin) = (container.spec.tty, container.spec.stdin);
        let stdin = streams.stdin && keeps_stdin && container.input().is_some();
        let input = container.input().filter(|_| tty || stdin).map(|input| input.try_clone_to_owned());
        let (_, outputs) = container.descriptors();
        let there = outputs.map(|output| output.is_some());
        let wanted = [streams.stdout.then_some(0), streams.stderr.then_some(1)];
        for (which, sink) in wanted.into_iter().flatten().zip(fds) {
            if there[which] {
                self.next += 1;
                // One that can't be heard sees its end at once.
                self.attachments.add(self.next, (id, which), sink, &self.poller).ok();
            }
        }
        match input.transpose() {
            Ok(input) => {
                let fds = input.into_iter().collect();
                self.clients.reply_with(caller, Reply::Attached { tty, stdin }, fds, &self.poller);
                None
            }
            Err(error) => {
                let step = "attach to the container".to_owned();
                Some(Reply::Failed(Fault::Step { step, reason: error.into() }))
            }
        }
    }

    fn close_stdin(&mut self, name: &str) -> Reply {
        let Some((id, _)) = self.newest(name) else { return Reply::NotRunning };
        self.containers.get_mut(&id).map_or(Reply::NotRunning, |container| {
            container.close_stdin();
            Reply::Done
        })
    }

    /// The newest attempt of a container.
    fn newest(&self, name: &str) -> Option<(u32, &Container)> {
        let named = self.containers.iter().filter(|(_, container)| container.spec.name == name);
        named.max_by_key(|(_, container)| container.spec.attempt).map(|(id, container)| (*id, container))
    }

    fn kill(&self, name: &str, signal: i32) -> Reply {
        match self.newest(name).map(|(_, container)| container.signal(signal)) {
            Some(Ok(())) => Reply::Done,
            None | Some(Err(nix::Error::ESRCH)) => Reply::NotRunning,
            Some(Err(error)) => {
                Reply::Failed(Fault::Step { step: format!("send signal {signal}"), reason: error.into() })
            }
        }
    }

    fn exec(&mut self, caller: Caller, name: &str, spec: &ExecSpec, stdio: Option<Stdio>) -> Option<Reply> {
        let Some((_, container)) = self.newest(name) else { return Some(Reply::NotRunning) };
        let (own_processes, host_pid) = (self.own_processes.as_fd(), self.spec.host_pid);
        let place = exec::Place { container, own_processes, host_pid };
        match Exec::launch(place, spec, stdio, caller) {
            None => Some(Reply::NotRunning),
            Some(Err(fault)) => Some(Reply::Failed(fault)),
            Some(Ok(exec)) => {
                self.next += 1;
                if let Some(output) = exec.output() {
                    // Unheard, its output is read at its end.
                    self.poller.add(output, Key::ExecOutput(self.next)).ok();
                }
                self.execs.insert(self.next, exec);
                None
            }
        }
    }

    fn forget(&mut self, name: &str, attempt: u32) -> Reply {
        let is_it = |container: &Container| container.spec.name == name && container.spec.attempt == attempt;
        let Some(id) = self.containers.iter().find(|(_, container)| is_it(container)).map(|(id, _)| *id) else {
            return Reply::Done;
        };
        let folder = paths::container(&self.spec, name, attempt);
        if self.containers.get(&id).is_some_and(|container| !container.has_ended()) {
            let step = format!("forget container {name}, which runs");
            return Reply::Failed(Fault::Step { step, reason: Reason(nix::libc::EBUSY) });
        }
        if let Some(container) = self.containers.remove(&id) {
            let (_, outputs) = container.descriptors();
            outputs.into_iter().flatten().for_each(|pipe| self.poller.remove(pipe));
        }
        self.persist();
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Reply::Failed(Fault::Step { step: format!("remove {}", folder.display()), reason: error.into() })
            }
            _ => Reply::Done,
        }
    }

    fn statuses(&self) -> Vec<ContainerStatus> {
        self.containers.values().map(Container::status).collect()
    }

    /// Tells whoever listens, and the file that outlives us.
    fn changed(&mut self, id: u32) {
        if let Some(container) = self.containers.get(&id) {
            self.clients.tell_all(&Message::Changed(container.status()), &self.poller);
        }
        self.persist();
    }

    /// The file is for the case that we are killed. If it can't be written, only that case suffers.
    fn persist(&self) {
        let fresh = self.dir.0.join("state.new");
        let written = serde_json::to_vec(&self.statuses()).map_err(io::Error::from);
        written.and_then(|json| fs::write(&fresh, json)).and_then(|()| fs::rename(&fresh, self.dir.state())).ok();
    }

    fn take_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.read_signal()? {
            // A server's terminal is no concern of ours; the machine's shutdown is.
            if signal.ssi_signo == Signal::SIGTERM as u32 {
                self.close(None);
            }
        }
        self.reap();
        Ok(())
    }

    fn reap(&mut self) {
        // No children, or none that has ended.
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let Some(pid) = status.pid() else { break };
            if let Some(id) = self.containers.iter().find(|(_, known)| known.pid() == Some(pid)).map(|(id, _)| *id) {
                self.end_container(id, status);
            } else if let Some(id) = self.execs.iter().find(|(_, known)| known.pid == pid).map(|(id, _)| *id) {
                self.end_exec(id, status);
            }
        }
        self.containers.values_mut().for_each(Container::tidy_up);
    }

    fn end_container(&mut self, id: u32, how: WaitStatus) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        let attachments = &mut self.attachments;
        let answer = container.end(how, &mut self.buffer, &mut |which, bytes| attachments.offer((id, which), bytes));
        self.let_go(id);
        self.end_output(id);
        if let Some(answer) = answer {
            self.deliver(answer);
        }
        self.changed(id);
    }

    /// Those who look on see the end, although another process may hold the stream open.
    fn end_output(&mut self, id: u32) {
        for source in [(id, 0), (id, 1)] {
            self.attachments.end(source);
        }
        self.pace(id);
    }

    fn end_exec(&mut self, id: u32, how: WaitStatus) {
        let Some(exec) = self.execs.remove(&id) else { return };
        if let Some(output) = exec.output() {
            self.poller.remove(output);
        }
        let caller = exec.caller;
        let reply = match exec.end(how, &mut self.buffer) {
            Ok(result) => Reply::Exec(result),
            // The container has ended under it.
            Err(Fault::Step { reason: Reason(nix::libc::ESRCH), .. }) => Reply::NotRunning,
            Err(fault) => Reply::Failed(fault),
        };
        self.clients.reply(caller, reply, &self.poller);
    }

    fn close(&mut self, caller: Option<Caller>) {
        let closing = self.closing.get_or_insert(Closing { callers: Vec::new() });
        closing.callers.extend(caller);
        for container in self.containers.values() {
            // One that has ended is what is wanted.
            container.signal(Signal::SIGKILL as i32).ok();
        }
        self.execs.values_mut().for_each(Exec::expire);
    }

    /// Whether nothing is left to do but to go; whoever waits for that is told first.
    fn is_over(&mut self) -> bool {
        let Some(closing) = &mut self.closing else { return false };
        if !self.execs.is_empty() || !self.containers.values().all(|container| container.has_ended() && container.tidy)
        {
            return false;
        }
        let callers = std::mem::take(&mut closing.callers);
        if !callers.is_empty() {
            self.clean_up();
            callers.into_iter().for_each(|caller| self.clients.reply(caller, Reply::Done, &self.poller));
        }
        self.clients.all_sent()
    }

    /// What can't be removed here the server removes, which looks again.
    fn clean_up(&self) {
        if let Ok(sandbox) = &self.sandbox {
            sandbox.group().remove().ok();
        }
        mount::detach_if_mounted(&self.dir.shm()).ok();
    }
}
