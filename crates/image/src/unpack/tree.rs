//! The folder a layer is unpacked into: every name is resolved under its root by `openat2`, never by the plain path.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{self, FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::{self, Gid, Uid, UnlinkatFlags};
use skiff_linux::xattr;

use super::resolve;
use crate::error::{FileError, LayerFault};
use crate::tape::Item;

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// Folders kept open, so that most entries need one look-up less.
const OPEN_FOLDERS: usize = 256;

/// An entry's name, taken apart: no empty part, no `.`, no `..`.
#[derive(Debug, Clone)]
pub(super) struct Name<'a>(Vec<&'a [u8]>);

impl<'a> Name<'a> {
    pub(super) fn parse(name: &'a [u8]) -> Result<Self, LayerFault> {
        let entry = || String::from_utf8_lossy(name).into_owned();
        let parts: Vec<&[u8]> =
            name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        if parts.contains(&b"..".as_slice()) {
            return Err(LayerFault::Escape { entry: entry(), through: String::new() });
        }
        if name.contains(&0) {
            return Err(LayerFault::Name { entry: entry(), why: "it has a NUL byte" });
        }
        Ok(Self(parts))
    }

    pub(super) fn last(&self) -> &'a [u8] {
        self.0.last().copied().unwrap_or_default()
    }

    pub(super) fn parent(&self) -> Name<'a> {
        Name(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    pub(super) fn sibling(&self, last: &'a [u8]) -> Name<'a> {
        let mut parts = self.parent().0;
        parts.push(last);
        Name(parts)
    }

    pub(super) fn is_below(&self, folder: &[u8]) -> bool {
        self.0.len() > 1 && self.0[0] == folder
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.join(&b'/')
    }

    pub(super) fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> LayerFault {
        let entry = self.to_string();
        move |source| LayerFault::Entry { entry, action, source }
    }

    fn refused(&self, action: &'static str) -> impl FnOnce(Errno) -> LayerFault {
        let failed = self.failed(action);
        move |errno| failed(errno.into())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes()))
    }
}

pub(super) struct Tree {
    root: Rc<OwnedFd>,
    below: Vec<OwnedFd>,
    open: HashMap<Vec<u8>, Rc<OwnedFd>>,
    /// Folders' times are set last, since every file made in a folder changes them.
    times: Vec<(Vec<u8>, TimeSpec)>,
}

impl Tree {
    pub(super) fn open(root: &Path, below: &[PathBuf]) -> Result<Self, LayerFault> {
        let open = |path: &Path| -> Result<OwnedFd, FileError> {
            nix::fcntl::open(path, FOLDER, Mode::empty()).map_err(|e| FileError::new("open", path)(e.into()))
        };
        let below = below.iter().map(|path| open(path)).collect::<Result<_, _>>()?;
        Ok(Self { root: Rc::new(open(root)?), below, open: HashMap::new(), times: Vec::new() })
    }

