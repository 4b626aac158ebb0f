//! A container's bind mounts, with sub-paths resolved so that no link in a volume leads out of it.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{Container, VolumeMount};
use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::{Mode, mkdirat},
};
use skiff_runtime::{Mount, Propagation};

use super::{VolumeError, at};
use crate::pod::expand::expand;

/// What mounts are made from.
pub(crate) struct Inputs<'i> {
    pub(crate) container: &'i Container,
    /// Where the volumes are, by name.
    pub(crate) paths: &'i BTreeMap<String, PathBuf>,
    /// Volumes that only we write.
    pub(crate) ours: &'i dyn Fn(&str) -> bool,
    pub(crate) env: &'i [(String, String)],
    /// Where sub-paths are pinned; one folder per container.
    pub(crate) pins: PathBuf,
}

/// The mounts of a container, in the order in which they have to be made.
pub(crate) fn mounts(inputs: &Inputs<'_>) -> Result<Vec<Mount>, VolumeError> {
    let mut mounts = Vec::new();
    for (index, wanted) in inputs.container.volume_mounts.iter().flatten().enumerate() {
        let volume = inputs.paths.get(&wanted.name).ok_or_else(|| VolumeError::NoSuchVolume(wanted.name.clone()))?;
        let source = match sub_path(wanted, inputs.env) {
            None => volume.clone(),
            Some(below) => pin(volume, &wanted.name, &below, &inputs.pins.join(index.to_string()))?,
        };
        mounts.push(Mount {
            source,
            target: absolute(&wanted.mount_path),
            readonly: wanted.read_only == Some(true) || (inputs.ours)(&wanted.name),
            propagation: propagation(wanted),
        });
    }
    mounts.sort_by_key(|mount| mount.target.components().count());
    Ok(mounts)
}

fn absolute(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

fn propagation(mount: &VolumeMount) -> Propagation {
    match mount.mount_propagation.as_deref() {
        Some("HostToContainer") => Propagation::HostToContainer,
        Some("Bidirectional") => Propagation::Bidirectional,
        _ => Propagation::Private,
    }
}

fn sub_path(mount: &VolumeMount, env: &[(String, String)]) -> Option<String> {
    let find = |name: &str| env.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let path = match (&mount.sub_path, &mount.sub_path_expr) {
        (Some(path), _) if !path.is_empty() => path.clone(),
        (_, Some(path)) => expand(path, find),
        _ => return None,
    };
    Some(path).filter(|path| !path.is_empty())
}

/// Binds `below` of the volume to `pin`, so that nobody can swap it between the check and its use.
fn pin(volume: &Path, name: &str, below: &str, pin: &Path) -> Result<PathBuf, VolumeError> {
    let failed = |source: io::Error| VolumeError::SubPath { volume: name.to_owned(), path: below.to_owned(), source };
    let root = fs::File::open(volume).map_err(failed)?;
    let found = open_below(&root, below).map_err(failed)?;
    let source = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
    let is_folder = fs::metadata(&source).map_err(failed)?.is_dir();
    // A mount of an earlier start of the container; there is none at its first.
    let _ = umount2(pin, MntFlags::MNT_DETACH);
    if is_folder {
        if pin.is_file() {
            fs::remove_file(pin).map_err(at("remove", pin))?;
        }
        fs::create_dir_all(pin).map_err(at("make folder", pin))?;
    } else {
        if pin.is_dir() {
            fs::remove_dir(pin).map_err(at("remove", pin))?;
        }
        if let Some(parent) = pin.parent() {
            fs::create_dir_all(parent).map_err(at("make folder", parent))?;
        }
        fs::File::create(pin).map_err(at("make file", pin))?;
    }
    mount(Some(&source), pin, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(at("bind", pin))?;
    Ok(pin.to_owned())
}

/// Opens a path below `root` without ever leaving it; folders that are missing are made.
fn open_below(root: impl AsFd, below: &str) -> io::Result<OwnedFd> {
    let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let root = root.as_fd();
    let whole = if parts.is_empty() { ".".to_owned() } else { parts.join("/") };
    match open_path(root, &whole) {
        Err(nix::Error::ENOENT) => {}
        other => return Ok(other?),
    }
    for end in 1..=parts.len() {
        let (parent, name) = (parts[..end - 1].join("/"), parts[end - 1]);
        let parent = open_path(root, if parent.is_empty() { "." } else { &parent })?;
        match mkdirat(&parent, name, Mode::from_bits_truncate(0o750)) {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(open_path(root, &whole)?)
}

fn open_path(root: impl AsFd, path: &str) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_BENEATH);
    openat2(root.as_fd(), path, how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_leads_out_of_a_volume() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("v");
        fs::create_dir_all(volume.join("in")).unwrap();
        fs::write(dir.path().join("secret"), "").unwrap();
        std::os::unix::fs::symlink("../secret", volume.join("out")).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("abs")).unwrap();
        std::os::unix::fs::symlink("in", volume.join("fine")).unwrap();
        let root = fs::File::open(&volume).unwrap();
        for (path, wanted) in [
            ("in", true),
            ("fine", true),
            ("in/new/deep", true),
            ("./in//new", true),
            ("out", false),
            ("abs/passwd", false),
            ("../secret", false),
            ("in/../../secret", false),
        ] {
            assert_eq!(open_below(&root, path).is_ok(), wanted, "{path}");
        }
        assert!(volume.join("in/new/deep").is_dir());
    }

    #[test]
    fn outer_mounts_come_first() {
        let container: Container = serde_json::from_value(serde_json::json!({"name": "c", "volumeMounts": [
            {"name": "a", "mountPath": "/a/b/c"}, {"name": "ours", "mountPath": "/a"},
            {"name": "b", "mountPath": "/b", "readOnly": true, "mountPropagation": "HostToContainer"}]}))
        .unwrap();
        let paths = ["a", "b", "ours"].map(|name| (name.to_owned(), PathBuf::from("/v").join(name)));
        let paths = BTreeMap::from(paths);
        let inputs = Inputs {
            container: &container,
            paths: &paths,
            ours: &|name| name == "ours",
            env: &[],
            pins: PathBuf::from("/nowhere"),
        };
        let got: Vec<_> = mounts(&inputs).unwrap().into_iter().map(|m| (m.target, m.readonly, m.propagation)).collect();
        let at = |path: &str| PathBuf::from(path);
        let wanted = [
            (at("/a"), true, Propagation::Private),
            (at("/b"), true, Propagation::HostToContainer),
            (at("/a/b/c"), false, Propagation::Private),
        ];
        assert_eq!(got, wanted);
    }
}
