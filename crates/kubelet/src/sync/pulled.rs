//! Which images came from a registry. All others were imported by hand, and the pull policy `Always`
//! does not ask a registry for those: nobody there knows them.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use skiff_image::Image;

/// The ids of the images that this node has pulled, kept over restarts.
pub(crate) struct Pulled {
    path: PathBuf,
    ids: Mutex<BTreeSet<String>>,
}

impl Pulled {
    /// Reads the record at `path`. One that is not there, or damaged, is an empty one: an image is then
    /// taken for imported, and used as it is.
    pub(crate) fn open(path: PathBuf) -> Self {
        let read = fs::read(&path).map_err(|error| error.to_string());
        let ids = match read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string())) {
            Ok(ids) => ids,
            Err(error) => {
                if path.exists() {
                    tracing::warn!(path = %path.display(), error, "the record of pulled images is damaged");
                }
                BTreeSet::new()
            }
        };
        Self { path, ids: Mutex::new(ids) }
    }

    /// Whether `image` was pulled.
    pub(crate) fn holds(&self, image: &Image) -> bool {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).contains(&image.id.to_string())
    }

    /// Notes that `image` was pulled.
    pub(crate) fn note(&self, image: &Image) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.insert(image.id.to_string())
            && let Err(error) = save(&self.path, &ids)
        {
            tracing::warn!(path = %self.path.display(), %error, "the record of pulled images cannot be kept");
        }
    }
}

fn save(path: &Path, ids: &BTreeSet<String>) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let fresh = path.with_extension("new");
    fs::write(&fresh, serde_json::to_vec(ids)?)?;
    fs::rename(fresh, path)
}
