//! One pod's sandbox, as the server holds it: every method is a message to the pod's supervisor.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::cleanup;
use crate::error::{Error, Fault, StartError};
use crate::filter::Filters;
use crate::link::Link;
use crate::paths::{PodDir, check_name};
use crate::protocol::{Reply, Request};
use crate::spec::{ContainerSpec, ExecSpec, SandboxSpec};
use crate::status::{ContainerStatus, Event, ExecResult, Started};

/// A pod's sandbox. Clones share the one connection to its supervisor.
#[derive(Debug, Clone)]
pub struct Sandbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: SandboxSpec,
    dir: PodDir,
    cgroup_parent: String,
    pid: u32,
    link: Link,
    filters: Arc<Filters>,
}

impl Sandbox {
    /// Says hello over a fresh connection and waits until the sandbox is ready.
    pub(crate) async fn greet(
        link: Link,
        spec: SandboxSpec,
        dir: PodDir,
        cgroup_parent: String,
        filters: Arc<Filters>,
    ) -> Result<Sandbox, Error> {
        match link.call(Request::Hello).await {
            Some(Reply::Ready { pid }) => Ok(Sandbox(Arc::new(Inner { spec, dir, cgroup_parent, pid, link, filters }))),
            Some(Reply::Failed(reason)) => Err(Error::Setup { uid: spec.uid, reason }),
            Some(_) => Err(Error::Answer { uid: spec.uid }),
            None => Err(Error::Lost { uid: spec.uid }),
        }
    }

    /// The pod's uid.
    pub fn uid(&self) -> &str {
        &self.0.spec.uid
    }

    /// What it was made from.
    pub fn spec(&self) -> &SandboxSpec {
        &self.0.spec
    }

