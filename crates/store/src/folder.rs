//! The folder that a store lives in: who may use it, which format it has, how far it had come.
//!
//! ```text
//! lock      held while a server has the store open; names its process
//! format    the number of the layout, written before anything else
//! head      the last acknowledged revision, so that a database that lost its end is noticed
//! sled/     the database
//! backup-N  everything at revision N, in a form that needs no database to read
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::record::checksum;
use crate::{BackendError, Damage, OpenError};

/// The format that this program writes, and the newest it reads.
pub(crate) const FORMAT: u32 = 1;

const MARKER: &str = "skiff-store ";

/// A store's folder, held exclusively.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be and takes it, unless another process has it.
    pub(crate) fn claim(path: &Path) -> Result<Self, OpenError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { action, path, source }
        };
        fs::create_dir_all(path).map_err(failed("make the folder", path))?;
        let name = path.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&name)
            .map_err(failed("open", &name))?;
        match patiently(|| lock.try_lock(), |error| matches!(error, TryLockError::WouldBlock)) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(OpenError::AlreadyOpen { folder: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => {
                return Err(OpenError::Io { action: "lock", path: name, source });
            }
        }
        let pid = format!("{}\n", std::process::id());
        lock.set_len(0).and_then(|()| lock.write_all(pid.as_bytes())).map_err(failed("write", &name))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("sled")
    }

    /// Checks the format, or writes it where nothing is yet.
    pub(crate) fn check_format(&self) -> Result<Result<(), Damage>, OpenError> {
        let path = self.path.join("format");
        let text = match fs::read(&path) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_new() => {
                return self.write_format().map(Ok);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(Damage::MarkerMissing)),
            Err(source) => return Err(OpenError::Io { action: "read", path, source }),
        };
        let number = text.strip_prefix(MARKER).and_then(|rest| rest.strip_suffix('\n')).and_then(|n| n.parse().ok());
        match number {
            Some(found) if found > FORMAT => {
                Err(OpenError::NewerFormat { folder: self.path.clone(), found, known: FORMAT })
            }
            Some(FORMAT) => Ok(Ok(())),
            _ => Ok(Err(Damage::Marker)),
        }
    }

    /// Writes the format marker so that it stays.
    pub(crate) fn write_format(&self) -> Result<(), OpenError> {
        let path = self.path.join("format");
        replace(&path, format!("{MARKER}{FORMAT}\n").as_bytes()).map_err(|source| OpenError::Io {
            action: "write",
            path,
            source,
        })
    }

    fn is_new(&self) -> bool {
        !self.database().exists() && !self.path.join("head").exists()
    }
}

/// Tries to get hold of a lock again for a moment while it is `held`: a process that starts another one shares all its
/// locks with it until that one has begun, also those that it has just let go itself.
pub(crate) fn patiently<T, E>(mut attempt: impl FnMut() -> Result<T, E>, held: impl Fn(&E) -> bool) -> Result<T, E> {
    const PAUSE: Duration = Duration::from_millis(5);
    for _ in 0..60 {
        match attempt() {
            Err(error) if held(&error) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    attempt()
}

/// Puts a file in place, whole or not at all, so that it survives the loss of power.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// The witness beside the database: the last revision that was acknowledged.
///
/// It is written after the database is durable and is not made durable itself, so that it costs nothing; it can lag
/// behind after a loss of power but never be ahead. A database that is behind it has lost acknowledged writes.
pub(crate) struct Witness {
    file: File,
    path: PathBuf,
}

impl Witness {
    /// Opens the witness of a folder, or makes one.
    pub(crate) fn open(folder: &Path) -> Result<Self, BackendError> {
        let path = folder.join("head");
        let failed = |source| BackendError::Io { action: "open", path: path.clone(), source };
        if !path.exists() {
            replace(&path, &Self::text(0)).map_err(failed)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        Ok(Self { file, path })
    }

    /// The last acknowledged revision; nothing when the file does not say.
    pub(crate) fn read(&self) -> Option<u64> {
        let mut text = [0; 30];
        self.file.read_exact_at(&mut text, 0).ok()?;
        let revision = std::str::from_utf8(text.get(..20)?).ok()?.parse().ok()?;
        (text == *Self::text(revision)).then_some(revision)
    }

    /// Notes a revision.
    pub(crate) fn write(&self, revision: u64) -> Result<(), BackendError> {
        self.file.write_all_at(&Self::text(revision), 0).map_err(|source| BackendError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        })
    }

    fn text(revision: u64) -> Box<[u8]> {
        let number = format!("{revision:020}");
        format!("{number} {:08x}\n", checksum(&[number.as_bytes()])).into_bytes().into_boxed_slice()
    }
}
