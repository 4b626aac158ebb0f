//! The volumes of a pod: what they are (`plan`), what is in them (`render`), how they get onto the
//! disk (`atomic`, `place`) and into a container (`mounts`).

pub(crate) mod atomic;
pub(crate) mod host_path;
pub(crate) mod mounts;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod render;
pub(crate) mod set;
pub(crate) mod token;

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{pod::fields::FieldError, sources::Kind};

/// Why a volume is not there. The texts end up in the pod's events.
#[derive(Debug, Error)]
pub(crate) enum VolumeError {
    /// No plugin for it.
    #[error("volumes of kind {0} are not supported by skiff")]
    Unsupported(String),
    /// A ConfigMap or Secret is not there.
    #[error("{kind} {name:?} not found")]
    Missing {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It lacks a key that the volume names.
    #[error("references non-existent {} key: {key}", if *.0 == Kind::Secret { "secret" } else { "config" }, key = .1)]
    Key(Kind, String),
    /// A path that leads out of the volume.
    #[error("invalid path {0:?} in the volume: it must be relative and must not contain \"..\"")]
    Path(String),
    /// Two sources for one file.
    #[error("conflicting duplicate path {0:?} in the volume")]
    Duplicate(String),
    /// The pod's own fields.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The API server gives no token.
    #[error("failed to fetch token: {0}")]
    Token(#[source] Box<kube::Error>),
    /// The host's path is not what the volume says.
    #[error("hostPath type check failed: {path} is not {wanted}", path = path.display())]
    HostPathType {
        /// The path on the host.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// A hostPath type that nobody knows.
    #[error("unknown hostPath type {0:?}")]
    UnknownHostPathType(String),
    /// A container mounts a volume that the pod does not have.
    #[error("no volume named {0:?}")]
    NoSuchVolume(String),
    /// A subPath that leads out of its volume.
    #[error("subPath {path:?} of volume {volume:?} leads out of the volume or cannot be opened: {source}")]
    SubPath {
        /// The volume.
        volume: String,
        /// The path as given.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file or folder could not be made.
    #[error("{action} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Names the path in an error.
pub(crate) fn at<E: Into<io::Error>>(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(E) -> VolumeError {
    let path = path.into();
    move |source| VolumeError::File { action, path, source: source.into() }
}