    /// The folder that `name` is to be made in, and its last part.
    fn place<'a>(&mut self, name: &Name<'a>) -> Result<(Rc<OwnedFd>, &'a OsStr), LayerFault> {
        if name.is_root() {
            return Err(LayerFault::Name { entry: "/".to_owned(), why: "the root can only be a folder" });
        }
        Ok((self.folder_at(&name.parent(), name)?, OsStr::from_bytes(name.last())))
    }

    /// Opens a folder of the layer, making it when it is not there.
    fn folder_at(&mut self, folder: &Name<'_>, entry: &Name<'_>) -> Result<Rc<OwnedFd>, LayerFault> {
        if folder.is_root() {
            return Ok(Rc::clone(&self.root));
        }
        let path = folder.bytes();
        if let Some(fd) = self.open.get(&path) {
            return Ok(Rc::clone(fd));
        }
        let fd = match self.beneath(&path) {
            Ok(fd) => Rc::new(fd),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => self.implied(folder, entry)?,
            // A link on the way leads to an absolute place, or out.
            Err(Errno::EXDEV) => self.through_links(folder, entry)?,
            Err(errno) => return Err(entry.refused("open its folder")(errno)),
        };
        if self.open.len() >= OPEN_FOLDERS {
            self.open.clear();
        }
        self.open.insert(path, Rc::clone(&fd));
        Ok(fd)
    }

    fn beneath(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let how =
            OpenHow::new().flags(FOLDER).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&*self.root, OsStr::from_bytes(path), how)
    }

    /// Makes a folder that the archive does not list, after the one it will hide in the layers below.
    fn implied(&mut self, folder: &Name<'_>, entry: &Name<'_>) -> Result<Rc<OwnedFd>, LayerFault> {
        let parent = self.folder_at(&folder.parent(), entry)?;
        let last = OsStr::from_bytes(folder.last());
        let make = || stat::mkdirat(&*parent, last, Mode::from_bits_truncate(0o755));
        let renewed = match make() {
            Ok(()) => false,
            // A link to what is not there yet, or a whiteout that this folder comes after.
            Err(Errno::EEXIST) => {
                let there = stat::fstatat(&*parent, last, AtFlags::AT_SYMLINK_NOFOLLOW);
                if !is_whiteout(&there.map_err(entry.refused("look at its folder"))?) {
                    return self.through_links(folder, entry);
                }
                self.clear(folder, &parent, last)?;
                make().map_err(entry.refused("make its folder"))?;
                true
            }
            Err(errno) => return Err(entry.refused("make its folder")(errno)),
        };
        let fd = openat(&*parent, last, FOLDER | OFlag::O_NOFOLLOW, Mode::empty());
        let fd = fd.map_err(entry.refused("open its folder"))?;
        let (mode, uid, gid) = self.hidden(&folder.bytes()).unwrap_or((0o755, 0, 0));
        unistd::fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(entry.refused("own its folder"))?;
        stat::fchmod(&fd, Mode::from_bits_truncate(mode)).map_err(entry.refused("set its folder's mode"))?;
        if renewed {
            mark_opaque(&fd, folder)?;
        }
        Ok(Rc::new(fd))
    }

    /// The folder that links lead to, as long as they stay in the layer.
    fn through_links(&mut self, folder: &Name<'_>, entry: &Name<'_>) -> Result<Rc<OwnedFd>, LayerFault> {
        let path = folder.bytes();
        let real = resolve::within(&*self.root, &path).map_err(|fault| fault.of(entry))?;
        if real == path {
            return Err(not_folder(folder, entry));
        }
        self.folder_at(&Name::parse(&real)?, entry)
    }

    /// Mode, user and group of the folder of that name in the layers below.
    fn hidden(&self, path: &[u8]) -> Option<(u32, u32, u32)> {
        let how = || {
            OpenHow::new()
                .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
                .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS)
        };
        let found = self.below.iter().find_map(|layer| openat2(layer, OsStr::from_bytes(path), how()).ok())?;
        let stat = stat::fstat(&found).ok()?;
        is_kind(&stat, SFlag::S_IFDIR).then_some((stat.st_mode & 0o7777, stat.st_uid, stat.st_gid))
    }

    pub(super) fn folder(&mut self, name: &Name<'_>, item: &Item) -> Result<(), LayerFault> {
        self.times.push((name.bytes(), mtime(item)));
        if name.is_root() {
            return self.dress(name, &Rc::clone(&self.root), item);
        }
        let (parent, last) = self.place(name)?;
        match stat::mkdirat(&*parent, last, Mode::from_bits_truncate(0o700)) {
            Ok(()) => {}
            Err(Errno::EEXIST) => self.replace_by_folder(name, &parent, last)?,
            Err(errno) => return Err(name.refused("make the folder")(errno)),
        }
        if item.xattrs.is_empty() {
            return self.dress_at(name, &parent, last, item);
        }
        let fd = openat(&*parent, last, FOLDER | OFlag::O_NOFOLLOW, Mode::empty());
        self.dress(name, &fd.map_err(name.refused("open it"))?, item)
    }

    /// A folder may be listed twice; anything else makes way. Over a whiteout the folder is opaque: it is a new one.
    fn replace_by_folder(&mut self, name: &Name<'_>, parent: &OwnedFd, last: &OsStr) -> Result<(), LayerFault> {
        let there = stat::fstatat(parent, last, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(name.refused("look at it"))?;
        if is_kind(&there, SFlag::S_IFDIR) {
            return Ok(());
        }
        self.clear(name, parent, last)?;
        stat::mkdirat(parent, last, Mode::from_bits_truncate(0o700)).map_err(name.refused("make the folder"))?;
        if is_whiteout(&there) { self.opaque(name) } else { Ok(()) }
    }

    /// A new file, to be written and then finished.
    pub(super) fn file(&mut self, name: &Name<'_>) -> Result<File, LayerFault> {
        let (parent, last) = self.place(name)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let create = || openat(&*parent, last, flags, Mode::from_bits_truncate(0o600));
        let fd = match create() {
            Err(Errno::EEXIST) => {
                self.clear(name, &parent, last)?;
                create()
            }
            other => other,
        };
        Ok(File::from(fd.map_err(name.refused("create it"))?))
    }

    pub(super) fn finish_file(&self, name: &Name<'_>, file: &File, item: &Item) -> Result<(), LayerFault> {
        self.dress(name, file, item)?;
        let time = mtime(item);
        stat::futimens(file, &time, &time).map_err(name.refused("set its time"))
    }

    /// Owner, mode and attributes, in this order: a change of owner clears set-user-id and capabilities.
    fn dress(&self, name: &Name<'_>, fd: &impl AsFd, item: &Item) -> Result<(), LayerFault> {
        if (item.uid, item.gid) != (0, 0) {
            let (uid, gid) = (Uid::from_raw(item.uid), Gid::from_raw(item.gid));
            unistd::fchown(fd, Some(uid), Some(gid)).map_err(name.refused("set its owner"))?;
        }
        stat::fchmod(fd, Mode::from_bits_truncate(item.mode)).map_err(name.refused("set its mode"))?;
        for (attribute, value) in &item.xattrs {
            if attribute == b"security.capability" || attribute.starts_with(b"user.") {
                xattr::set(fd, OsStr::from_bytes(attribute), value).map_err(name.failed("set an attribute"))?;
            }
        }
        Ok(())
    }

    fn dress_at(&self, name: &Name<'_>, parent: &OwnedFd, last: &OsStr, item: &Item) -> Result<(), LayerFault> {
        self.own_at(name, parent, last, item)?;
        let mode = Mode::from_bits_truncate(item.mode);
        stat::fchmodat(parent, last, mode, FchmodatFlags::FollowSymlink).map_err(name.refused("set its mode"))
    }

    fn own_at(&self, name: &Name<'_>, parent: &OwnedFd, last: &OsStr, item: &Item) -> Result<(), LayerFault> {
        if (item.uid, item.gid) == (0, 0) {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(item.uid), Gid::from_raw(item.gid));
        unistd::fchownat(parent, last, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(name.refused("set its owner"))
    }

    fn time_at(&self, name: &Name<'_>, parent: &OwnedFd, last: &OsStr, item: &Item) -> Result<(), LayerFault> {
        let time = mtime(item);
        stat::utimensat(parent, last, &time, &time, UtimensatFlags::NoFollowSymlink)
            .map_err(name.refused("set its time"))
    }

    /// Makes something that cannot be opened first, over whatever has its name.
    fn make(
        &mut self,
        name: &Name<'_>,
        action: &'static str,
        make: impl Fn(&OwnedFd, &OsStr) -> Result<(), Errno>,
    ) -> Result<(), LayerFault> {
        let (parent, last) = self.place(name)?;
        let made = match make(&parent, last) {
            Err(Errno::EEXIST) => {
                self.clear(name, &parent, last)?;
                make(&parent, last)
            }
            other => other,
        };
        made.map_err(name.refused(action))
    }

    pub(super) fn symlink(&mut self, name: &Name<'_>, target: &[u8], item: &Item) -> Result<(), LayerFault> {
        self.make(name, "make the link", |parent, last| unistd::symlinkat(OsStr::from_bytes(target), parent, last))?;
        let (parent, last) = self.place(name)?;
        self.own_at(name, &parent, last, item)?;
        self.time_at(name, &parent, last, item)
    }

    pub(super) fn hard_link(&mut self, name: &Name<'_>, target: &[u8]) -> Result<(), LayerFault> {
        let target = Name::parse(target).map_err(|_| LayerFault::Escape {
            entry: name.to_string(),
            through: format!(" through its link target {:?}", String::from_utf8_lossy(target)),
        })?;
        let missing = || LayerFault::LinkTarget { entry: name.to_string(), target: target.to_string() };
        if target.is_root() {
            return Err(missing());
        }
        let from = self.folder_at(&target.parent(), name)?;
        let from_last = OsStr::from_bytes(target.last());
        if target.bytes() == name.bytes() {
            return Ok(());
        }
        match stat::fstatat(&*from, from_last, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(there) if !is_kind(&there, SFlag::S_IFDIR) && !is_whiteout(&there) => {}
            _ => return Err(missing()),
        }
        self.make(name, "make the hard link", |parent, last| {
            unistd::linkat(&*from, from_last, parent, last, AtFlags::empty())
        })
    }

    pub(super) fn fifo(&mut self, name: &Name<'_>, item: &Item) -> Result<(), LayerFault> {
        self.node(name, item, SFlag::S_IFIFO, 0)
    }

    pub(super) fn device(&mut self, name: &Name<'_>, item: &Item, major: u32, minor: u32) -> Result<(), LayerFault> {
        let kind = match item.kind {
            crate::tape::Kind::Block { .. } => SFlag::S_IFBLK,
            _ => SFlag::S_IFCHR,
        };
        self.node(name, item, kind, stat::makedev(major.into(), minor.into()))
    }

    fn node(&mut self, name: &Name<'_>, item: &Item, kind: SFlag, device: u64) -> Result<(), LayerFault> {
        let mode = Mode::from_bits_truncate(0o600);
        self.make(name, "make the node", |parent, last| stat::mknodat(parent, last, kind, mode, device))?;
        let (parent, last) = self.place(name)?;
        self.dress_at(name, &parent, last, item)?;
        self.time_at(name, &parent, last, item)
    }

    /// Hides a name of the layers below. A file of this layer hides it anyway; a folder has to say so.
    pub(super) fn whiteout(&mut self, name: &Name<'_>) -> Result<(), LayerFault> {
        let (parent, last) = self.place(name)?;
        match stat::mknodat(&*parent, last, SFlag::S_IFCHR, Mode::empty(), 0) {
            Ok(()) => Ok(()),
            Err(Errno::EEXIST) => {
                let there = stat::fstatat(&*parent, last, AtFlags::AT_SYMLINK_NOFOLLOW);
                let folder = is_kind(&there.map_err(name.refused("look at it"))?, SFlag::S_IFDIR);
                if folder { self.opaque(name) } else { Ok(()) }
            }
            Err(errno) => Err(name.refused("make the whiteout")(errno)),
        }
    }

    /// Hides all that the layers below have in a folder.
    pub(super) fn opaque(&mut self, folder: &Name<'_>) -> Result<(), LayerFault> {
        let fd = self.folder_at(folder, folder)?;
        mark_opaque(&fd, folder)
    }

    /// Removes what has this name, so that something else can.
    fn clear(&mut self, name: &Name<'_>, parent: &OwnedFd, last: &OsStr) -> Result<(), LayerFault> {
        // Folders held open may lie below it, or were reached through it.
        self.open.clear();
        match unistd::unlinkat(parent, last, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR) => {
                let path = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(last);
                std::fs::remove_dir_all(path).map_err(name.failed("replace it"))
            }
            other => other.map_err(name.refused("replace it")),
        }
    }

    /// Sets the folders' times, the innermost first.
    pub(super) fn finish(&mut self) -> Result<(), LayerFault> {
        self.open.clear();
        for (path, time) in self.times.drain(..).rev() {
            let how =
                OpenHow::new().flags(FOLDER).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
            let path = if path.is_empty() { b"." } else { path.as_slice() };
            // A folder that a later entry replaced has no time to set.
            if let Ok(fd) = openat2(&*self.root, OsStr::from_bytes(path), how) {
                let entry = String::from_utf8_lossy(path).into_owned();
                let failed = |errno: Errno| LayerFault::Entry { entry, action: "set its time", source: errno.into() };
                stat::futimens(&fd, &time, &time).map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn mtime(item: &Item) -> TimeSpec {
    TimeSpec::new(item.mtime.0, item.mtime.1)
}

fn is_kind(stat: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == kind
}

fn is_whiteout(stat: &FileStat) -> bool {
    is_kind(stat, SFlag::S_IFCHR) && stat.st_rdev == 0
}

fn mark_opaque(fd: &OwnedFd, folder: &Name<'_>) -> Result<(), LayerFault> {
    xattr::set(fd, OsStr::new("trusted.overlay.opaque"), b"y").map_err(folder.failed("make it opaque"))
}

fn not_folder(folder: &Name<'_>, entry: &Name<'_>) -> LayerFault {
    LayerFault::NotFolder { entry: entry.to_string(), parent: folder.to_string() }
}
