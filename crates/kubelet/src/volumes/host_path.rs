//! hostPath volumes: the path is used as it is, after the check its type asks for.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use super::{VolumeError, at};

/// Checks, and for the `…OrCreate` types makes, the host's path.
pub(crate) fn prepare(source: &HostPathVolumeSource) -> Result<PathBuf, VolumeError> {
    let path = PathBuf::from(&source.path);
    let is = |check: fn(&fs::FileType) -> bool| fs::metadata(&path).is_ok_and(|data| check(&data.file_type()));
    let ok = match source.type_.as_deref().unwrap_or_default() {
        "" => {
            if !path.exists() {
                create_folder(&path)?;
            }
            return Ok(path);
        }
        "DirectoryOrCreate" => {
            create_folder(&path)?;
            is(fs::FileType::is_dir).then_some(()).ok_or("a directory")
        }
        "Directory" => is(fs::FileType::is_dir).then_some(()).ok_or("a directory"),
        "FileOrCreate" => {
            create_file(&path)?;
            is(fs::FileType::is_file).then_some(()).ok_or("a file")
        }
        "File" => is(fs::FileType::is_file).then_some(()).ok_or("a file"),
        "Socket" => is(|kind| kind.is_socket()).then_some(()).ok_or("a socket file"),
        "CharDevice" => is(|kind| kind.is_char_device()).then_some(()).ok_or("a character device"),
        "BlockDevice" => is(|kind| kind.is_block_device()).then_some(()).ok_or("a block device"),
        other => return Err(VolumeError::UnknownHostPathType(other.to_owned())),
    };
    match ok {
        Ok(()) => Ok(path),
        Err(wanted) => Err(VolumeError::HostPathType { path, wanted }),
    }
}

fn create_folder(path: &Path) -> Result<(), VolumeError> {
    match fs::DirBuilder::new().recursive(true).mode(0o755).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at("make folder", path)(error)),
        _ => Ok(()),
    }
}

fn create_file(path: &Path) -> Result<(), VolumeError> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at("make file", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        fs::write(at("file"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let table = [
            ("nope", "Directory", false),
            ("made", "", true),
            ("made", "Directory", true),
            ("new/dir", "DirectoryOrCreate", true),
            ("new/dir", "Directory", true),
            ("new/dir/file", "FileOrCreate", true),
            ("file", "File", true),
            ("file", "Directory", false),
            ("file", "DirectoryOrCreate", false),
            ("socket", "Socket", true),
            ("file", "Socket", false),
            ("file", "BlockDevice", false),
            ("file", "Nonsense", false),
        ];
        for (name, type_, wanted) in table {
            let source = HostPathVolumeSource { path: at(name), type_: Some(type_.to_owned()) };
            assert_eq!(prepare(&source).is_ok(), wanted, "{name} {type_}");
        }
        let source = HostPathVolumeSource { path: "/dev/null".to_owned(), type_: Some("CharDevice".to_owned()) };
        assert!(prepare(&source).is_ok());
    }
}
