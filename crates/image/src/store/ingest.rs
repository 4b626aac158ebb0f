//! Brings blobs and layers in: everything is made under `ingest/` and appears in its place by a rename.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::index::{Layer, Record};
use super::{Store, sweep, unpoisoned};
use crate::Digest;
use crate::error::{FileError, LayerError, LayerFault, StoreError};
use crate::unpack::{self, Expected};

/// A layer to be brought in.
#[derive(Debug, Clone)]
pub(crate) struct LayerTask {
    /// The digest and size its blob must have; a Docker archive does not say.
    pub(crate) blob: Option<(Digest, u64)>,
    /// The digest its uncompressed archive must have.
    pub(crate) diff: Digest,
    /// What it is together with the layers below.
    pub(crate) chain: Digest,
    /// Chains of the layers below, the top one first.
    pub(crate) below: Vec<Digest>,
}

/// Opens a layer's blob, when it turns out to be needed.
pub(crate) type LayerSource<'a> = &'a mut dyn FnMut() -> std::io::Result<Box<dyn Read + Send>>;

/// A file or folder under `ingest/` that vanishes unless it was moved to its place.
#[derive(Debug)]
pub(crate) struct Draft(PathBuf);

impl Draft {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = sweep::remove_all(&self.0) {
            tracing::warn!(%error, "work in progress left behind; the next start removes it");
        }
    }
}

impl Store {
    /// A path under `ingest/` that nobody else uses.
    pub(super) fn fresh_name(&self) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.root.join("ingest").join(format!("{}-{}-{number}", std::process::id(), clock.as_nanos()))
    }

    pub(crate) fn draft(&self) -> Draft {
        Draft(self.fresh_name())
    }

    /// Keeps a manifest or configuration whose digest has been checked.
    pub(crate) fn put_document(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        if path.exists() {
            return Ok(());
        }
        let draft = self.draft();
        fs::write(draft.path(), bytes).map_err(FileError::new("write", draft.path()))?;
        fs::rename(draft.path(), &path).map_err(FileError::new("write", &path))?;
        Ok(())
    }

    /// The layer, when it has been unpacked before.
    pub(crate) fn layer(&self, chain: Digest) -> Option<Layer> {
        let bytes = fs::read(self.layer_folder(chain).join("layer.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Unpacks a layer unless it is there already.
    pub(crate) fn add_layer(&self, task: &LayerTask, open: LayerSource<'_>) -> Result<Layer, LayerError> {
        let turn = Arc::clone(unpoisoned(&self.unpacking).entry(task.chain).or_default());
        let result = {
            let _turn = unpoisoned(&turn);
            match self.layer(task.chain) {
                Some(layer) => Ok(layer),
                None => self.unpack_layer(task, open),
            }
        };
        self.end_turn(task.chain, turn);
        let layer = task.blob.map_or(task.diff, |(digest, _)| digest);
        result.map_err(|cause| LayerError { layer, cause: Box::new(cause) })
    }

    fn end_turn(&self, chain: Digest, turn: Arc<Mutex<()>>) {
        let mut unpacking = unpoisoned(&self.unpacking);
        drop(turn);
        if unpacking.get(&chain).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            unpacking.remove(&chain);
        }
    }

    fn unpack_layer(&self, task: &LayerTask, open: LayerSource<'_>) -> Result<Layer, LayerFault> {
        let draft = self.draft();
        let root = draft.path().join("fs");
        fs::create_dir_all(&root).map_err(FileError::new("create", &root))?;
        let source = open().map_err(LayerFault::Damaged)?;
        let below: Vec<PathBuf> = task.below.iter().map(|chain| self.layer_path(*chain)).collect();
        let expected = Expected { blob: task.blob, diff: task.diff };
        let bytes = unpack::unpack(source, &expected, &root, &below, &self.config)?;
        let layer = Layer { chain: task.chain, bytes };
        let note = draft.path().join("layer.json");
        let json = serde_json::to_vec(&layer).map_err(std::io::Error::from);
        json.and_then(|json| fs::write(&note, json)).map_err(FileError::new("write", &note))?;
        let place = self.layer_folder(task.chain);
        match fs::rename(draft.path(), &place) {
            // Another process was faster, and its layer is the same.
            Err(_) if self.layer(task.chain).is_some() => Ok(layer),
            other => Ok(other.map(|()| layer).map_err(FileError::new("create", &place))?),
        }
    }

    /// Makes an image visible: all of its layers and documents are in their places.
    pub(crate) fn commit(&self, id: Digest, record: Record) -> Result<(), StoreError> {
        self.sync()?;
        self.update(|index| index.insert(id, record))
    }
}
