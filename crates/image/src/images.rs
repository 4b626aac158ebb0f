//! The one handle to the node's images.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::error::{ImportError, PullError, RemoveError, StoreError};
use crate::pull::Pulls;
use crate::store::Store;
use crate::store::index::{Found, Record};
use crate::{Config, Digest, Image, ImportOptions, InvalidReference, Keyring, OnProgress, Reference, Usage};

/// The node's images. Cheap to clone; all clones share one store and the pulls under way.
#[derive(Debug, Clone)]
pub struct Images {
    store: Arc<Store>,
    pulls: Arc<Pulls>,
}

/// Why an image cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The name does not parse: Kubernetes's `InvalidImageName`.
    #[error(transparent)]
    Name(#[from] InvalidReference),
    /// The store cannot be read: Kubernetes's `ImageInspectError`.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Images {
    /// Opens the store in `dir`, making it when it is not there, and removes what a killed process left behind.
    pub async fn open(dir: impl AsRef<Path>, config: Config) -> Result<Self, StoreError> {
        let dir = dir.as_ref().to_owned();
        let store = blocking(move || Store::open(&dir, config)).await?;
        Ok(Self { store: Arc::new(store), pulls: Arc::default() })
    }

    /// All images, by id.
    pub fn list(&self) -> Result<Vec<Image>, StoreError> {
        Ok(self.store.index()?.images.iter().map(|(id, record)| self.image(*id, record)).collect())
    }

    /// The image that a pod or a person means: by name (`httpenv`), by digest, by id or by the start of an id.
    pub fn find(&self, what: &str) -> Result<Option<Image>, FindError> {
        let index = self.store.index()?;
        let reference = what.parse::<Reference>();
        Ok(match (index.resolve(what, reference.as_ref().ok()), reference) {
            (Found::Name(id) | Found::Id(id), _) => index.images.get(&id).map(|record| self.image(id, record)),
            (_, Err(error)) if what.parse::<Digest>().is_err() && Digest::from_hex(what).is_err() => {
                return Err(error.into());
            }
            _ => None,
        })
    }

    /// Removes a name; the image goes with its last name, or at once when named by its id. Images in `in_use` stay.
    /// Layers are freed when no other image has them. Answers with the ids of images that are gone.
    pub async fn remove(&self, what: &str, in_use: &HashSet<Digest>) -> Result<Vec<Digest>, RemoveError> {
        let (store, what, in_use) = (Arc::clone(&self.store), what.to_owned(), in_use.clone());
        blocking(move || {
            let gone = store.update(|index| remove(index, &what, &in_use))??;
            store.sweep()?;
            Ok(gone)
        })
        .await
    }

    /// Room taken on disk.
    pub async fn usage(&self) -> Result<Usage, StoreError> {
        let store = Arc::clone(&self.store);
        blocking(move || store.usage()).await
    }

    /// Brings in all images of an OCI layout (folder or archive) or a Docker archive, `.tar` or compressed.
    pub async fn import(&self, path: impl AsRef<Path>, options: ImportOptions) -> Result<Vec<Image>, ImportError> {
        let (store, path) = (Arc::clone(&self.store), path.as_ref().to_owned());
        let ids = blocking(move || crate::import::import(&store, &path, &options)).await?;
        let index = self.store.index()?;
        Ok(ids.iter().filter_map(|id| index.images.get(id).map(|record| self.image(*id, record))).collect())
    }

    /// Fetches an image from its registry, with whichever credentials of the keyring apply.
    ///
    /// Pulls of one image with the same credentials that run at the same time share one download.
    pub async fn pull(
        &self,
        reference: &Reference,
        keyring: &Keyring,
        progress: Option<OnProgress>,
    ) -> Result<Image, PullError> {
        let id = self.pulls.pull(&self.store, reference, keyring, progress).await?;
        let index = self.store.index().map_err(|error| PullError::new(reference, error))?;
        match index.images.get(&id) {
            Some(record) => Ok(self.image(id, record)),
            None => Err(PullError::new(reference, crate::PullFault::NotFound(Box::new(reference.clone())))),
        }
    }

    fn image(&self, id: Digest, record: &Record) -> Image {
        Image {
            id,
            names: record.names.iter().cloned().collect(),
            digests: record.digests.iter().cloned().collect(),
            size: record.layers.iter().map(|layer| layer.bytes).sum(),
            stored_at: record.stored_at,
            config: record.config.clone(),
            layers: record.layers.iter().rev().map(|layer| self.store.layer_path(layer.chain)).collect(),
        }
    }
}

fn remove(
    index: &mut crate::store::index::Index,
    what: &str,
    in_use: &HashSet<Digest>,
) -> Result<Vec<Digest>, RemoveError> {
    let reference = what.parse::<Reference>();
    let (id, by_name) = match index.resolve(what, reference.as_ref().ok()) {
        Found::Name(id) => (id, true),
        Found::Id(id) => (id, false),
        Found::Ambiguous(count) => return Err(RemoveError::Ambiguous(what.to_owned(), count)),
        Found::Nothing => return Err(RemoveError::NotFound(what.to_owned())),
    };
    let before = index.clone();
    let gone = match reference {
        Ok(reference) if by_name => index.untag(id, &reference),
        _ => index.images.remove(&id).is_some(),
    };
    if gone && in_use.contains(&id) {
        *index = before;
        return Err(RemoveError::InUse { name: what.to_owned(), id });
    }
    Ok(if gone { vec![id] } else { Vec::new() })
}

/// Runs file work away from the async threads.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(join) => match join.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(E::from(StoreError::Cancelled)),
        },
    }
}
