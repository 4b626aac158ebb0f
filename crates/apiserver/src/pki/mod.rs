//! Certificates and keys of the cluster, kept in one folder and made anew when they are missing,
//! near their end, or do not name what the server is reached by.

mod files;
mod issue;
mod kubeconfig;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{Timestamp, ToSpan as _};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use thiserror::Error;

use self::issue::{Authority, Purpose};
use crate::user::MASTERS;

/// Why the certificates cannot be read or made.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something that is no key or certificate.
    #[error("{path} is damaged ({reason}); move it away to have a new one made")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The keys do not make a TLS server.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The certificate authority does not make a verifier of client certificates.
    #[error("cannot verify client certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A certificate with its key, both in PEM.
#[derive(Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The names and addresses that the serving certificate must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServingNames {
    /// DNS names, such as `localhost` and `kubernetes.default.svc`.
    pub names: BTreeSet<String>,
    /// Addresses, such as 127.0.0.1 and the `kubernetes` Service's.
    pub addresses: BTreeSet<IpAddr>,
}

impl ServingNames {
    /// What every API server is reached by, and `more` addresses.
    #[must_use]
    pub fn of_cluster(domain: &str, more: impl IntoIterator<Item = IpAddr>) -> Self {
        let names = [
            "localhost".to_owned(),
            "kubernetes".to_owned(),
            "kubernetes.default".to_owned(),
            "kubernetes.default.svc".to_owned(),
            format!("kubernetes.default.svc.{domain}"),
        ];
        let local = [IpAddr::from([127, 0, 0, 1]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
        Self { names: names.into(), addresses: local.into_iter().chain(more).collect() }
    }
}

/// The cluster's certificate authority and what it issued.
pub struct Pki {
    authority: Authority,
    serving: Certified,
    admin: Certified,
    service_account_key: String,
}

impl Pki {
    /// Opens the folder `dir`, making what is missing, outlived or does not hold `names`.
    ///
    /// # Errors
    /// See [`PkiError`]; damaged files are never replaced silently.
    pub fn open(dir: &Path, names: &ServingNames, now: Timestamp) -> Result<Self, PkiError> {
        files::make_private_dir(dir)?;
        let authority = Authority::open(dir, now)?;
        let serving = issue::keep_or_issue(dir, "apiserver", &authority, &Purpose::Serve(names), now)?;
        let masters = [MASTERS.to_owned()];
        let admin_user = Purpose::Client { user: "system:admin", groups: &masters };
        let admin = issue::keep_or_issue(dir, "admin", &authority, &admin_user, now)?;
        let service_account_key = issue::keep_or_make_key(&dir.join("service-account.key"))?;
        Ok(Self { authority, serving, admin, service_account_key })
    }

    /// The authority's certificate in PEM: what clients verify the server by.
    #[must_use]
    pub fn ca(&self) -> &str {
        self.authority.certificate()
    }

    /// The administrator's client certificate.
    #[must_use]
    pub fn admin(&self) -> &Certified {
        &self.admin
    }

    /// The key that signs service-account tokens, in PEM (PKCS #8, P-256).
    #[must_use]
    pub fn service_account_key(&self) -> &str {
        &self.service_account_key
    }

    /// A client certificate for `user`, valid for a year; it is not kept.
    ///
    /// # Errors
    /// If the certificate cannot be made.
    pub fn client(&self, user: &str, groups: &[String]) -> Result<Certified, PkiError> {
        self.authority.issue(&Purpose::Client { user, groups }, Timestamp::now())
    }

    /// A kubeconfig by which the administrator reaches the API at `server` (an `https://` URL).
    #[must_use]
    pub fn admin_kubeconfig(&self, server: &str) -> String {
        kubeconfig::render(server, self.ca(), "admin", &self.admin)
    }

    /// Writes [`Pki::admin_kubeconfig`] to `path`, readable by the owner alone.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_admin_kubeconfig(&self, path: &Path, server: &str) -> Result<(), PkiError> {
        let text = self.admin_kubeconfig(server);
        match std::fs::read_to_string(path) {
            Ok(there) if there == text => Ok(()),
            _ => files::write_private(path, &text),
        }
    }

    /// What TLS serving needs: our certificate, and clients' certificates verified if they show one.
    ///
    /// # Errors
    /// If the keys do not fit together.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, PkiError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate_der(self.ca())?)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate_der(&self.serving.certificate)?, certificate_der(self.ca())?],
                key_der(&self.serving.key)?,
            )?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificate_der(pem: &str) -> Result<CertificateDer<'static>, PkiError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| PkiError::Tls(rustls::Error::General(error.to_string())))
}

fn key_der(pem: &str) -> Result<PrivateKeyDer<'static>, PkiError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| PkiError::Tls(rustls::Error::General(error.to_string())))
}

/// Certificates are renewed this long before their end.
fn renewal_due(not_after: Timestamp, now: Timestamp) -> bool {
    now.checked_add((30 * 24).hours()).is_ok_and(|soon| not_after < soon)
}
