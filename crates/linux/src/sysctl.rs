//! Kernel settings under `/proc/sys`, with what they were before.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A setting could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct Error {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The value of `name`, a path below `/proc/sys` such as `net/ipv4/ip_forward`.
///
/// # Errors
/// When there is no such setting.
pub fn read(name: &str) -> Result<String, Error> {
    let path = Path::new("/proc/sys").join(name);
    match fs::read_to_string(&path) {
        Ok(value) => Ok(value.trim_end().to_owned()),
        Err(source) => Err(Error { operation: "read", path, source }),
    }
}

/// Sets `name` unless it is so already; the old value if it was changed.
///
/// # Errors
/// When there is no such setting, or it cannot be written.
pub fn set(name: &str, value: &str) -> Result<Option<String>, Error> {
    let old = read(name)?;
    if old == value {
        return Ok(None);
    }
    let path = Path::new("/proc/sys").join(name);
    fs::write(&path, value).map_err(|source| Error { operation: "write", path, source })?;
    Ok(Some(old))
}
