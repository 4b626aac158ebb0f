//! Image references, normalised as Docker and containerd do, so that `httpenv` in a pod, in an archive's annotation
//! and on the command line all mean `docker.io/library/httpenv:latest`.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, ParseDigestError};

const DEFAULT_REGISTRY: &str = "docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A full image reference: registry, repository, and a tag, a digest or both.
///
/// Its `Display` is the canonical long form; [`Reference::familiar`] is what people type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is no image reference; its message is the one Kubernetes shows for `InvalidImageName`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("couldn't parse image name {input:?}: {cause}")]
pub struct InvalidReference {
    /// The text as it was given.
    pub input: String,
    /// What is wrong with it.
    pub cause: ReferenceFault,
}

/// What can be wrong with an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceFault {
    /// It does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository has an upper-case letter.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// Sixty-four hex digits alone mean an image id, never a name.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Hexadecimal(String),
    /// The repository name is too long.
    #[error("repository name must not be more than {LONGEST_NAME} characters")]
    TooLong,
    /// The digest part is wrong.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
}

impl Reference {
    /// The registry's host and port, `docker.io` when none was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry, with `library/` for Docker's official images.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` when neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest after `@`.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same repository at one digest, as shown in a pod's `imageID`.
    pub fn at(&self, digest: Digest) -> Reference {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The short form Docker shows: without the default registry and `library/`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        match full.strip_prefix("docker.io/") {
            Some(rest) => rest.strip_prefix(OFFICIAL).filter(|rest| !rest.contains('/')).unwrap_or(rest).to_owned(),
            None => full,
        }
    }

    fn parse(input: &str) -> Result<Self, ReferenceFault> {
        if Digest::from_hex(input).is_ok() {
            return Err(ReferenceFault::Hexadecimal(input.to_owned()));
        }
        let (registry, remainder) = split_registry(input);
        let (rest, digest) = match remainder.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (remainder, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ReferenceFault::Uppercase(official(registry, path)));
        }
        if !is_registry(registry) || !path.split('/').all(is_component) || !tag.is_none_or(is_tag) {
            return Err(ReferenceFault::Format);
        }
        let repository = official(registry, path);
        if repository.len() > LONGEST_NAME {
            return Err(ReferenceFault::TooLong);
        }
        let digest = digest.map(str::parse).transpose()?;
        let tag = tag.or(if digest.is_none() { Some(DEFAULT_TAG) } else { None }).map(str::to_owned);
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

fn official(registry: &str, path: &str) -> String {
    let prefix = if registry == DEFAULT_REGISTRY && !path.contains('/') { OFFICIAL } else { "" };
    format!("{prefix}{path}")
}

/// The first path component is a registry only when it cannot be a part of a repository's name.
fn split_registry(input: &str) -> (&str, &str) {
    match input.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (if first == "index.docker.io" { DEFAULT_REGISTRY } else { first }, rest)
        }
        _ => (DEFAULT_REGISTRY, input),
    }
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, after)) => {
            let v6 = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            return v6 && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Lower-case letters and digits, separated by one dot, one or two underscores, or any number of dashes.
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator = String::new();
    for byte in component.bytes() {
        if alphanumeric(byte) {
            if !separator.is_empty() && !is_separator(&separator) {
                return false;
            }
            separator.clear();
        } else {
            separator.push(char::from(byte));
        }
    }
    component.bytes().next().is_some_and(alphanumeric) && separator.is_empty()
}

fn is_separator(separator: &str) -> bool {
    matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        Self::parse(input).map_err(|cause| InvalidReference { input: input.to_owned(), cause })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}
