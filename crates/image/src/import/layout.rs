//! OCI image layouts: `index.json` leads to manifests, by digest.

use super::bundle::{Bundle, blob_name};
use super::{Candidate, Documents};
use crate::document::{self, Descriptor, Document, ImageIndex, Manifest};
use crate::error::{ContentError, ImportError};
use crate::{Config, Reference};

/// Where builders write the whole name, in order of trust.
const NAME_ANNOTATIONS: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
const KIND_ANNOTATION: &str = "vnd.docker.reference.type";
/// An index within an index within an index is still sensible.
const DEEPEST: usize = 4;

/// The images of a layout; nothing when this is none.
pub(super) fn candidates(bundle: &Bundle<'_>, config: &Config) -> Result<Option<Vec<Candidate>>, ImportError> {
    let Some(bytes) = bundle.document("index.json", "index.json")? else { return Ok(None) };
    let index: ImageIndex = document::json("index.json", &bytes).map_err(|error| bundle.content(error))?;
    let images = index.manifests.iter().filter(|descriptor| descriptor.annotation(KIND_ANNOTATION).is_none());
    let fitting: Vec<&Descriptor> = images.filter(|descriptor| descriptor.may_run_on(&config.platform)).collect();
    if fitting.is_empty() {
        return Err(match index.manifests.is_empty() {
            true => ImportError::NotAnImage { path: bundle.path().to_owned() },
            false => bundle.content(index.no_platform(&config.platform)),
        });
    }
    fitting.into_iter().map(|descriptor| candidate(bundle, descriptor, config)).collect::<Result<_, _>>().map(Some)
}

fn candidate(bundle: &Bundle<'_>, top: &Descriptor, config: &Config) -> Result<Candidate, ImportError> {
    let wrong = |error| bundle.content(error);
    let (manifest, mut documents) = manifest(bundle, top, config)?;
    manifest.check(&config.limits).map_err(wrong)?;
    let id = manifest.config.digest("manifest").map_err(wrong)?;
    let bytes = bundle.blob("config", id, manifest.config.size)?;
    let blobs = manifest.blobs().map_err(wrong)?;
    let plan = document::plan(&bytes, Some(&blobs), &config.limits).map_err(wrong)?;
    documents.push((id, bytes));
    for (digest, _) in &blobs {
        if !bundle.has(&blob_name(*digest)) {
            return Err(wrong(ContentError::Missing { what: "layer", digest: *digest }));
        }
    }
    Ok(Candidate {
        plan,
        names: name(bundle, top)?.into_iter().collect(),
        digest: Some(top.digest("index.json").map_err(wrong)?),
        documents,
        files: blobs.iter().map(|(digest, _)| blob_name(*digest)).collect(),
    })
}

/// Follows indexes down to the manifest for this platform.
fn manifest(bundle: &Bundle<'_>, top: &Descriptor, config: &Config) -> Result<(Manifest, Documents), ImportError> {
    let wrong = |error| bundle.content(error);
    let (mut descriptor, mut documents) = (top.clone(), Vec::new());
    for _ in 0..DEEPEST {
        let digest = descriptor.digest("index.json").map_err(wrong)?;
        let bytes = bundle.blob("manifest", digest, descriptor.size)?;
        let document = document::parse(&bytes).map_err(wrong)?;
        documents.push((digest, bytes));
        match document {
            Document::Manifest(manifest) => return Ok((manifest, documents)),
            Document::Index(index) => descriptor = index.choose(&config.platform).map_err(wrong)?.clone(),
        }
    }
    Err(wrong(ContentError::MediaType { what: "manifest", media_type: descriptor.media_type }))
}

fn name(bundle: &Bundle<'_>, descriptor: &Descriptor) -> Result<Option<Reference>, ImportError> {
    let name = NAME_ANNOTATIONS.iter().find_map(|annotation| descriptor.annotation(annotation));
    name.map(|name| name.parse().map_err(|source| ImportError::Name { path: bundle.path().to_owned(), source }))
        .transpose()
}
