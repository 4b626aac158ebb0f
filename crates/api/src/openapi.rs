//! The OpenAPI documents: version 2 as one, version 3 as an index and one per group and version.
//!
//! They hold what clients read them for: the types with their merge keys, the kinds, and which query
//! parameters an operation knows. They are functions of the catalogue: whoever serves
//! them may keep the bytes until that changes.

mod gnostic;
mod paths;
mod types;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value, json};

use crate::catalogue::Catalogue;

/// The version of the OpenAPI format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Swagger 2.0
    V2,
    /// OpenAPI 3.0
    V3,
}

impl Format {
    const fn reference(self) -> &'static str {
        match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        }
    }
}

/// `/openapi/v2`; `version` is the server's own (`v1.36.0`).
#[must_use]
pub fn v2(kinds: &Catalogue, version: &str) -> Value {
    let mut all = Map::new();
    for (group, version) in kinds.group_versions() {
        all.extend(paths::of(kinds, group, version, Format::V2));
    }
    let groups = kinds.group_versions();
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": all,
        "definitions": types::of(kinds, &groups, Format::V2),
    })
}

/// `/openapi/v2` as the protobuf message that older clients ask for.
#[must_use]
pub fn v2_protobuf(kinds: &Catalogue, version: &str) -> Vec<u8> {
    gnostic::encode(&v2(kinds, version))
}

/// `/openapi/v3`; `hash` says the hash of a group and version, which may be an earlier [`v3_hash`] of the same kinds.
#[must_use]
pub fn v3_index(kinds: &Catalogue, hash: impl Fn(&str, &str) -> u64) -> Value {
    let paths: Map<String, Value> = kinds
        .group_versions()
        .into_iter()
        .map(|(group, version)| {
            let path = prefix(group, version);
            let url = format!("/openapi/v3{path}?hash={:016X}", hash(group, version));
            (path.trim_start_matches('/').to_owned(), json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// What changes when the document of a group and version does. It costs as much as the document.
#[must_use]
pub fn v3_hash(kinds: &Catalogue, group: &str, version: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    document(kinds, group, version, "").to_string().hash(&mut hasher);
    hasher.finish()
}

/// `/openapi/v3/api/v1`, `/openapi/v3/apis/<group>/<version>`
#[must_use]
pub fn v3(kinds: &Catalogue, group: &str, version: &str, server_version: &str) -> Option<Value> {
    kinds.group_versions().contains(&(group, version)).then(|| document(kinds, group, version, server_version))
}

fn document(kinds: &Catalogue, group: &str, version: &str, server_version: &str) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": server_version},
        "paths": paths::of(kinds, group, version, Format::V3),
        "components": {"schemas": types::of(kinds, &[(group, version)], Format::V3)},
    })
}

/// The beginning of a group's paths: `/api/v1`, `/apis/apps/v1`.
fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}
