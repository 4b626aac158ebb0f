//! Images from files: an OCI layout (folder or archive) or what `docker save` writes.

mod bundle;
mod docker;
mod layout;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use bundle::Bundle;

use crate::document::Plan;
use crate::error::ImportError;
use crate::store::Store;
use crate::store::index::Record;
use crate::{Digest, LayerError, LayerFault, OnProgress, Progress, Reference};

/// How to import.
#[derive(Clone, Default)]
pub struct ImportOptions {
    /// The name to give the image, in place of those in the archive. Default: the archive's.
    pub name: Option<Reference>,
    /// Takes progress reports.
    pub progress: Option<OnProgress>,
}

impl fmt::Debug for ImportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportOptions").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Documents whose digests were checked.
type Documents = Vec<(Digest, Vec<u8>)>;

/// An image found in a bundle.
struct Candidate {
    plan: Plan,
    names: Vec<Reference>,
    /// The digest that stands for it: of its manifest, or of the index that leads there.
    digest: Option<Digest>,
    /// Manifests and configuration, as bytes.
    documents: Documents,
    /// The file of each layer, from the bottom up.
    files: Vec<String>,
}

/// Imports all images of the file or folder; answers with their ids.
pub(crate) fn import(store: &Store, path: &Path, options: &ImportOptions) -> Result<Vec<Digest>, ImportError> {
    let activity = store.activity()?;
    let imported = import_all(store, path, options);
    drop(activity);
    // Layers of an image that was refused are garbage.
    if imported.is_err() {
        store.sweep()?
    } else {
        store.sweep_if_due()?
    }
    imported
}

fn import_all(store: &Store, path: &Path, options: &ImportOptions) -> Result<Vec<Digest>, ImportError> {
    let bundle = Bundle::open(path, store)?;
    let mut candidates = match layout::candidates(&bundle, &store.config)? {
        Some(candidates) => candidates,
        None => docker::candidates(&bundle, &store.config)?
            .ok_or_else(|| ImportError::NotAnImage { path: path.to_owned() })?,
    };
    if let Some(name) = &options.name {
        let count = candidates.len();
        match &mut candidates[..] {
            [only] => only.names = vec![name.clone()],
            _ => return Err(ImportError::SeveralImages { path: path.to_owned(), count }),
        }
    }
    candidates.into_iter().map(|candidate| add(store, &bundle, candidate, options)).collect()
}

fn add(
    store: &Store,
    bundle: &Bundle<'_>,
    candidate: Candidate,
    options: &ImportOptions,
) -> Result<Digest, ImportError> {
    let Candidate { plan, names, digest, documents, files } = candidate;
    let report = |progress: &Progress| options.progress.iter().for_each(|listener| listener(progress));
    let mut layers = Vec::with_capacity(plan.layers.len());
    for (number, (task, file)) in plan.layers.iter().zip(&files).enumerate() {
        report(&Progress::Unpacking { layer: task.diff, number: number + 1, layers: files.len() });
        let layer = store.add_layer(task, &mut || bundle.stream(file));
        layers.push(layer.map_err(|source| at_fault(bundle, file, source))?);
    }
    for (digest, bytes) in &documents {
        store.put_document(*digest, bytes)?;
    }
    let record = Record {
        names: names.iter().filter(|name| name.digest().is_none()).map(Reference::to_string).collect(),
        digests: names.iter().filter_map(|name| digest.map(|digest| name.at(digest).to_string())).collect(),
        documents: documents.iter().map(|(digest, _)| *digest).collect::<BTreeSet<_>>(),
        layers,
        stored_at: now(),
        config: plan.config,
    };
    store.commit(plan.id, record)?;
    report(&Progress::Stored { id: plan.id });
    Ok(plan.id)
}

/// A layer that ends early because the whole archive does is best described as that.
fn at_fault(bundle: &Bundle<'_>, file: &str, source: LayerError) -> ImportError {
    match &*source.cause {
        LayerFault::Damaged(error) if error.kind() == std::io::ErrorKind::NotFound => {
            ImportError::MissingFile { path: bundle.path().to_owned(), name: file.to_owned() }
        }
        _ => ImportError::Layer { path: bundle.path().to_owned(), source },
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}
