//! Where a sandbox keeps what: one place, since the server and the supervisor must agree.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::spec::SandboxSpec;

/// A pod's folder in the run folder.
#[derive(Debug, Clone)]
pub(crate) struct PodDir(pub(crate) PathBuf);

impl PodDir {
    /// What the server tells the supervisor.
    pub(crate) fn boot(&self) -> PathBuf {
        self.0.join("sandbox.json")
    }

    /// The containers' last known states.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("sock")
    }

    /// What the supervisor says when it fails before it can answer.
    pub(crate) fn complaints(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }

    /// Where the memory file system of the pod's `/dev/shm` is mounted.
    pub(crate) fn shm(&self) -> PathBuf {
        self.0.join("shm")
    }
}

/// Where all containers of a pod have their writable layers.
pub(crate) fn containers(spec: &SandboxSpec) -> PathBuf {
    spec.dir.join("containers")
}

/// Where one attempt of a container has its writable layer.
pub(crate) fn container(spec: &SandboxSpec, name: &str, attempt: u32) -> PathBuf {
    containers(spec).join(name).join(attempt.to_string())
}

/// A pod's control group below the parent.
pub(crate) fn pod_cgroup(parent: &str, uid: &str) -> String {
    format!("{parent}/pod{uid}")
}

/// A container's control group in its pod's.
pub(crate) fn container_cgroup(pod: &str, name: &str, attempt: u32) -> String {
    format!("{pod}/{name}-{attempt}")
}

/// Where the supervisors of all pods are, out of reach of the service manager and of the pods' limits.
pub(crate) fn supervisors_cgroup(parent: &str) -> String {
    format!("{parent}/supervisors")
}

/// Whether a name can be one path element of ours.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fine = !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.contains(['/', '\0'])
        && Path::new(name).components().count() == 1;
    if fine { Ok(()) } else { Err(Error::Name { name: name.into() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_the_folder_are_refused() {
        for bad in ["", ".", "..", "a/b", "/", "a\0", ".hidden"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        check_name("web-1").unwrap();
    }
}
