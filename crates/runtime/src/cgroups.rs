//! The sandboxes' control groups as the server reads and changes them: the kernel keeps them, no supervisor is asked.

use std::path::Path;

use skiff_linux::cgroup::{Error as GroupError, Group, Hierarchies, Limits, Usage};

use crate::error::Error;
use crate::paths;
use crate::runtime::file;

/// All control groups of ours at one moment's view of this machine.
#[derive(Debug, Clone)]
pub struct Cgroups {
    hierarchies: Hierarchies,
    parent: String,
}

impl Cgroups {
    pub(crate) fn discover(parent: String) -> Result<Cgroups, Error> {
        let hierarchies = Hierarchies::discover().map_err(file("read", Path::new("/proc/self/mountinfo")))?;
        Ok(Cgroups { hierarchies, parent })
    }

    /// What one attempt of a container uses. Nothing of one that is gone.
    pub fn usage(&self, uid: &str, name: &str, attempt: u32) -> Usage {
        self.container(uid, name, attempt).usage()
    }

    /// Limits a container anew. A limit that is not given stays as it is.
    ///
    /// # Errors
    /// When the kernel refuses: it does not take memory away that is in use.
    pub fn limit_container(&self, uid: &str, name: &str, attempt: u32, limits: &Limits) -> Result<(), GroupError> {
        self.container(uid, name, attempt).limit(limits)
    }

    /// Limits all containers of a pod together anew.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn limit_pod(&self, uid: &str, limits: &Limits) -> Result<(), GroupError> {
        self.hierarchies.group(&paths::pod_cgroup(&self.parent, uid)).limit(limits)
    }

    fn container(&self, uid: &str, name: &str, attempt: u32) -> Group {
        self.hierarchies.group(&paths::container_cgroup(&paths::pod_cgroup(&self.parent, uid), name, attempt))
    }
}
