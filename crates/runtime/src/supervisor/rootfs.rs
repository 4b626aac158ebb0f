//! A container's file system, built by its first process in its own mount namespace.
//!
//! Everything of the host that goes into it is opened first, as detached mounts. Then the image's layers become the root
//! and the host is let go of; only then is anything attached. So a link in an image, however it is bent, leads to a place
//! in the container and never to one on the host.

mod system;

pub(super) use system::INERT;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use skiff_linux::cgroup::Group;
use skiff_linux::mount::{self, Attributes, Spread};

use crate::error::Fault;
use crate::paths::PodDir;
use crate::spec::{ContainerSpec, Mount, Propagation, SandboxSpec};
use crate::supervisor::program;
use crate::supervisor::sandbox::step;

/// What it is built from.
#[derive(Debug)]
pub(super) struct Rootfs<'a> {
    pub(super) sandbox: &'a SandboxSpec,
    pub(super) spec: &'a ContainerSpec,
    pub(super) pod: &'a PodDir,
    pub(super) group: &'a Group,
    /// The container's folder for what it writes.
    pub(super) folder: &'a Path,
}

/// The container's own folders on the host.
pub(super) fn make_folders(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("upper"))?;
    fs::create_dir_all(folder.join("work"))
}

impl Rootfs<'_> {
    /// Leaves the calling process in the finished root, at `/`.
    pub(super) fn build(&self) -> Result<(), Fault> {
        let volumes = self.open_volumes()?;
        let system = system::Sources::open(self)?;
        mount::change_at(Path::new("/"), Attributes::NONE, Some(Spread::Slave), true)
            .map_err(step("part from the host's mounts"))?;
        let (upper, work) = (self.folder.join("upper"), self.folder.join("work"));
        mount::overlay(&self.spec.layers, &upper, &work, self.folder, self.no_devices())
            .map_err(step("mount the image's layers"))?;
        mount::pivot(self.folder).map_err(step("change the root"))?;
        system.attach(self)?;
        for (volume, detached) in volumes {
            attach_volume(volume, detached)?;
        }
        program::make_cwd(&self.spec.cwd)?;
        self.hide_and_protect()?;
        if self.spec.readonly_root {
            mount::change_at(Path::new("/"), Attributes::READONLY, None, false)
                .map_err(step("make the root read-only"))?;
        }
        Ok(())
    }

    /// The container may make device files, where it has the capability, but not open them: what devices it may use are
    /// mounted one by one.
    fn no_devices(&self) -> Attributes {
        if self.spec.privileged { Attributes::NONE } else { Attributes::NODEV }
    }

    /// Shorter paths first, so that one volume may lie in another.
    fn open_volumes(&self) -> Result<Vec<(&Mount, OwnedFd)>, Fault> {
        let mut mounts: Vec<&Mount> = self.spec.mounts.iter().collect();
        mounts.sort_by_key(|volume| volume.target.components().count());
        mounts.into_iter().map(|volume| Ok((volume, self.open_volume(volume)?))).collect()
    }

    fn open_volume(&self, volume: &Mount) -> Result<OwnedFd, Fault> {
        let failed = |error: io::Error| mount_fault(volume, error);
        let detached = mount::clone_tree(&volume.source, true).map_err(failed)?;
        let spread = match volume.propagation {
            Propagation::Private => Spread::Private,
            Propagation::HostToContainer => Spread::Slave,
            Propagation::Bidirectional => Spread::Shared,
        };
        let readonly = if volume.readonly { Attributes::READONLY } else { Attributes::NONE };
        mount::change(detached.as_fd(), self.no_devices().and(readonly), Some(spread), true).map_err(failed)?;
        Ok(detached)
    }

    fn hide_and_protect(&self) -> Result<(), Fault> {
        if self.spec.privileged {
            return Ok(());
        }
        for path in &self.spec.masked_paths {
            hide(path).map_err(step(format!("mask {}", path.display())))?;
        }
        for path in &self.spec.readonly_paths {
            protect(path).map_err(step(format!("make {} read-only", path.display())))?;
        }
        Ok(())
    }
}

fn attach_volume(volume: &Mount, detached: OwnedFd) -> Result<(), Fault> {
    let failed = |error: io::Error| mount_fault(volume, error);
    let is_folder = File::from(detached.try_clone().map_err(failed)?).metadata().map_err(failed)?.is_dir();
    let target = Path::new("/").join(&volume.target);
    if is_folder { make_folder(&target) } else { make_file(&target) }.map_err(failed)?;
    let opened = mount::open_target(&target).map_err(failed)?;
    if kernel_owns(&opened).map_err(failed)? {
        return Err(Fault::MountTarget { target: volume.target.display().to_string() });
    }
    mount::attach(detached.as_fd(), opened.as_fd()).map_err(failed)
}

/// Whether an open file lies where the kernel reports about itself. Asked of the file, since a path may be a link.
fn kernel_owns(target: &File) -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    let place = fs::read_link(format!("/proc/self/fd/{}", target.as_raw_fd()))?;
    Ok(["/proc", "/sys"].iter().any(|kernel| place.starts_with(kernel)) || place == Path::new("/"))
}

fn mount_fault(volume: &Mount, error: io::Error) -> Fault {
    Fault::Mount {
        from: volume.source.display().to_string(),
        target: volume.target.display().to_string(),
        reason: error.into(),
    }
}

/// Images hold links to places that only a running system has (`/etc/resolv.conf` is one): what is missing is made where
/// the link points, within the container.
fn make_folder(path: &Path) -> io::Result<()> {
    make(path, 0, &|path| fs::create_dir(path))
}

fn make_file(path: &Path) -> io::Result<()> {
    make(path, 0, &|path| OpenOptions::new().create(true).append(true).open(path).map(drop))
}

fn make(path: &Path, links: u32, create: &dyn Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    make(parent, links, &|path| fs::create_dir(path))?;
    match fs::read_link(path) {
        Ok(_) if links > 20 => Err(io::Error::from_raw_os_error(nix::libc::ELOOP)),
        Ok(link) => make(&parent.join(link), links + 1, create),
        Err(_) => create(path),
    }
}

/// Puts something empty over a path, if it is there.
fn hide(path: &Path) -> io::Result<()> {
    let Some(target) = open_if_there(path)? else { return Ok(()) };
    let cover = if target.metadata()?.is_dir() {
        let options = [("mode", Some(Path::new("555"))), ("nr_inodes", Some(Path::new("2")))];
        mount::new_filesystem("tmpfs", &options, Attributes::READONLY.and(system::INERT))?
    } else {
        mount::clone_tree(Path::new("/dev/null"), false)?
    };
    mount::attach(cover.as_fd(), target.as_fd())
}

fn protect(path: &Path) -> io::Result<()> {
    let Some(target) = open_if_there(path)? else { return Ok(()) };
    let view = mount::clone_tree(path, true)?;
    mount::change(view.as_fd(), Attributes::READONLY, None, true)?;
    mount::attach(view.as_fd(), target.as_fd())
}

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match mount::open_target(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        other => other.map(Some),
    }
}

/// A folder that a file system of the kernel's is mounted on: made if missing, refused if it is a link.
fn kernel_folder(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(io::Error::from_raw_os_error(nix::libc::ENOTDIR)),
        Err(_) => fs::create_dir_all(path)?,
    }
    mount::open_target(path)
}

fn under(root: &str, rest: impl AsRef<Path>) -> PathBuf {
    Path::new(root).join(rest)
}
