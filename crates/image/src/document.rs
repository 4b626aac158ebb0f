//! Manifests, indexes and configurations: parsed leniently where builders differ, strictly where safety hangs on it.
//! Pure: bytes in, a plan out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::store::LayerTask;
use crate::{ContentError, Digest, ImageConfig, Limits, Platform};

/// What the manifests that this store understands are called, for a registry's `Accept`.
pub(crate) const MANIFEST_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

const CONFIG_TYPES: [&str; 3] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    // Written by builders of the first OCI releases.
    "application/octet-stream",
];

const LAYER_FAMILIES: [&str; 2] = ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];
const LAYER_ENDINGS: [&str; 5] = ["", "+gzip", ".gzip", "+zstd", ".zstd"];

/// A blob named by another document.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    digest: String,
    #[serde(default)]
    pub(crate) size: u64,
    platform: Option<PlatformOf>,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct PlatformOf {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

/// An image for one platform.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
}

/// Several manifests: one image for several platforms, or the images of a layout.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImageIndex {
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
}

/// What a manifest's digest or tag can lead to.
#[derive(Debug, Clone)]
pub(crate) enum Document {
    Index(ImageIndex),
    Manifest(Manifest),
}

/// An image's configuration, and what has to be done to have its layers.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) id: Digest,
    pub(crate) config: ImageConfig,
    /// From the bottom up.
    pub(crate) layers: Vec<LayerTask>,
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    config: Option<ImageConfig>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<String>>,
}

impl Descriptor {
    pub(crate) fn digest(&self, what: &'static str) -> Result<Digest, ContentError> {
        let bad = |source| ContentError::BadDigest { what, digest: self.digest.clone(), source };
        self.digest.parse().map_err(bad)
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Without a platform in the descriptor the manifest itself has to be looked at: it may well be for this machine.
    pub(crate) fn may_run_on(&self, wanted: &Platform) -> bool {
        self.platform.as_ref().is_none_or(|p| p.os == wanted.os && p.architecture == wanted.architecture)
    }

    fn platform_name(&self) -> Option<String> {
        let platform = self.platform.as_ref()?;
        let variant = platform.variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
        Some(format!("{}/{}{variant}", platform.os, platform.architecture))
    }

    /// Lower is better: the plainest variant runs on every machine of an architecture.
    fn rank(&self) -> u8 {
        match self.platform.as_ref().map(|platform| platform.variant.as_deref()) {
            Some(None | Some("") | Some("v8") | Some("v1")) => 0,
            Some(Some(_)) => 1,
            None => 2,
        }
    }
}

impl ImageIndex {
    /// The manifest for this platform.
    pub(crate) fn choose(&self, wanted: &Platform) -> Result<&Descriptor, ContentError> {
        let fitting = self.manifests.iter().filter(|descriptor| descriptor.may_run_on(wanted));
        fitting.min_by_key(|descriptor| descriptor.rank()).ok_or_else(|| self.no_platform(wanted))
    }

    pub(crate) fn no_platform(&self, wanted: &Platform) -> ContentError {
        let names = self.manifests.iter().filter_map(Descriptor::platform_name);
        ContentError::NoPlatform {
            wanted: wanted.clone(),
            found: names.filter(|name| name != "unknown/unknown").collect(),
        }
    }
}

impl Manifest {
    /// Checks that this is a container image, and not a chart, a signature or an attestation.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), ContentError> {
        let unsupported = |what, media_type: &str| ContentError::MediaType { what, media_type: media_type.to_owned() };
        let config = self.config.media_type.as_str();
        if !config.is_empty() && !CONFIG_TYPES.contains(&config) {
            return Err(unsupported("config", config));
        }
        if self.layers.len() > limits.layers {
            return Err(ContentError::TooManyLayers { found: self.layers.len(), limit: limits.layers });
        }
        match self.layers.iter().find(|layer| !is_layer(&layer.media_type)) {
            Some(layer) => Err(unsupported("layer", &layer.media_type)),
            None => Ok(()),
        }
    }

    /// Digest and size of each layer's blob, from the bottom up.
    pub(crate) fn blobs(&self) -> Result<Vec<(Digest, u64)>, ContentError> {
        self.layers.iter().map(|layer| Ok((layer.digest("manifest")?, layer.size))).collect()
    }
}

fn is_layer(media_type: &str) -> bool {
    media_type.is_empty()
        || LAYER_FAMILIES
            .iter()
            .filter_map(|family| media_type.strip_prefix(family)?.split_once("tar"))
            .any(|(_, ending)| LAYER_ENDINGS.contains(&ending))
}

/// Tells an index from a manifest by its media type, or by its fields where that is left out.
pub(crate) fn parse(bytes: &[u8]) -> Result<Document, ContentError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        #[serde(default)]
        schema_version: u32,
        #[serde(default)]
        media_type: String,
        manifests: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = json("manifest", bytes)?;
    if shape.schema_version == 1 || !(shape.media_type.is_empty() || MANIFEST_TYPES.contains(&&*shape.media_type)) {
        let media_type = match shape.media_type.is_empty() {
            true => "application/vnd.docker.distribution.manifest.v1+json".to_owned(),
            false => shape.media_type,
        };
        return Err(ContentError::MediaType { what: "manifest", media_type });
    }
    if shape.manifests.is_some() && shape.config.is_none() {
        return Ok(Document::Index(json("index", bytes)?));
    }
    Ok(Document::Manifest(json("manifest", bytes)?))
}

/// What a configuration asks for. `blobs` are the manifest's layers; a Docker archive has none.
pub(crate) fn plan(config: &[u8], blobs: Option<&[(Digest, u64)]>, limits: &Limits) -> Result<Plan, ContentError> {
    let file: ConfigFile = json("config", config)?;
    let diff_ids = file.rootfs.diff_ids.unwrap_or_default();
    if diff_ids.len() > limits.layers {
        return Err(ContentError::TooManyLayers { found: diff_ids.len(), limit: limits.layers });
    }
    if let Some(blobs) = blobs
        && blobs.len() != diff_ids.len()
    {
        return Err(ContentError::LayerCount { layers: blobs.len(), diff_ids: diff_ids.len() });
    }
    let mut layers: Vec<LayerTask> = Vec::with_capacity(diff_ids.len());
    let mut below: Vec<Digest> = Vec::new();
    for (number, diff_id) in diff_ids.into_iter().enumerate() {
        let diff = diff_id.parse();
        let diff = diff.map_err(|source| ContentError::BadDigest { what: "config", digest: diff_id, source })?;
        let chain = Digest::chain(below.first().copied(), diff);
        layers.push(LayerTask { blob: blobs.map(|blobs| blobs[number]), diff, chain, below: below.clone() });
        below.insert(0, chain);
    }
    Ok(Plan { id: Digest::of(config), config: file.config.unwrap_or_default(), layers })
}

/// Parses a document, naming it in the error.
pub(crate) fn json<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, ContentError> {
    serde_json::from_slice(bytes).map_err(|source| ContentError::Malformed { what, source })
}

/// Checks a document's bytes against the descriptor that led to them.
pub(crate) fn verify(
    what: &'static str,
    expected: Digest,
    size: Option<u64>,
    bytes: &[u8],
) -> Result<(), ContentError> {
    let found = bytes.len() as u64;
    if let Some(size) = size
        && size != found
    {
        return Err(ContentError::Size { what, digest: expected, expected: size, found });
    }
    match Digest::of(bytes) {
        digest if digest == expected => Ok(()),
        found => Err(ContentError::Digest { what, expected, found }),
    }
}
