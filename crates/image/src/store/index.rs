//! What images there are: names, digests and layers, as kept in `index.json`. Pure: no file is touched here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Digest, ImageConfig, Reference};

/// The format this release writes.
pub(crate) const FORMAT: u32 = 1;

/// All images, by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) format: u32,
    pub(crate) images: BTreeMap<Digest, Record>,
}

/// One image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Tagged names in canonical form.
    pub(crate) names: BTreeSet<String>,
    /// `repository@digest`.
    pub(crate) digests: BTreeSet<String>,
    /// Manifests and the configuration, kept as blobs.
    pub(crate) documents: BTreeSet<Digest>,
    /// From the bottom up.
    pub(crate) layers: Vec<Layer>,
    pub(crate) stored_at: u64,
    pub(crate) config: ImageConfig,
}

/// An unpacked layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// What it and all layers below it are: the name of its folder.
    pub(crate) chain: Digest,
    /// Bytes of its files.
    pub(crate) bytes: u64,
}

/// What a text given by a person or a pod stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// An image by one of its names.
    Name(Digest),
    /// An image by its id, or by the start of it.
    Id(Digest),
    /// Several images whose ids start like this.
    Ambiguous(usize),
    /// Nothing.
    Nothing,
}

const SHORTEST_ID: usize = 4;

impl Index {
    pub(crate) fn empty() -> Self {
        Self { format: FORMAT, images: BTreeMap::new() }
    }

    /// Adds an image, or names to one that is there; a tag moves away from the image that had it.
    pub(crate) fn insert(&mut self, id: Digest, record: Record) {
        for (other, existing) in &mut self.images {
            if *other != id {
                existing.names.retain(|name| !record.names.contains(name));
            }
        }
        let entry = self.images.entry(id).or_default();
        let Record { names, digests, documents, layers, stored_at, config } = record;
        entry.names.extend(names);
        entry.digests.extend(digests);
        entry.documents.extend(documents);
        (entry.layers, entry.stored_at, entry.config) = (layers, stored_at, config);
    }

    pub(crate) fn by_name(&self, reference: &Reference) -> Option<Digest> {
        let found = |wanted: &dyn Fn(&Record) -> bool| self.images.iter().find(|(_, r)| wanted(r)).map(|(id, _)| *id);
        match reference.digest() {
            Some(digest) => {
                let name = reference.at(digest).to_string();
                found(&|record| record.digests.contains(&name))
            }
            None => {
                let name = reference.to_string();
                found(&|record| record.names.contains(&name))
            }
        }
    }

    /// Names win over the starts of ids, whole ids win over names.
    pub(crate) fn resolve(&self, text: &str, reference: Option<&Reference>) -> Found {
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        if let Ok(id) = Digest::from_hex(bare) {
            return if self.images.contains_key(&id) { Found::Id(id) } else { Found::Nothing };
        }
        if let Some(id) = reference.and_then(|reference| self.by_name(reference)) {
            return Found::Name(id);
        }
        if bare.len() < SHORTEST_ID || !bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Found::Nothing;
        }
        let matching: Vec<_> = self.images.keys().filter(|id| id.hex().starts_with(bare)).collect();
        match matching[..] {
            [] => Found::Nothing,
            [id] => Found::Id(*id),
            _ => Found::Ambiguous(matching.len()),
        }
    }

    /// Takes one name away; true when the image has no other and is gone.
    pub(crate) fn untag(&mut self, id: Digest, reference: &Reference) -> bool {
        let Some(record) = self.images.get_mut(&id) else { return false };
        match reference.digest() {
            Some(digest) => {
                record.digests.remove(&reference.at(digest).to_string());
            }
            None => {
                record.names.remove(&reference.to_string());
                // Digests of that repository would keep nothing but the memory of the name.
                if record.names.is_empty() {
                    record.digests.retain(|digest| !digest.starts_with(&format!("{}@", reference.name())));
                }
            }
        }
        let gone = record.names.is_empty() && record.digests.is_empty();
        if gone {
            self.images.remove(&id);
        }
        gone
    }

    pub(crate) fn live_layers(&self) -> BTreeSet<Digest> {
        self.images.values().flat_map(|record| record.layers.iter().map(|layer| layer.chain)).collect()
    }

    pub(crate) fn live_documents(&self) -> BTreeSet<Digest> {
        self.images.values().flat_map(|record| record.documents.iter().copied()).collect()
    }
}
