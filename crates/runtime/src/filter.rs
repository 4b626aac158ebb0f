//! Compiled system call filters, one file per capability set, so that neither a supervisor nor a container's start
//! spends time or memory on compiling one.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use skiff_linux::caps::CapSet;
use skiff_linux::seccomp;

use crate::error::{Error, Fault, StartError};
use crate::runtime::file;
use crate::spec::{Capabilities, ContainerSpec, Seccomp};

#[derive(Debug)]
pub(crate) struct Filters {
    dir: PathBuf,
    /// Files that this process has written itself, and that are therefore of its own version.
    written: Mutex<HashMap<u64, PathBuf>>,
}

impl Filters {
    pub(crate) fn new(dir: PathBuf) -> Filters {
        Filters { dir, written: Mutex::default() }
    }

    /// The file with the filter for a container. None: it runs unconfined.
    pub(crate) fn path(&self, spec: &ContainerSpec) -> Result<Option<PathBuf>, StartError> {
        let caps = capabilities(&spec.capabilities, spec.privileged)?;
        if spec.privileged || spec.seccomp == Seccomp::Unconfined {
            return Ok(None);
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = written.get(&caps.bits()) {
            return Ok(Some(path.clone()));
        }
        let path = self.write(caps)?;
        written.insert(caps.bits(), path.clone());
        Ok(Some(path))
    }

    /// Forgets all filters. Supervisors that run need theirs, so none may.
    pub(crate) fn remove(&self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // Not there is as good.
        fs::remove_dir_all(&self.dir).ok();
    }

    fn write(&self, caps: CapSet) -> Result<PathBuf, Error> {
        let profile = seccomp::Profile::compile(caps)?;
        fs::create_dir_all(&self.dir).map_err(file("make folder", &self.dir))?;
        // By process, so that two servers of different versions never share a file, and old supervisors keep theirs.
        let path = self.dir.join(format!("{:x}.{}.bpf", caps.bits(), std::process::id()));
        fs::File::create(&path).and_then(|mut out| out.write_all(&profile.to_bytes())).map_err(file("write", &path))?;
        Ok(path)
    }
}

/// The capability set that a container asks for.
pub(crate) fn capabilities(changes: &Capabilities, privileged: bool) -> Result<CapSet, Fault> {
    if privileged {
        return Ok(CapSet::all());
    }
    let unknown = |name: skiff_linux::caps::Unknown| Fault::Capability { name: name.0 };
    CapSet::container_default().changed(&changes.add, &changes.drop).map_err(unknown)
}
