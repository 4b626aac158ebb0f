//! What can go wrong, in the words that reach a pod's events.
//!
//! Errors of content ([`ContentError`]) and of single layers ([`LayerError`]) are the same whether an image was
//! imported or pulled; [`ImportError`] and [`PullError`] say where it came from.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Digest, InvalidReference, ParseDigestError, Platform, Reference};

/// A file operation within the store that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}", path = path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |source| FileError { action, path, source }
    }
}

/// Why the store cannot be opened, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("image store: {0}")]
    File(#[from] FileError),
    /// The index is not readable.
    #[error(
        "image store: the index {path} is damaged ({source}); remove that file to start with an empty image store, \
         then import or pull the images again",
        path = path.display()
    )]
    Corrupt {
        /// The index.
        path: PathBuf,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
    /// The index was written by a later release.
    #[error(
        "image store: {path} has format {found}, and this release knows up to {known}; use a newer release or another \
         data folder",
        path = path.display()
    )]
    Newer {
        /// The index.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// A worker thread was lost while the runtime was shutting down.
    #[error("image store: the work was cancelled because the process is stopping")]
    Cancelled,
}

/// Why an image is not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Nothing has that name or id.
    #[error("image {0:?} not found")]
    NotFound(String),
    /// The start of an id is shared by several images.
    #[error("image id {0:?} is ambiguous: {count} images start with it", count = .1)]
    Ambiguous(String, usize),
    /// Containers use it.
    #[error("image {name:?} is in use by a container; stop it first")]
    InUse {
        /// As it was asked for.
        name: String,
        /// Its id.
        id: Digest,
    },
    /// The name does not parse.
    #[error(transparent)]
    Name(#[from] InvalidReference),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What can be wrong with an image's documents and blobs.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A blob that the manifest names is not there.
    #[error("{what} {digest} is missing")]
    Missing {
        /// `layer`, `config` or `manifest`.
        what: &'static str,
        /// Which one.
        digest: Digest,
    },
    /// A blob's size is not what its descriptor says.
    #[error("{what} {digest} has the wrong size: expected {expected} bytes, got {found}")]
    Size {
        /// `layer`, `config` or `manifest`.
        what: &'static str,
        /// Which one.
        digest: Digest,
        /// The descriptor's size.
        expected: u64,
        /// The size it has.
        found: u64,
    },
    /// A blob's content is not what its name says.
    #[error("{what} has the wrong digest: expected {expected}, got {found}")]
    Digest {
        /// `layer`, `config` or `manifest`.
        what: &'static str,
        /// The digest it was named by.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// A document is larger than the limit.
    #[error("{what} of {size} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// `config` or `manifest`.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The image has more layers than the limit.
    #[error("the image has {found} layers, and the limit is {limit}")]
    TooManyLayers {
        /// Its layers.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A document is not JSON of the expected form.
    #[error("{what} is not valid: {source}")]
    Malformed {
        /// `config`, `manifest`, `index.json`, …
        what: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A digest in a document is not a SHA-256 digest.
    #[error("digest {digest:?} in the {what}: {source}")]
    BadDigest {
        /// The document.
        what: &'static str,
        /// The text.
        digest: String,
        /// What is wrong with it.
        source: ParseDigestError,
    },
    /// A media type that is no container image's.
    #[error("{what} has the unsupported media type {media_type:?}")]
    MediaType {
        /// `layer`, `config` or `manifest`.
        what: &'static str,
        /// The type found.
        media_type: String,
    },
    /// A multi-platform image has nothing for this machine.
    #[error("no match for platform {wanted} in the index; it has {found}", found = .found.join(", "))]
    NoPlatform {
        /// What was looked for.
        wanted: Platform,
        /// What there is.
        found: Vec<String>,
    },
    /// Manifest and configuration disagree.
    #[error("the manifest lists {layers} layers, but the config has {diff_ids} diff_ids")]
    LayerCount {
        /// Layers of the manifest.
        layers: usize,
        /// `rootfs.diff_ids` of the configuration.
        diff_ids: usize,
    },
}

/// A layer that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[error("layer {layer}: {cause}")]
pub struct LayerError {
    /// The digest the layer is known by: its blob's, or its diff id in a Docker archive.
    pub layer: Digest,
    /// What is wrong with it.
    pub cause: Box<LayerFault>,
}

/// What can be wrong with a layer.
#[derive(Debug, thiserror::Error)]
pub enum LayerFault {
    /// It ends too early.
    #[error("the archive is truncated or damaged: {0}")]
    Damaged(#[source] io::Error),
    /// An entry's content ends too early.
    #[error("entry {entry:?}: the archive is truncated: {found} of {expected} bytes")]
    Truncated {
        /// The entry.
        entry: String,
        /// Its size by the header.
        expected: u64,
        /// Bytes that were there.
        found: u64,
    },
    /// The blob's digest is wrong.
    #[error("wrong digest: expected {expected}, got {found}")]
    Digest {
        /// The digest it was named by.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// The blob's size is wrong.
    #[error("wrong size: expected {expected} bytes, got {found}")]
    Size {
        /// The descriptor's size.
        expected: u64,
        /// The size it has.
        found: u64,
    },
    /// The unpacked archive's digest is not the configuration's diff id.
    #[error("wrong diff id: the config says {expected}, the content is {found}")]
    DiffId {
        /// As in the configuration.
        expected: Digest,
        /// As computed.
        found: Digest,
    },
    /// An entry leads out of the layer.
    #[error("entry {entry:?} leads out of the layer{through}")]
    Escape {
        /// The entry.
        entry: String,
        /// ` through …`, or nothing when the name itself does.
        through: String,
    },
    /// An entry's name cannot be one.
    #[error("entry {entry:?} has an invalid name: {why}")]
    Name {
        /// The entry.
        entry: String,
        /// What is wrong.
        why: &'static str,
    },
    /// An entry lies below something that is no folder.
    #[error("entry {entry:?} lies below {parent:?}, which is not a folder")]
    NotFolder {
        /// The entry.
        entry: String,
        /// What is in its way.
        parent: String,
    },
    /// A hard link to something that the layer does not have.
    #[error("entry {entry:?} is a hard link to {target:?}, which is not in the layer")]
    LinkTarget {
        /// The entry.
        entry: String,
        /// Where it points to.
        target: String,
    },
    /// A device node where none may be.
    #[error("entry {entry:?} is a device node ({major}:{minor}), which images may not bring along")]
    Device {
        /// The entry.
        entry: String,
        /// The device's major number.
        major: u32,
        /// The device's minor number.
        minor: u32,
    },
    /// An extended attribute that would change how layers are put together.
    #[error("entry {entry:?} sets the attribute {name:?}, which images may not set")]
    Attribute {
        /// The entry.
        entry: String,
        /// The attribute.
        name: String,
    },
    /// A kind of entry that is not known.
    #[error("entry {entry:?} is of the unsupported kind {kind:?}")]
    Kind {
        /// The entry.
        entry: String,
        /// The archive's letter for it, or its name.
        kind: String,
    },
    /// One of the [`Limits`](crate::Limits) was reached.
    #[error("it has more than {limit} {what}: refused, this may be an archive bomb")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The system refused to make an entry.
    #[error("entry {entry:?}: cannot {action}: {source}")]
    Entry {
        /// The entry.
        entry: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file operation on the store failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why an archive or folder cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot import {path}: {source}", path = path.display())]
    Read {
        /// The archive or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It ends too early or is damaged.
    #[error("cannot import {path}: the archive is truncated or damaged: {detail}", path = path.display())]
    Truncated {
        /// The archive.
        path: PathBuf,
        /// Where it ends.
        detail: String,
    },
    /// It is neither an OCI layout nor a Docker archive.
    #[error(
        "cannot import {path}: it is no image: expected index.json (OCI layout) or manifest.json (docker save)",
        path = path.display()
    )]
    NotAnImage {
        /// The archive or folder.
        path: PathBuf,
    },
    /// A file named by a Docker archive's manifest is not in it.
    #[error("cannot import {path}: {name:?} is missing", path = path.display())]
    MissingFile {
        /// The archive.
        path: PathBuf,
        /// What is missing.
        name: String,
    },
    /// Its manifests, configuration or blobs are wrong.
    #[error("cannot import {path}: {source}", path = path.display())]
    Content {
        /// The archive or folder.
        path: PathBuf,
        /// What is wrong.
        source: ContentError,
    },
    /// One of its layers is wrong.
    #[error("cannot import {path}: {source}", path = path.display())]
    Layer {
        /// The archive or folder.
        path: PathBuf,
        /// Which one, and why.
        source: LayerError,
    },
    /// The name in it is no image name.
    #[error("cannot import {path}: {source}; give a name to import it under", path = path.display())]
    Name {
        /// The archive or folder.
        path: PathBuf,
        /// The name found.
        source: InvalidReference,
    },
    /// A name was given for an archive with several images.
    #[error("cannot import {path} under one name: it holds {count} images", path = path.display())]
    SeveralImages {
        /// The archive or folder.
        path: PathBuf,
        /// How many it holds.
        count: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an image could not be pulled. Cheap to clone, since callers that wait for one pull share its outcome.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to pull and unpack image \"{reference}\": {cause}")]
pub struct PullError {
    /// The image.
    pub reference: Reference,
    /// What happened.
    #[source]
    pub cause: Arc<PullFault>,
}

/// What can happen during a pull.
#[derive(Debug, thiserror::Error)]
pub enum PullFault {
    /// The registry does not have it.
    #[error("failed to resolve reference \"{0}\": {0}: not found")]
    NotFound(Box<Reference>),
    /// The registry does not give it to us.
    #[error(
        "failed to resolve reference \"{reference}\": pull access denied, repository does not exist or may require \
         authorization: {detail}"
    )]
    Denied {
        /// The image.
        reference: Box<Reference>,
        /// What the registry said.
        detail: String,
    },
    /// The registry could not be reached, or its answer makes no sense.
    #[error("failed to resolve reference \"{reference}\": {detail}")]
    Unreachable {
        /// The image.
        reference: Box<Reference>,
        /// The chain of causes, from the request down to the system's error.
        detail: String,
    },
    /// The registry did not answer in time.
    #[error("failed to resolve reference \"{reference}\": no answer from {registry} within {seconds} s", registry = .reference.registry())]
    Timeout {
        /// The image.
        reference: Box<Reference>,
        /// How long was waited.
        seconds: u64,
    },
    /// No TLS client could be made.
    #[error(
        "failed to resolve reference \"{reference}\": no TLS client can be made on this host: {detail}; install the \
         certificates of the certificate authorities (package ca-certificates)"
    )]
    Tls {
        /// The image.
        reference: Box<Reference>,
        /// What the TLS library said.
        detail: String,
    },
    /// A blob could not be fetched.
    #[error("failed to copy: {what} {digest}: {detail}")]
    Fetch {
        /// `layer` or `config`.
        what: &'static str,
        /// Which one.
        digest: Digest,
        /// What happened.
        detail: String,
    },
    /// Its manifests, configuration or blobs are wrong.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// One of its layers is wrong.
    #[error("failed to extract {0}")]
    Layer(#[from] LayerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PullError {
    pub(crate) fn new(reference: &Reference, cause: impl Into<PullFault>) -> Self {
        Self { reference: reference.clone(), cause: Arc::new(cause.into()) }
    }

    /// Whether another credential might get through.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(*self.cause, PullFault::Denied { .. })
    }

    /// The reason that Kubernetes shows for a container waiting on this image.
    pub fn reason(&self) -> &'static str {
        match &*self.cause {
            PullFault::Store(_) => "ImageInspectError",
            _ => "ErrImagePull",
        }
    }
}

impl InvalidReference {
    /// The reason that Kubernetes shows for a container whose image name does not parse.
    pub fn reason(&self) -> &'static str {
        "InvalidImageName"
    }
}
