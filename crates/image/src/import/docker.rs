//! What `docker save` of older releases writes: `manifest.json` leads to files by name, without digests. The
//! configuration's diff ids still pin every layer's content.

use serde::Deserialize;

use super::Candidate;
use super::bundle::Bundle;
use crate::document;
use crate::error::{ContentError, ImportError};
use crate::{Config, Digest, Reference};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images of a Docker archive; nothing when this is none.
pub(super) fn candidates(bundle: &Bundle<'_>, config: &Config) -> Result<Option<Vec<Candidate>>, ImportError> {
    // File names in an unpacked archive could lead anywhere on the host.
    if bundle.is_folder() {
        return Ok(None);
    }
    let Some(bytes) = bundle.document("manifest.json", "manifest.json")? else { return Ok(None) };
    let saved: Vec<Saved> = document::json("manifest.json", &bytes).map_err(|error| bundle.content(error))?;
    saved.into_iter().map(|saved| candidate(bundle, saved, config)).collect::<Result<_, _>>().map(Some)
}

fn candidate(bundle: &Bundle<'_>, saved: Saved, config: &Config) -> Result<Candidate, ImportError> {
    let missing = |name: &str| ImportError::MissingFile { path: bundle.path().to_owned(), name: name.to_owned() };
    let bytes = bundle.document("config", &saved.config)?.ok_or_else(|| missing(&saved.config))?;
    if let Some(digest) = named_digest(&saved.config) {
        document::verify("config", digest, None, &bytes).map_err(|error| bundle.content(error))?;
    }
    let plan = document::plan(&bytes, None, &config.limits).map_err(|error| bundle.content(error))?;
    let files = saved.layers.unwrap_or_default();
    if files.len() != plan.layers.len() {
        let wrong = ContentError::LayerCount { layers: files.len(), diff_ids: plan.layers.len() };
        return Err(bundle.content(wrong));
    }
    if let Some(file) = files.iter().find(|file| !bundle.has(file)) {
        return Err(missing(file));
    }
    let name = |tag: &String| {
        tag.parse::<Reference>().map_err(|source| ImportError::Name { path: bundle.path().to_owned(), source })
    };
    Ok(Candidate {
        names: saved.repo_tags.unwrap_or_default().iter().map(name).collect::<Result<_, _>>()?,
        digest: None,
        documents: vec![(plan.id, bytes)],
        files,
        plan,
    })
}

/// The configuration's file is named after its digest: `HEX.json` or `blobs/sha256/HEX`.
fn named_digest(file: &str) -> Option<Digest> {
    let last = file.rsplit('/').next()?;
    Digest::from_hex(last.strip_suffix(".json").unwrap_or(last)).ok()
}
