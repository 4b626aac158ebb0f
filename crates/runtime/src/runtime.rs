//! All sandboxes of a node: making new ones, and finding those that an earlier server left running.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skiff_linux::cgroup;
use tokio::process::Command;

use crate::cgroups::Cgroups;
use crate::cleanup;
use crate::error::Error;
use crate::filter::Filters;
use crate::link::Link;
use crate::paths::{self, PodDir, check_name};
use crate::sandbox::Sandbox;
use crate::spec::SandboxSpec;
use crate::status::ContainerStatus;

/// Where a node keeps its sandboxes.
#[derive(Debug, Clone)]
pub struct Config {
    /// The run folder, on a memory file system; sandboxes are in `pods/` in it.
    pub run_dir: PathBuf,
    /// The control group, relative to each hierarchy's root, that holds all pods'.
    pub cgroup_parent: String,
    /// Program and arguments that start a supervisor; the sandbox's folder is added.
    pub supervisor: Vec<OsString>,
}

/// The container runner of a node.
#[derive(Debug, Clone)]
pub struct Runtime {
    config: Arc<Config>,
    filters: Arc<Filters>,
    program: Arc<Program>,
}

/// What an earlier server left.
#[derive(Debug, Default)]
pub struct Adopted {
    /// Sandboxes whose supervisor runs.
    pub sandboxes: Vec<Sandbox>,
    /// Sandboxes whose supervisor died. What was left of them is cleaned up.
    pub lost: Vec<Lost>,
    /// Folders of sandboxes that could be neither reached nor cleaned up, and why. Trying again later may help.
    pub failed: Vec<(PathBuf, Error)>,
}

/// A sandbox whose supervisor died while no server watched.
#[derive(Debug)]
pub struct Lost {
    /// What it was made from.
    pub spec: SandboxSpec,
    /// The containers' last known states; those that ran are `ContainerStatusUnknown` now.
    pub statuses: Vec<ContainerStatus>,
}

/// What a supervisor is told at its start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Boot {
    pub(crate) spec: SandboxSpec,
    pub(crate) cgroup_parent: String,
}

