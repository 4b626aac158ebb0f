//! The registry behind a reference: requests by `oci-client`, outcomes in the words a pod's events show.

use std::error::Error;
use std::io::Write;
use std::net::IpAddr;
use std::sync::OnceLock;

use futures::StreamExt;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::digest::Hashing;
use crate::document::MANIFEST_TYPES;
use crate::error::{ContentError, PullFault};
use crate::{Auth, Config, Digest, Reference};

/// One registry, spoken to with one credential.
pub(super) struct Registry {
    client: Client,
    /// Without TLS, where the registry turned out to speak none and is on this machine.
    plain: OnceLock<Client>,
    config: Config,
    reference: Reference,
    auth: RegistryAuth,
}

impl Registry {
    pub(super) fn new(reference: &Reference, auth: &Auth, config: &Config) -> Result<Self, PullFault> {
        // A second installation only says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let protocol = ClientProtocol::HttpsExcept(config.plain_http.clone());
        let client = client(reference, config, protocol)?;
        let auth = match auth.clone() {
            Auth::Anonymous => RegistryAuth::Anonymous,
            Auth::Basic { username, password } => RegistryAuth::Basic(username, password),
            Auth::Bearer { token } => RegistryAuth::Bearer(token),
        };
        Ok(Self { client, plain: OnceLock::new(), config: config.clone(), reference: reference.clone(), auth })
    }

    /// Introduces us; errors of the token service show here rather than at the first blob.
    ///
    /// A registry on a loopback address that speaks no TLS is spoken to in plain HTTP, as Docker and containerd do.
    pub(super) async fn authenticate(&self) -> Result<(), PullFault> {
        let fault = match self.introduce().await {
            Err(OciDistributionError::RequestError(error)) if error.is_connect() => {
                OciDistributionError::RequestError(error)
            }
            Err(error) => return Err(self.resolve_fault(error)),
            Ok(()) => return Ok(()),
        };
        if !is_loopback(self.reference.registry()) {
            return Err(self.resolve_fault(fault));
        }
        let plain = client(&self.reference, &self.config, ClientProtocol::Http)?;
        self.plain.get_or_init(|| plain);
        self.introduce().await.map_err(|error| self.resolve_fault(error))
    }

    async fn introduce(&self) -> Result<(), OciDistributionError> {
        self.client().auth(&self.remote(None), &self.auth, RegistryOperation::Pull).await.map(drop)
    }

    fn client(&self) -> &Client {
        self.plain.get().unwrap_or(&self.client)
    }

    /// The manifest that the reference, or a digest in its repository, stands for.
    pub(super) async fn manifest(&self, digest: Option<Digest>) -> Result<Vec<u8>, PullFault> {
        let remote = self.remote(digest);
        let answer = self.client().pull_manifest_raw(&remote, &self.auth, &MANIFEST_TYPES).await;
        answer.map(|(bytes, _)| bytes.to_vec()).map_err(|error| self.resolve_fault(error))
    }

    /// Writes a blob to `out`, whose content is what the digest and size say when this succeeds.
    pub(super) async fn blob(
        &self,
        what: &'static str,
        (digest, size): (Digest, u64),
        out: &mut (impl AsyncWrite + Unpin),
        mut came: impl FnMut(u64),
    ) -> Result<(), PullFault> {
        let failed = |detail| PullFault::Fetch { what, digest, detail };
        let name = digest.to_string();
        let stream = self.client().pull_blob_stream(&self.remote(None), name.as_str()).await;
        let mut stream = stream.map_err(|error| blob_fault(what, digest, error))?;
        let mut seen = Hashing::new(std::io::sink());
        let mut broken = None;
        while let Some(part) = stream.next().await {
            let part = match part {
                Ok(part) => part,
                // Digests are checked below as well, and there the size is looked at first.
                Err(error) if error.get_ref().is_some_and(|inner| inner.is::<DigestError>()) => break,
                Err(error) => {
                    broken = Some(causes(&error));
                    break;
                }
            };
            if seen.bytes() + part.len() as u64 > size {
                let found = seen.bytes() + part.len() as u64;
                return Err(ContentError::Size { what, digest, expected: size, found }.into());
            }
            seen.write_all(&part).and(Ok(())).map_err(|error| failed(error.to_string()))?;
            out.write_all(&part).await.map_err(|error| failed(error.to_string()))?;
            came(seen.bytes());
        }
        out.flush().await.map_err(|error| failed(error.to_string()))?;
        let (_, found, bytes) = seen.finish();
        match broken {
            None if bytes == size && found != digest => {
                Err(ContentError::Digest { what, expected: digest, found }.into())
            }
            Some(detail) => Err(failed(detail)),
            None if bytes != size => Err(ContentError::Size { what, digest, expected: size, found: bytes }.into()),
            None => Ok(()),
        }
    }

