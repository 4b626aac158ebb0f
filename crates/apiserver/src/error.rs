//! Why an API server does not start or ends.

use std::io;

use thiserror::Error;

/// Why an API server does not start or ends. What a request does wrong is no error of the server:
/// that is answered with a `Status`.
#[derive(Debug, Error)]
pub enum Error {
    /// Certificates and keys.
    #[error(transparent)]
    Pki(#[from] crate::pki::PkiError),
    /// The key that signs service-account tokens.
    #[error("the service-account key is no P-256 key in PKCS #8 PEM; move it away to have a new one made")]
    ServiceAccountKey,
    /// The objects that every cluster has could not be written.
    #[error("cannot write the objects that every cluster has: {0}")]
    Bootstrap(#[from] skiff_store::TransactError),
    /// An object could not be written as JSON.
    #[error("cannot encode an object: {0}")]
    Encode(#[from] serde_json::Error),
    /// A listener broke.
    #[error("cannot accept connections: {0}")]
    Accept(#[from] io::Error),
}
