//! Registry credentials, and which of a pod's pull secrets apply to an image.
//!
//! A keyring is filled from `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg` secrets. As in Kubernetes
//! the most specific entry is tried first, and no anonymous pull is tried once any entry matches.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use crate::Reference;

/// How to introduce oneself to a registry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Not at all.
    Anonymous,
    /// With a user name and password, either to the registry itself or to its token service.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// With a token that the registry takes as it is.
    Bearer {
        /// The token.
        token: String,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auth::Anonymous => f.write_str("Anonymous"),
            Auth::Basic { username, .. } => write!(f, "Basic({username}, …)"),
            Auth::Bearer { .. } => f.write_str("Bearer(…)"),
        }
    }
}

/// Credentials by registry, from any number of pull secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Keyring {
    entries: Vec<(Pattern, Auth)>,
}

/// Why a pull secret cannot be read; kubelet goes on without it and says so in an event.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is not JSON of the expected form.
    #[error("the pull secret is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// An `auth` field is not base64 of `user:password`.
    #[error("the pull secret's entry for {registry:?} has an auth field that is not base64 of user:password")]
    AuthField {
        /// The entry.
        registry: String,
    },
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    registrytoken: String,
}

impl Keyring {
    /// A keyring without entries: pulls are anonymous.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Adds credentials for a registry, optionally with a path, as in `registry.example.com/team`.
    pub fn add(&mut self, registry: &str, auth: Auth) {
        self.entries.push((Pattern::new(registry), auth));
        self.entries.sort_by(|a, b| b.0.cmp(&a.0));
    }

    /// Adds what a `.dockerconfigjson` value holds.
    pub fn add_docker_config(&mut self, json: &[u8]) -> Result<(), SecretError> {
        let config: DockerConfig = serde_json::from_slice(json)?;
        self.add_entries(config.auths)
    }

    /// Adds what a `.dockercfg` value holds: the older form, without the `auths` level.
    pub fn add_docker_cfg(&mut self, json: &[u8]) -> Result<(), SecretError> {
        self.add_entries(serde_json::from_slice(json)?)
    }

    fn add_entries(&mut self, entries: BTreeMap<String, Entry>) -> Result<(), SecretError> {
        let parsed = entries.into_iter().map(|(registry, entry)| {
            let auth = entry.into_auth().ok_or_else(|| SecretError::AuthField { registry: registry.clone() })?;
            Ok((registry, auth))
        });
        for (registry, auth) in parsed.collect::<Result<Vec<_>, SecretError>>()? {
            self.add(&registry, auth);
        }
        Ok(())
    }

    /// What to try for this image, in order; never empty.
    pub fn lookup(&self, image: &Reference) -> Vec<Auth> {
        let mut found: Vec<Auth> = Vec::new();
        for (pattern, auth) in &self.entries {
            if pattern.matches(image.registry(), image.repository()) && !found.contains(auth) {
                found.push(auth.clone());
            }
        }
        if found.is_empty() { vec![Auth::Anonymous] } else { found }
    }
}

impl Entry {
    fn into_auth(self) -> Option<Auth> {
        if !self.registrytoken.is_empty() {
            return Some(Auth::Bearer { token: self.registrytoken });
        }
        if self.auth.is_empty() {
            return Some(match self.username.is_empty() {
                true => Auth::Anonymous,
                false => Auth::Basic { username: self.username, password: self.password },
            });
        }
        let auth = self.auth.trim();
        let decoded = STANDARD.decode(auth).or_else(|_| STANDARD_NO_PAD.decode(auth)).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.trim_end_matches('\0').split_once(':')?;
        Some(Auth::Basic { username: username.to_owned(), password: password.to_owned() })
    }
}

/// A registry entry: host labels that may be globs, a port, and a path prefix. Longer ones come first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Pattern {
    path: String,
    host: String,
}

impl Pattern {
    fn new(entry: &str) -> Self {
        let entry = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://")).unwrap_or(entry);
        let (host, path) = entry.split_once('/').unwrap_or((entry, ""));
        let host = if is_docker_hub(host) { "docker.io" } else { host };
        // Docker's own configuration names API versions, which are no part of an image's name.
        let path = path.trim_end_matches('/');
        let path = if matches!(path, "v1" | "v2") { "" } else { path };
        Self { path: path.to_owned(), host: host.to_owned() }
    }

    fn matches(&self, registry: &str, repository: &str) -> bool {
        let host = match (self.host.split_once(':'), registry.split_once(':')) {
            (Some((host, port)), Some((wanted, wanted_port))) => port == wanted_port && glob_host(host, wanted),
            (None, None) => glob_host(&self.host, registry),
            _ => false,
        };
        host && (self.path.is_empty() || repository.starts_with(&self.path))
    }
}

fn is_docker_hub(host: &str) -> bool {
    matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

/// `*` and `?` stand for letters within one label, so that `*.example.com` never matches `example.com`.
fn glob_host(pattern: &str, host: &str) -> bool {
    pattern.split('.').count() == host.split('.').count()
        && pattern.split('.').zip(host.split('.')).all(|(pattern, label)| glob(pattern.as_bytes(), label.as_bytes()))
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        (Some((b'?', rest)), Some((_, text))) => glob(rest, text),
        (Some((a, rest)), Some((b, text))) => a == b && glob(rest, text),
        _ => false,
    }
}
