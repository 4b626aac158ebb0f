//! Extended attributes of open files: nix has no call for them.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;

/// Sets an attribute of an open file or folder, replacing its value.
pub fn set(file: impl AsFd, name: &OsStr, value: &[u8]) -> io::Result<()> {
    let name = CString::new(name.as_bytes())?;
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open while borrowed, the name ends in NUL, and the value is valid for its length.
    let result = unsafe { libc::fsetxattr(fd, name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// An attribute's value, or nothing when the file has no such attribute.
pub fn get(file: impl AsFd, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    let name = CString::new(name.as_bytes())?;
    let fd = file.as_fd().as_raw_fd();
    // The kernel allows no longer value.
    let mut value = vec![0_u8; 64 << 10];
    // SAFETY: the descriptor is open while borrowed, the name ends in NUL, and the buffer is writable for its length.
    let length = unsafe { libc::fgetxattr(fd, name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    match usize::try_from(length) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENODATA) => Ok(None),
            error => Err(error),
        },
    }
}
