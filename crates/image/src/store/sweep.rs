//! Removes what the index does not name: layers of removed images, and what a killed process left behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::Store;
use crate::error::{FileError, StoreError};
use crate::{Digest, Usage};

impl Store {
    /// Removes garbage unless an import or pull is under way, here or in another process; then the last of those does.
    pub(crate) fn sweep(&self) -> Result<(), StoreError> {
        let path = self.root.join("activity.lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(FileError::new("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                self.unswept.store(true, Ordering::Release);
                return Ok(());
            }
            Err(TryLockError::Error(error)) => return Err(FileError::new("lock", &path)(error).into()),
        }
        self.unswept.store(false, Ordering::Release);
        let trash = self.set_aside()?;
        // Deleting may take long; from here on nobody can find what is deleted, so others may go on.
        drop::<File>(lock);
        for path in trash {
            remove_all(&path)?;
        }
        Ok(())
    }

    /// Called when an import or pull has ended.
    pub(crate) fn sweep_if_due(&self) -> Result<(), StoreError> {
        if self.unswept.load(Ordering::Acquire) { self.sweep() } else { Ok(()) }
    }

    fn set_aside(&self) -> Result<Vec<PathBuf>, StoreError> {
        let index = self.index()?;
        let (layers, documents) = (index.live_layers(), index.live_documents());
        let ingest = self.root.join("ingest");
        let mut trash = children(&ingest)?;
        for layer in children(&self.root.join("layers"))? {
            if !named(&layer).is_some_and(|chain| layers.contains(&chain)) {
                let aside = self.fresh_name();
                fs::rename(&layer, &aside).map_err(FileError::new("remove", &layer))?;
                trash.push(aside);
            }
        }
        for blob in children(&self.root.join("blobs/sha256"))? {
            if !named(&blob).is_some_and(|digest| documents.contains(&digest)) {
                remove_all(&blob)?;
            }
        }
        Ok(trash)
    }

    /// What the store takes on disk, each layer and document counted once.
    pub(crate) fn usage(&self) -> Result<Usage, StoreError> {
        let index = self.index()?;
        let layers: std::collections::BTreeMap<Digest, u64> =
            index.images.values().flat_map(|record| &record.layers).map(|layer| (layer.chain, layer.bytes)).collect();
        let documents = index.live_documents().into_iter();
        let documents: u64 =
            documents.filter_map(|digest| fs::metadata(self.blob_path(digest)).ok()).map(|m| m.len()).sum();
        let bytes = layers.values().sum::<u64>() + documents;
        Ok(Usage { images: index.images.len(), layers: layers.len(), bytes })
    }
}

fn named(path: &Path) -> Option<Digest> {
    path.file_name().and_then(|name| name.to_str()).and_then(|hex| Digest::from_hex(hex).ok())
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let list = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    list().map_err(FileError::new("read", folder))
}

/// Another process may be deleting the same thing.
pub(super) fn remove_all(path: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(FileError::new("remove", path)(error)),
        _ => Ok(()),
    }
}
