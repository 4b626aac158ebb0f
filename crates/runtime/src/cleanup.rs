//! What is left of a sandbox after its supervisor, removed: processes, control groups, mounts, folders.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use skiff_linux::{cgroup, mount};

use crate::error::Error;
use crate::paths::{self, PodDir};
use crate::runtime::file;
use crate::spec::SandboxSpec;
use crate::status::{ContainerStatus, Exit, ExitReason, State};

/// How long killed processes may take to be gone.
const DEATH: Duration = Duration::from_secs(10);

/// Removes what a sandbox has left. Whatever is gone already is no error.
pub(crate) async fn run(spec: SandboxSpec, dir: PodDir, cgroup_parent: String) -> Result<(), Error> {
    let work = move || remove(&spec, &dir, &cgroup_parent);
    // The blocking pool refuses only when the server is shutting down; the next server cleans up then.
    tokio::task::spawn_blocking(work).await.unwrap_or(Ok(()))
}

fn remove(spec: &SandboxSpec, dir: &PodDir, cgroup_parent: &str) -> Result<(), Error> {
    let group = paths::pod_cgroup(cgroup_parent, &spec.uid);
    let hierarchies = cgroup::Hierarchies::discover().map_err(file("read", Path::new("/proc/self/mountinfo")))?;
    hierarchies.group(&group).kill_and_remove(DEATH).map_err(file("remove control group", Path::new(&group)))?;
    mount::detach_if_mounted(&dir.shm()).map_err(file("unmount", &dir.shm()))?;
    remove_tree(&paths::containers(spec))?;
    remove_tree(&dir.0)
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file("remove folder", path)(error)),
        _ => Ok(()),
    }
}

/// The status of a container whose supervisor is gone.
pub(crate) fn presume_dead(mut status: ContainerStatus) -> ContainerStatus {
    let started_at = match &status.state {
        State::Exited(_) => return status,
        State::Running { started_at, .. } => Some(*started_at),
        State::Starting => None,
    };
    status.state = State::Exited(Exit {
        code: 137,
        signal: Some(nix::libc::SIGKILL),
        reason: ExitReason::ContainerStatusUnknown,
        message: Some("the pod's supervisor died, and the container with it".into()),
        started_at,
        finished_at: jiff::Timestamp::now(),
    });
    status
}
