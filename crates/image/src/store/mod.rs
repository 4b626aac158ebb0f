//! The content store on disk.
//!
//! ```text
//! index.json          the images; replaced as a whole
//! index.lock          held while index.json is replaced
//! activity.lock       held shared by every import and pull, exclusively by the sweep
//! blobs/sha256/HEX    manifests and configurations
//! layers/HEX/fs       one unpacked layer, in overlayfs's form; HEX is its chain id
//! layers/HEX/layer.json
//! ingest/…            work in progress, and what is being deleted
//! ```
//!
//! Guarantees: a layer's folder appears by one rename, so half a layer is never seen. The index names a layer only
//! after `syncfs`, so what it names survives a power cut. What it does not name is garbage, which the sweep removes
//! when the store is opened and after removals. Several processes may use one store at a time.

pub(crate) mod index;
mod ingest;
mod sweep;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use index::{FORMAT, Index};
pub(crate) use ingest::{Draft, LayerTask};

use crate::error::{FileError, StoreError};
use crate::{Config, Digest};

/// The folder, and what this process remembers about it.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    pub(crate) config: Config,
    cache: Mutex<Option<(Stamp, Arc<Index>)>>,
    /// Layers being unpacked here, so that two pulls of a shared base do not unpack it twice.
    unpacking: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
    /// There is garbage that could not be removed because something was under way.
    unswept: AtomicBool,
}

/// Tells one version of `index.json` from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// Held while an image is being added: nothing unreferenced is swept meanwhile.
#[derive(Debug)]
pub(crate) struct Activity {
    _lock: File,
}

impl Store {
    pub(crate) fn open(root: &Path, config: Config) -> Result<Self, StoreError> {
        for folder in ["", "blobs/sha256", "layers", "ingest"] {
            let path = root.join(folder);
            // Set-user-id programs of images must not be reachable by the host's users.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(FileError::new("create", &path))?;
        }
        let store = Self {
            root: root.to_owned(),
            config,
            cache: Mutex::default(),
            unpacking: Mutex::default(),
            unswept: AtomicBool::new(false),
        };
        store.forget_broken()?;
        store.sweep()?;
        Ok(store)
    }

    /// Images whose layers somebody deleted by hand are as good as absent: they can be pulled again.
    fn forget_broken(&self) -> Result<(), StoreError> {
        let index = self.index()?;
        let whole = |layer: &index::Layer| self.layer_folder(layer.chain).join("fs").is_dir();
        let broken: Vec<Digest> =
            index.images.iter().filter(|(_, record)| !record.layers.iter().all(whole)).map(|(id, _)| *id).collect();
        if broken.is_empty() {
            return Ok(());
        }
        tracing::warn!(images = ?broken, "layers are missing on disk: forgetting these images");
        self.update(|index| index.images.retain(|id, _| !broken.contains(id)))
    }

    fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }

    pub(crate) fn blob_path(&self, digest: Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    fn layer_folder(&self, chain: Digest) -> PathBuf {
        self.root.join("layers").join(chain.hex())
    }

    /// The root of an unpacked layer.
    pub(crate) fn layer_path(&self, chain: Digest) -> PathBuf {
        self.layer_folder(chain).join("fs")
    }

    /// The images as of now, also those another process has just added.
    pub(crate) fn index(&self) -> Result<Arc<Index>, StoreError> {
        let path = self.index_path();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Arc::new(Index::empty())),
            Err(error) => return Err(FileError::new("open", &path)(error).into()),
        };
        let meta = file.metadata().map_err(FileError::new("read", &path))?;
        let stamp = Stamp { inode: meta.ino(), length: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) };
        let mut cache = unpoisoned(&self.cache);
        if let Some((known, index)) = &*cache
            && *known == stamp
        {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(parse(&path, file)?);
        *cache = Some((stamp, Arc::clone(&index)));
        Ok(index)
    }

    /// Changes the index: read, changed and replaced under its lock, and on disk when this returns.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T, StoreError> {
        let _lock = self.lock_file("index.lock", File::lock)?;
        let mut index = Index::clone(&*self.index()?);
        let before = index.clone();
        let answer = change(&mut index);
        if index != before {
            self.write_index(&index)?;
        }
        Ok(answer)
    }

    fn write_index(&self, index: &Index) -> Result<(), StoreError> {
        let (path, draft) = (self.index_path(), self.root.join("index.json.new"));
        let bytes = serde_json::to_vec(index).map_err(|source| StoreError::Corrupt { path: path.clone(), source })?;
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.root)?.sync_all()
        };
        Ok(write().map_err(FileError::new("write", &path))?)
    }

    /// Keeps the sweep away until dropped.
    pub(crate) fn activity(&self) -> Result<Activity, StoreError> {
        Ok(Activity { _lock: self.lock_file("activity.lock", File::lock_shared)? })
    }

    fn lock_file(&self, name: &str, lock: fn(&File) -> std::io::Result<()>) -> Result<File, StoreError> {
        let path = self.root.join(name);
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(FileError::new("open", &path))?;
        lock(&file).map_err(FileError::new("lock", &path))?;
        Ok(file)
    }

    /// Forces everything written so far to the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let root = File::open(&self.root).map_err(FileError::new("open", &self.root))?;
        nix::unistd::syncfs(&root).map_err(|errno| FileError::new("sync", &self.root)(errno.into()))?;
        Ok(())
    }
}

fn parse(path: &Path, file: File) -> Result<Index, StoreError> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        format: u32,
    }
    let corrupt = |source| StoreError::Corrupt { path: path.to_owned(), source };
    let bytes = std::io::read_to_string(file).map_err(FileError::new("read", path))?;
    let Envelope { format } = serde_json::from_str(&bytes).map_err(corrupt)?;
    if format > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    serde_json::from_str(&bytes).map_err(corrupt)
}

/// The state behind these locks is replaced as a whole, so a panic elsewhere leaves nothing half-done in it.
pub(crate) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