    /// The supervisor's process id.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// The pod's network namespace, valid while the supervisor lives.
    pub fn netns(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.0.pid))
    }

    /// Whether the supervisor is gone.
    pub fn is_lost(&self) -> bool {
        self.0.link.is_closed()
    }

    /// Runs a container; returns when its program has begun.
    ///
    /// # Errors
    /// With the text a user expects when the container can't be started.
    pub async fn start(&self, spec: ContainerSpec) -> Result<Started, StartError> {
        check_name(&spec.name)?;
        let seccomp = self.0.filters.path(&spec)?;
        match self.call(Request::Start { spec: Box::new(spec), seccomp }).await? {
            Reply::Started(started) => Ok(started),
            Reply::Failed(fault) => Err(fault.into()),
            _ => Err(self.strange().into()),
        }
    }

    /// Sends a signal to a container's first process. [`Error::NotRunning`] when it doesn't run.
    ///
    /// # Errors
    /// When the container doesn't run or the supervisor is gone.
    pub async fn kill(&self, name: &str, signal: i32) -> Result<(), Error> {
        match self.call(Request::Kill { name: name.into(), signal }).await? {
            Reply::Done => Ok(()),
            Reply::NotRunning => Err(self.not_running(name)),
            Reply::Failed(reason) => Err(Error::Refused { uid: self.uid().into(), reason }),
            _ => Err(self.strange()),
        }
    }

    /// Asks a container to end, and after `grace` ends it. Returns its last status, at once if it does not run.
    ///
    /// # Errors
    /// When the container is not known or the supervisor is gone.
    pub async fn stop(&self, name: &str, signal: i32, grace: Duration) -> Result<ContainerStatus, Error> {
        let mut events = self.events();
        if !grace.is_zero() {
            match self.kill(name, signal).await {
                Err(Error::NotRunning { .. }) => return self.ended(name, &mut events).await,
                other => other?,
            }
            if let Ok(status) = tokio::time::timeout(grace, self.ended(name, &mut events)).await {
                return status;
            }
        }
        match self.kill(name, nix::libc::SIGKILL).await {
            Ok(()) | Err(Error::NotRunning { .. }) => self.ended(name, &mut events).await,
            Err(error) => Err(error),
        }
    }

    /// Waits until the newest attempt of a container has ended.
    ///
    /// # Errors
    /// When the container is not known or the supervisor is gone.
    pub async fn wait(&self, name: &str) -> Result<ContainerStatus, Error> {
        self.ended(name, &mut self.events()).await
    }

    async fn ended(&self, name: &str, events: &mut broadcast::Receiver<Event>) -> Result<ContainerStatus, Error> {
        loop {
            let mut statuses = self.statuses().await?;
            statuses.retain(|status| status.name == name);
            match statuses.into_iter().max_by_key(|status| status.attempt) {
                Some(status) if status.exit().is_some() => return Ok(status),
                Some(_) => {}
                None => return Err(self.not_running(name)),
            }
            // Whatever happened, or was missed: look again.
            if let Ok(Event::Lost) | Err(broadcast::error::RecvError::Closed) = events.recv().await {
                return Err(self.lost());
            }
        }
    }

    /// Runs a command in a running container and waits for it.
    ///
    /// # Errors
    /// When the container doesn't run or the command can't be started.
    pub async fn exec(&self, name: &str, spec: ExecSpec) -> Result<ExecResult, StartError> {
        match self.call(Request::Exec { name: name.into(), spec }).await? {
            Reply::Exec(result) => Ok(result),
            Reply::NotRunning => Err(self.not_running(name).into()),
            Reply::Failed(fault) => Err(fault.into()),
            _ => Err(self.strange().into()),
        }
    }

    /// All containers and their attempts that were not forgotten, in the order in which they were started.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn statuses(&self) -> Result<Vec<ContainerStatus>, Error> {
        match self.call(Request::Statuses).await? {
            Reply::Statuses(statuses) => Ok(statuses),
            _ => Err(self.strange()),
        }
    }

    /// Every change from now on. A listener that lags far behind misses some and then asks for [`Self::statuses`].
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.link.events()
    }

    /// Forgets an ended attempt of a container and removes its writable layer. Unknown ones are no error.
    ///
    /// # Errors
    /// When it still runs or the supervisor is gone.
    pub async fn forget(&self, name: &str, attempt: u32) -> Result<(), Error> {
        match self.call(Request::Forget { name: name.into(), attempt }).await? {
            Reply::Done => Ok(()),
            Reply::Failed(reason) => Err(Error::Refused { uid: self.uid().into(), reason }),
            _ => Err(self.strange()),
        }
    }

    /// Kills what runs and removes everything: processes, namespaces, control groups, mounts, folders.
    /// Doing it twice, or after the supervisor has died, is fine.
    ///
    /// # Errors
    /// When something can't be removed; it may be tried again.
    pub async fn remove(&self) -> Result<(), Error> {
        match self.0.link.call(Request::Shutdown).await {
            Some(Reply::Done) => self.0.link.closed().await,
            Some(Reply::Failed(reason)) => return Err(Error::Refused { uid: self.uid().into(), reason }),
            Some(_) => return Err(self.strange()),
            None => {}
        }
        cleanup::run(self.0.spec.clone(), self.0.dir.clone(), self.0.cgroup_parent.clone()).await
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.dir.socket()
    }

    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Error> {
        self.0.link.call(request).await.ok_or_else(|| self.lost())
    }

    pub(crate) fn lost(&self) -> Error {
        Error::Lost { uid: self.uid().into() }
    }

    pub(crate) fn strange(&self) -> Error {
        Error::Answer { uid: self.uid().into() }
    }

    pub(crate) fn not_running(&self, name: &str) -> Error {
        Error::NotRunning { uid: self.uid().into(), name: name.into() }
    }
}

impl StartError {
    /// The fault of the container or the machine, if that is what it is.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            StartError::Fault(fault) => Some(fault),
            StartError::Sandbox(_) => None,
        }
    }
}
