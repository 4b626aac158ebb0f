//! Where volumes are on the disk, and how they come and go.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{
    VolumeError, at, host_path,
    plan::{Planned, What},
};
use crate::config::Config;

/// The path of a volume that is not the host's own.
pub(crate) fn path(config: &Config, uid: &str, volume: &Planned) -> PathBuf {
    match &volume.what {
        What::Host(source) => PathBuf::from(&source.path),
        What::Files(files) if files.secret => config.secret_dir(uid).join(&volume.name),
        What::Disk | What::Memory { .. } | What::Files(_) => config.pod_dir(uid).join("volumes").join(&volume.name),
    }
}

/// Makes the volume's folder, unless it is there. What is in it is left alone.
pub(crate) fn prepare(
    config: &Config,
    uid: &str,
    volume: &Planned,
    group: Option<u32>,
) -> Result<PathBuf, VolumeError> {
    let path = path(config, uid, volume);
    match &volume.what {
        What::Host(source) => return host_path::prepare(source),
        What::Files(_) => make(&path, 0o755)?,
        What::Disk => {
            if !path.exists() {
                make(&path, 0o777)?;
                share(&path, 0o777, group)?;
            }
        }
        What::Memory { limit } => {
            make(&path, 0o777)?;
            if !is_mount(&path)? {
                let options = limit.map(|bytes| format!("size={bytes},mode=0777"));
                let options = options.unwrap_or_else(|| "mode=0777".to_owned());
                mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
                    .map_err(at("mount a memory file system at", &path))?;
                share(&path, 0o777, group)?;
            }
        }
    }
    Ok(path)
}

fn make(path: &Path, mode: u32) -> Result<(), VolumeError> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(at("make folder", path))
}

/// Opens the folder to containers whatever the server's umask is, and to the pod's group.
fn share(path: &Path, mode: u32, group: Option<u32>) -> Result<(), VolumeError> {
    if let Some(group) = group {
        chown(path, None, Some(group)).map_err(at("set the group of", path))?;
    }
    let mode = if group.is_some() { mode | 0o2000 } else { mode };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(at("set the mode of", path))
}

fn is_mount(path: &Path) -> Result<bool, VolumeError> {
    Ok(mounts_below(path)?.iter().any(|mounted| mounted == path))
}

/// The mount points at and below `root`, the deepest last.
fn mounts_below(root: &Path) -> Result<Vec<PathBuf>, VolumeError> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(at("read", table))?;
    let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(root)).collect();
    below.sort();
    Ok(below)
}

/// The kernel writes spaces, tabs, newlines and backslashes in octal.
fn unescape(text: &str) -> PathBuf {
    let text = text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
    PathBuf::from(text)
}

/// Removes everything of a pod from the disk. Refuses while something is still mounted there: what is
/// mounted may be the host's own.
pub(crate) fn remove(config: &Config, uid: &str) -> Result<(), VolumeError> {
    for root in [config.pod_dir(uid), config.secret_dir(uid)] {
        let Ok(root) = root.canonicalize() else { continue };
        for point in mounts_below(&root)?.iter().rev() {
            umount2(point, MntFlags::MNT_DETACH).map_err(at("unmount", point))?;
        }
        if let Some(left) = mounts_below(&root)?.first() {
            let busy = io::Error::from(io::ErrorKind::ResourceBusy);
            return Err(at("unmount", left)(busy));
        }
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("remove", root)(error)),
            _ => {}
        }
    }
    Ok(())
}
