//! An image as the rest of the node sees it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// An image that is complete in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its configuration: what `docker images` and a container's `imageID` show.
    pub id: Digest,
    /// Its tagged names in canonical form, sorted; empty when each was moved to a newer image.
    pub names: Vec<String>,
    /// `repository@digest` for each repository it came from, sorted.
    pub digests: Vec<String>,
    /// Bytes of its files; layers that it shares with other images are counted in each.
    pub size: u64,
    /// When it was stored, in seconds since 1970.
    pub stored_at: u64,
    /// What to run and how.
    pub config: ImageConfig,
    /// Its unpacked layers as overlayfs wants its lower folders: the top one first.
    pub layers: Vec<PathBuf>,
}

impl Image {
    /// What a pod's container status shows as `imageID`: a name with a digest when one is known, else the id.
    pub fn image_id(&self) -> String {
        self.digests.first().cloned().unwrap_or_else(|| self.id.to_string())
    }
}

/// The part of an image's configuration that running it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// What to run; a pod's `command` replaces it together with `cmd`.
    #[serde(deserialize_with = "nullable")]
    pub entrypoint: Vec<String>,
    /// Its arguments, or what to run when there is no entrypoint; a pod's `args` replace it.
    #[serde(deserialize_with = "nullable")]
    pub cmd: Vec<String>,
    /// `NAME=value` for each variable.
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// `user[:group]`, by name or number; empty means root.
    pub user: String,
    /// Where to start; empty means `/`.
    pub working_dir: String,
    /// The signal that asks it to end, such as `SIGTERM` or `15`.
    pub stop_signal: Option<String>,
    /// Folders that want a volume of their own, sorted.
    #[serde(deserialize_with = "keys", serialize_with = "as_set")]
    pub volumes: Vec<String>,
    /// Ports such as `8888/tcp`, sorted.
    #[serde(deserialize_with = "keys", serialize_with = "as_set")]
    pub exposed_ports: Vec<String>,
    /// Labels, sorted by name.
    #[serde(deserialize_with = "nullable")]
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Builders write `null` where a list or map is empty.
fn nullable<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Volumes and ports are maps with empty values in the specification: Go's way to write a set.
fn keys<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let map = Option::<std::collections::BTreeMap<String, serde::de::IgnoredAny>>::deserialize(from)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

fn as_set<S: serde::Serializer>(keys: &[String], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(keys.iter().map(|key| (key, serde_json::Value::Object(serde_json::Map::new()))))
}

/// How much room the store takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Images.
    pub images: usize,
    /// Unpacked layers, each counted once.
    pub layers: usize,
    /// Bytes of all layers' files and all documents, each counted once.
    pub bytes: u64,
}

/// What is going on while an image is being stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The manifest is known; this many layers are not here yet, and weigh this much to fetch.
    Resolved {
        /// The manifest's digest.
        digest: Digest,
        /// All layers of the image.
        layers: usize,
        /// Layers that have to be fetched.
        missing: usize,
        /// Bytes to fetch.
        bytes: u64,
    },
    /// A part of a layer came in.
    Downloading {
        /// The layer's blob.
        layer: Digest,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A layer is being unpacked.
    Unpacking {
        /// The layer, by the digest of its uncompressed archive.
        layer: Digest,
        /// Its position, counting from 1 at the bottom.
        number: usize,
        /// All layers of the image.
        layers: usize,
    },
    /// The image can be used.
    Stored {
        /// Its id.
        id: Digest,
    },
}

/// Takes progress reports; called from worker threads, so it must be quick.
pub type OnProgress = std::sync::Arc<dyn Fn(&Progress) + Send + Sync>;