impl Runtime {
    /// Prepares the run folder.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(config: Config) -> Result<Runtime, Error> {
        let pods = config.run_dir.join("pods");
        make_dir(&pods)?;
        let filters = Arc::new(Filters::new(config.run_dir.join("seccomp")));
        let program = Arc::new(Program::new(&config.supervisor));
        Ok(Runtime { config: Arc::new(config), filters, program })
    }

    /// Makes a sandbox: its supervisor, its namespaces with the loopback link up, its control group.
    ///
    /// # Errors
    /// When there is one of that uid already, or this machine can't. Nothing is left behind then.
    pub async fn create(&self, spec: SandboxSpec) -> Result<Sandbox, Error> {
        check_name(&spec.uid)?;
        let dir = self.pod_dir(&spec.uid);
        match fs::DirBuilder::new().mode(0o700).create(&dir.0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(Error::Exists { uid: spec.uid }),
            other => other.map_err(file("make folder", &dir.0))?,
        }
        match self.launch(&spec, &dir).await {
            Ok(sandbox) => Ok(sandbox),
            Err(error) => {
                // The first error is the one that tells; what could not be cleaned is found again by `adopt`.
                cleanup::run(spec, dir, self.config.cgroup_parent.clone()).await.ok();
                Err(error)
            }
        }
    }

    async fn launch(&self, spec: &SandboxSpec, dir: &PodDir) -> Result<Sandbox, Error> {
        let boot = Boot { spec: spec.clone(), cgroup_parent: self.config.cgroup_parent.clone() };
        let json = serde_json::to_vec(&boot).map_err(io::Error::from).map_err(file("encode", &dir.boot()))?;
        fs::write(dir.boot(), json).map_err(file("write", &dir.boot()))?;
        let listener = UnixListener::bind(dir.socket()).map_err(file("listen on", &dir.socket()))?;
        let complaints = fs::File::create(dir.complaints()).map_err(file("make", &dir.complaints()))?;
        let mut child = Command::new(self.program.path())
            // Otherwise it would show in `ps` by a descriptor's number.
            .arg0(self.config.supervisor.first().map_or(OsStr::new("skiff"), |program| program))
            .args(self.config.supervisor.iter().skip(1))
            .arg(&dir.0)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(complaints)
            .spawn()
            .map_err(|source| Error::Spawn { program: self.program.path(), source })?;
        let uid = spec.uid.clone();
        tokio::spawn(async move {
            // It is our child only so that it can be reaped.
            let status = child.wait().await;
            tracing::debug!(pod = uid, ?status, "pod supervisor ended");
        });
        self.connect(spec.clone(), dir.clone()).await?.ok_or_else(|| Error::Lost { uid: spec.uid.clone() })
    }

    /// Finds the sandboxes that an earlier server left, connects to those that run and cleans up the others.
    ///
    /// # Errors
    /// When the run folder can't be read.
    pub async fn adopt(&self) -> Result<Adopted, Error> {
        let pods = self.config.run_dir.join("pods");
        let mut adopted = Adopted::default();
        for entry in fs::read_dir(&pods).map_err(file("read folder", &pods))? {
            let dir = PodDir(entry.map_err(file("read folder", &pods))?.path());
            match self.adopt_one(dir.clone()).await {
                Ok(Found::Running(sandbox)) => adopted.sandboxes.push(sandbox),
                Ok(Found::Lost(lost)) => adopted.lost.push(*lost),
                Ok(Found::Nothing) => {}
                Err(error) => {
                    tracing::warn!(%error, folder = %dir.0.display(), "can't adopt a pod");
                    adopted.failed.push((dir.0, error));
                }
            }
        }
        Ok(adopted)
    }

    /// The control groups of all sandboxes, to be read, and to be limited anew.
    ///
    /// # Errors
    /// When the kernel can't be asked what there is.
    pub fn cgroups(&self) -> Result<Cgroups, Error> {
        Cgroups::discover(self.config.cgroup_parent.clone())
    }

    /// Removes what all sandboxes share, when none is left: the supervisors' control group and the parent, and the
    /// compiled system call filters.
    ///
    /// # Errors
    /// When the kernel can't be asked what there is.
    pub fn release(&self) -> Result<(), Error> {
        let hierarchies = cgroup::Hierarchies::discover().map_err(file("read", Path::new("/proc/self/mountinfo")))?;
        hierarchies.remove_if_empty(&paths::supervisors_cgroup(&self.config.cgroup_parent));
        hierarchies.remove_if_empty(&self.config.cgroup_parent);
        self.filters.remove();
        Ok(())
    }

    async fn adopt_one(&self, dir: PodDir) -> Result<Found, Error> {
        let Some(boot) = read_json::<Boot>(&dir.boot())? else {
            // Its server died before it could start the supervisor.
            fs::remove_dir_all(&dir.0).map_err(file("remove folder", &dir.0))?;
            return Ok(Found::Nothing);
        };
        match self.connect(boot.spec.clone(), dir.clone()).await {
            Ok(Some(sandbox)) => return Ok(Found::Running(sandbox)),
            Ok(None) | Err(Error::Lost { .. } | Error::Setup { .. }) => {}
            Err(error) => return Err(error),
        }
        let statuses = read_json::<Vec<ContainerStatus>>(&dir.state())?.unwrap_or_default();
        let statuses = statuses.into_iter().map(cleanup::presume_dead).collect();
        cleanup::run(boot.spec.clone(), dir, boot.cgroup_parent).await?;
        Ok(Found::Lost(Box::new(Lost { spec: boot.spec, statuses })))
    }

    /// `None`: nobody listens.
    async fn connect(&self, spec: SandboxSpec, dir: PodDir) -> Result<Option<Sandbox>, Error> {
        match Link::connect(&dir.socket()).await {
            Ok(link) => {
                let parent = self.config.cgroup_parent.clone();
                Sandbox::greet(link, spec, dir, parent, self.filters.clone()).await.map(Some)
            }
            Err(error) if nobody_listens(&error) => Ok(None),
            Err(error) => Err(file("connect to", &dir.socket())(error)),
        }
    }

    fn pod_dir(&self, uid: &str) -> PodDir {
        PodDir(self.config.run_dir.join("pods").join(uid))
    }
}

/// A supervisor that dies while a connection waits to be accepted resets it.
fn nobody_listens(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | NotFound)
}

enum Found {
    Running(Sandbox),
    Lost(Box<Lost>),
    Nothing,
}

/// The supervisor's program, seen through a read-only mount where the kernel lets us: a container that gets hold of
/// its `/proc/<pid>/exe` can't write to the binary through it.
#[derive(Debug)]
struct Program {
    plain: PathBuf,
    sealed: Option<OwnedFd>,
}

impl Program {
    fn new(argv: &[OsString]) -> Program {
        let plain = argv.first().map_or_else(|| PathBuf::from("/proc/self/exe"), PathBuf::from);
        let sealed = skiff_linux::mount::readonly_view(&plain).ok();
        Program { plain, sealed }
    }

    fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        match &self.sealed {
            Some(view) => PathBuf::from(format!("/proc/self/fd/{}", view.as_raw_fd())),
            None => self.plain.clone(),
        }
    }
}

fn make_dir(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("make folder", path))
}

/// `None`: no such file.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from).map_err(file("decode", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", path)(error)),
    }
}

pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}
