//! Why a key could not be worked on; it is tried again.

use thiserror::Error;

/// What a controller runs into.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server refused or could not be reached.
    #[error("{what}: {source}")]
    Api {
        /// What was being done, with the object's name.
        what: String,
        /// The API server's answer.
        source: Box<kube::Error>,
    },
    /// Something is not there yet; no fault of anyone.
    #[error("waiting for {0}")]
    NotYet(String),
}

/// Gives an API error its context.
pub(crate) trait During<T> {
    /// Says what was being done.
    fn during(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> During<T> for Result<T, kube::Error> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Api { what: what(), source: Box::new(source) })
    }
}

/// Whether the API server answered with this HTTP status.
pub(crate) fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// Whether the API server makes nothing new, because the namespace is being deleted.
pub(crate) fn is_namespace_going(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// A 404 is as good as success where something had to go.
pub(crate) fn gone_is_fine<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(error) if !is_status(&error, 404) => Err(error),
        _ => Ok(()),
    }
}
