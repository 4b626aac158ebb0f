//! Mounts, by the kernel's descriptor-based calls: a mount is made first, attached later, and never looked up by a path
//! that someone could have changed in between.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};

/// Flags of a mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// Nothing can be written.
    pub const READONLY: Attributes = Attributes(libc::MOUNT_ATTR_RDONLY);
    /// Set-uid bits are ignored.
    pub const NOSUID: Attributes = Attributes(libc::MOUNT_ATTR_NOSUID);
    /// Device files can't be opened.
    pub const NODEV: Attributes = Attributes(libc::MOUNT_ATTR_NODEV);
    /// Programs can't be executed.
    pub const NOEXEC: Attributes = Attributes(libc::MOUNT_ATTR_NOEXEC);
    /// None.
    pub const NONE: Attributes = Attributes(0);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Attributes) -> Attributes {
        Attributes(self.0 | other.0)
    }
}

/// How mounts made later spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Not at all.
    Private,
    /// In from the source.
    Slave,
    /// Both ways.
    Shared,
}

/// A detached copy of what is mounted at a path: with everything below it, or just the one.
///
/// # Errors
/// When the path does not exist or the kernel refuses.
pub fn clone_tree(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let recursive = if recursive { libc::AT_RECURSIVE as u32 } else { 0 };
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | recursive;
    // SAFETY: `path` is a C string that outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// A detached read-only view of a path.
///
/// # Errors
/// When the path does not exist or the kernel refuses.
pub fn readonly_view(path: &Path) -> io::Result<OwnedFd> {
    let view = clone_tree(path, false)?;
    change(view.as_fd(), Attributes::READONLY, Some(Spread::Private), false)?;
    Ok(view)
}

/// Adds flags to a mount, and with `recursive` to all below it, and says how later mounts spread.
///
/// # Errors
/// When the kernel refuses.
pub fn change(mount: BorrowedFd<'_>, add: Attributes, spread: Option<Spread>, recursive: bool) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    set_attributes(mount.as_raw_fd(), c"", flags, add, spread)
}

/// As [`change`], for whatever is mounted at a path; the last element is not followed when it is a link.
///
/// # Errors
/// When it is no mount point or the kernel refuses.
pub fn change_at(path: &Path, add: Attributes, spread: Option<Spread>, recursive: bool) -> io::Result<()> {
    let flags = libc::AT_SYMLINK_NOFOLLOW | if recursive { libc::AT_RECURSIVE } else { 0 };
    set_attributes(libc::AT_FDCWD, &c_path(path)?, flags, add, spread)
}

fn set_attributes(
    dir: i32,
    path: &std::ffi::CStr,
    flags: i32,
    add: Attributes,
    spread: Option<Spread>,
) -> io::Result<()> {
    let propagation = match spread {
        None => 0,
        Some(Spread::Private) => libc::MS_PRIVATE,
        Some(Spread::Slave) => libc::MS_SLAVE,
        Some(Spread::Shared) => libc::MS_SHARED,
    };
    let attributes = libc::mount_attr { attr_set: add.0, attr_clr: 0, propagation, userns_fd: 0 };
    let size = std::mem::size_of::<libc::mount_attr>();
    // SAFETY: `path` is a C string and `attributes` a `mount_attr` of the given size; both outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_mount_setattr, dir, path.as_ptr(), flags, &raw const attributes, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A new file system, not yet attached anywhere. An option without a value is a flag.
///
/// # Errors
/// When the kernel does not know the file system or an option.
pub fn new_filesystem(kind: &str, options: &[(&str, Option<&Path>)], attributes: Attributes) -> io::Result<OwnedFd> {
    let name = CString::new(kind)?;
    // SAFETY: `name` is a C string that outlives the call.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), libc::FSOPEN_CLOEXEC) })?;
    for (key, value) in options {
        match value {
            Some(value) => configure(&context, libc::FSCONFIG_SET_STRING, Some(key), Some(value))?,
            None => configure(&context, libc::FSCONFIG_SET_FLAG, Some(key), None)?,
        }
    }
    configure(&context, libc::FSCONFIG_CMD_CREATE, None, None)?;
    // SAFETY: the call takes a descriptor and two integers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), libc::FSMOUNT_CLOEXEC, attributes.0) })
}

fn configure(context: &OwnedFd, command: u32, key: Option<&str>, value: Option<&Path>) -> io::Result<()> {
    let key = key.map(CString::new).transpose()?;
    let value = value.map(c_path).transpose()?;
    let pointer = |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
    // SAFETY: key and value are null or C strings that outlive the call, as these three commands take them.
    let result =
        unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), command, pointer(&key), pointer(&value), 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Attaches a detached mount on a file or folder that is open already (`O_PATH` is enough).
///
/// # Errors
/// When one is a folder and the other is not, or the kernel refuses.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    let (from, to) = (mount.as_raw_fd(), target.as_raw_fd());
    // SAFETY: both strings are constants.
    let result = unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, c"".as_ptr(), flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens a file or folder without reading it, to mount on. Links are followed within this process's root.
///
/// # Errors
/// When it does not exist.
pub fn open_target(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)
}

/// An overlay of read-only layers (top first) under a writable one, attached at `target`.
///
/// It is `volatile`: its contents end with the container, so nothing waits for the disk when it is unmounted.
///
/// # Errors
/// When a folder is missing or the kernel refuses.
pub fn overlay(layers: &[PathBuf], upper: &Path, work: &Path, target: &Path, add: Attributes) -> io::Result<()> {
    let mut options: Vec<(&str, Option<&Path>)> = layers.iter().map(|layer| ("lowerdir+", Some(&**layer))).collect();
    options.extend([("upperdir", Some(upper)), ("workdir", Some(work)), ("volatile", None)]);
    match new_filesystem("overlay", &options, add) {
        Ok(mount) => attach(mount.as_fd(), open_target(target)?.as_fd()),
        // Older than Linux 6.5, or a path of 256 bytes or more: all layers go into one string.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => overlay_string(layers, upper, work, target, add),
        Err(error) => Err(error),
    }
}

/// The string holds one page at most, so the layers' common parent becomes the working folder and their names short.
fn overlay_string(layers: &[PathBuf], upper: &Path, work: &Path, target: &Path, add: Attributes) -> io::Result<()> {
    let mut parent = layers.first().and_then(|layer| layer.parent()).unwrap_or(Path::new("/"));
    while !layers.iter().all(|layer| layer.starts_with(parent)) {
        parent = parent.parent().unwrap_or(Path::new("/"));
    }
    let mut options = b"volatile,upperdir=".to_vec();
    push_escaped(&mut options, upper);
    options.extend_from_slice(b",workdir=");
    push_escaped(&mut options, work);
    options.extend_from_slice(b",lowerdir=");
    for (at, layer) in layers.iter().enumerate() {
        if at > 0 {
            options.push(b':');
        }
        push_escaped(&mut options, layer.strip_prefix(parent).unwrap_or(layer));
    }
    let before = std::env::current_dir()?;
    std::env::set_current_dir(parent)?;
    let flags = if add == Attributes::NODEV { MsFlags::MS_NODEV } else { MsFlags::empty() };
    let result = nix::mount::mount(Some("overlay"), target, Some("overlay"), flags, Some(options.as_slice()));
    std::env::set_current_dir(before)?;
    Ok(result?)
}

fn push_escaped(options: &mut Vec<u8>, path: &Path) {
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b',' | b'\\') {
            options.push(b'\\');
        }
        options.push(*byte);
    }
}

/// Makes what is mounted at `root` this mount namespace's root, and lets go of the old one.
///
/// # Errors
/// When it is no mount point or the kernel refuses.
pub fn pivot(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    nix::unistd::pivot_root(".", ".")?;
    // The old root lies on top of the new one now, and `.` is the old one.
    nix::mount::umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")
}

/// Lets go of whatever is mounted at a path; nothing there is no error.
///
/// # Errors
/// When the kernel refuses.
pub fn detach_if_mounted(path: &Path) -> io::Result<()> {
    match nix::mount::umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(nix::Error::EINVAL | nix::Error::ENOENT) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: only called with the result of a call that makes a descriptor, which nobody else knows yet.
    Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
}
