//! The parts of a container's file system that every Linux program expects: `/proc`, `/sys`, `/dev`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};

use skiff_linux::cgroup::Version;
use skiff_linux::mount::{self, Attributes};

use crate::error::Fault;
use crate::supervisor::rootfs::{Rootfs, kernel_folder, make_file, make_folder, under};
use crate::supervisor::sandbox::step;

/// For file systems that hold data only.
pub(in crate::supervisor) const INERT: Attributes = Attributes::NOSUID.and(Attributes::NODEV).and(Attributes::NOEXEC);

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
    ("/proc/kcore", "/dev/core"),
];

/// What of it comes from the host, opened while the host is still in sight.
#[derive(Debug)]
pub(super) struct Sources {
    devices: Vec<(PathBuf, OwnedFd)>,
    shm: OwnedFd,
    /// By the name of the hierarchy; none for the one of version 2.
    cgroups: Vec<(Option<OsString>, OwnedFd)>,
}

impl Sources {
    pub(super) fn open(rootfs: &Rootfs<'_>) -> Result<Sources, Fault> {
        let names = if rootfs.spec.privileged {
            let mut found = Vec::new();
            find_devices(Path::new("/dev"), Path::new(""), &mut found).map_err(step("list the host's devices"))?;
            found
        } else {
            DEVICES.iter().map(PathBuf::from).collect()
        };
        let open = |name: PathBuf| -> io::Result<(PathBuf, OwnedFd)> {
            let device = mount::clone_tree(&under("/dev", &name), false)?;
            Ok((name, device))
        };
        let devices =
            names.into_iter().map(open).collect::<io::Result<_>>().map_err(step("open the host's devices"))?;
        let shm = if rootfs.sandbox.host_ipc { PathBuf::from("/dev/shm") } else { rootfs.pod.shm() };
        let shm = mount::clone_tree(&shm, false).map_err(step("open the pod's /dev/shm"))?;
        let cgroups = open_cgroups(rootfs).map_err(step("open the container's control groups"))?;
        Ok(Sources { devices, shm, cgroups })
    }

    /// Called at the new root.
    pub(super) fn attach(&self, rootfs: &Rootfs<'_>) -> Result<(), Fault> {
        let read_only = if rootfs.spec.privileged { Attributes::NONE } else { Attributes::READONLY };
        new_at("/proc", "proc", &[], INERT)?;
        new_at("/sys", "sysfs", &[], INERT.and(read_only))?;
        self.attach_cgroups().map_err(step("mount /sys/fs/cgroup"))?;
        let devices = Attributes::NOSUID.and(rootfs.no_devices());
        new_at("/dev", "tmpfs", &[("mode", "755"), ("size", "65536k")], devices)?;
        self.attach_devices().map_err(step("fill /dev"))?;
        let terminals = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
        new_at("/dev/pts", "devpts", &terminals, Attributes::NOSUID.and(Attributes::NOEXEC))?;
        new_at("/dev/mqueue", "mqueue", &[], INERT)?;
        kernel_folder(Path::new("/dev/shm"))
            .and_then(|target| mount::attach(self.shm.as_fd(), target.as_fd()))
            .map_err(step("mount /dev/shm"))
    }

    fn attach_devices(&self) -> io::Result<()> {
        for (name, device) in &self.devices {
            let path = under("/dev", name);
            make_file(&path)?;
            mount::attach(device.as_fd(), mount::open_target(&path)?.as_fd())?;
        }
        LINKS.iter().try_for_each(|(target, link)| symlink(target, link))
    }

    fn attach_cgroups(&self) -> io::Result<()> {
        let root = Path::new("/sys/fs/cgroup");
        let sideways = self.cgroups.iter().any(|(name, _)| name.is_some());
        if sideways {
            let folder = mount::new_filesystem("tmpfs", &[("mode", Some(Path::new("755")))], INERT)?;
            mount::attach(folder.as_fd(), mount::open_target(root)?.as_fd())?;
        }
        for (name, view) in &self.cgroups {
            let target = match name {
                Some(name) => root.join(name),
                None if sideways => root.join("unified"),
                None => root.to_owned(),
            };
            make_folder(&target)?;
            mount::attach(view.as_fd(), mount::open_target(&target)?.as_fd())?;
        }
        if sideways { mount::change_at(root, Attributes::READONLY, None, false) } else { Ok(()) }
    }
}

/// The container sees its own group as the root of each hierarchy.
fn open_cgroups(rootfs: &Rootfs<'_>) -> io::Result<Vec<(Option<OsString>, OwnedFd)>> {
    let read_only = if rootfs.spec.privileged { Attributes::NONE } else { Attributes::READONLY };
    let open = |folder: skiff_linux::cgroup::Folder<'_>| {
        let view = mount::clone_tree(folder.path, false)?;
        mount::change(view.as_fd(), INERT.and(read_only), None, false)?;
        Ok(((folder.version == Version::One).then(|| folder.hierarchy.to_owned()), view))
    };
    rootfs.group.folders().map(open).collect()
}

fn new_at(path: &str, kind: &str, options: &[(&str, &str)], attributes: Attributes) -> Result<(), Fault> {
    let options: Vec<(&str, Option<&Path>)> = options
        .iter()
        .map(|(key, value)| (*key, Some(*value).filter(|value| !value.is_empty()).map(Path::new)))
        .collect();
    kernel_folder(Path::new(path))
        .and_then(|target| {
            let made = mount::new_filesystem(kind, &options, attributes)?;
            mount::attach(made.as_fd(), target.as_fd())
        })
        .map_err(step(format!("mount {path}")))
}

/// Every device file, for a privileged container; terminals and shared memory are its own.
fn find_devices(folder: &Path, relative: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = relative.join(entry.file_name());
        let own = ["pts", "shm", "mqueue", "console", "ptmx"].iter().any(|own| name == Path::new(own));
        if kind.is_dir() && !own {
            find_devices(&entry.path(), &name, found)?;
        } else if (kind.is_char_device() || kind.is_block_device()) && !own {
            found.push(name);
        }
    }
    Ok(())
}