    fn remote(&self, digest: Option<Digest>) -> oci_client::Reference {
        let (registry, repository) = (self.reference.registry().to_owned(), self.reference.repository().to_owned());
        match (digest.or(self.reference.digest()), self.reference.tag()) {
            (Some(digest), _) => oci_client::Reference::with_digest(registry, repository, digest.to_string()),
            (None, tag) => oci_client::Reference::with_tag(registry, repository, tag.unwrap_or("latest").to_owned()),
        }
    }

    fn resolve_fault(&self, error: OciDistributionError) -> PullFault {
        let reference = Box::new(self.reference.clone());
        match Answer::of(&error) {
            Answer::NotFound => PullFault::NotFound(reference),
            Answer::Denied(detail) => PullFault::Denied { reference, detail },
            Answer::Other => match error {
                OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
                    match (expected.parse(), actual.parse()) {
                        (Ok(expected), Ok(found)) => ContentError::Digest { what: "manifest", expected, found }.into(),
                        _ => PullFault::Unreachable { reference, detail: format!("digest {actual}, not {expected}") },
                    }
                }
                error => PullFault::Unreachable { reference, detail: causes(&error) },
            },
        }
    }
}

fn client(reference: &Reference, config: &Config, protocol: ClientProtocol) -> Result<Client, PullFault> {
    let settings = ClientConfig {
        protocol,
        connect_timeout: Some(config.connect_timeout),
        read_timeout: Some(config.stall_timeout),
        user_agent: concat!("skiff/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    let reference = || Box::new(reference.clone());
    Client::try_from(settings).map_err(|error| PullFault::Tls { reference: reference(), detail: causes(&error) })
}

/// Whether `host` or `host:port` is this machine by name or number.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn blob_fault(what: &'static str, digest: Digest, error: OciDistributionError) -> PullFault {
    match Answer::of(&error) {
        Answer::NotFound => ContentError::Missing { what, digest }.into(),
        _ => PullFault::Fetch { what, digest, detail: causes(&error) },
    }
}

/// What a refusal means.
enum Answer {
    NotFound,
    Denied(String),
    Other,
}

impl Answer {
    fn of(error: &OciDistributionError) -> Self {
        use OciErrorCode::{BlobUnknown, Denied, ManifestUnknown, NameUnknown, NotFound, Unauthorized};
        match error {
            OciDistributionError::ImageManifestNotFoundError(_) => Self::NotFound,
            OciDistributionError::ServerError { code: 404, .. } => Self::NotFound,
            OciDistributionError::ServerError { code: 401 | 403, message, .. } => Self::Denied(message.clone()),
            OciDistributionError::UnauthorizedError { .. } => Self::Denied("authorization failed".to_owned()),
            OciDistributionError::AuthenticationFailure(said) => Self::Denied(said.trim().to_owned()),
            OciDistributionError::RegistryError { envelope, .. } => {
                let any = |codes: &[OciErrorCode]| envelope.errors.iter().any(|error| codes.contains(&error.code));
                if any(&[ManifestUnknown, NameUnknown, NotFound, BlobUnknown]) {
                    Self::NotFound
                } else if any(&[Unauthorized, Denied]) {
                    let said: Vec<&str> = envelope.errors.iter().map(|error| error.message.as_str()).collect();
                    Self::Denied(said.join("; "))
                } else {
                    Self::Other
                }
            }
            _ => Self::Other,
        }
    }
}

/// An error and what caused it, down to the system's own words; a link that repeats its cause is left out.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        source = cause.source();
    }
    texts.join(": ")
}
