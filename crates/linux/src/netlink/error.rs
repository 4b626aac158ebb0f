//! What can go wrong on a netlink socket.

use std::io;

/// Why a netlink exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("netlink: cannot {operation}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a request.
    #[error("the kernel refused request {index}: {source}{}", detail.as_deref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Refused {
        /// Which request of the batch, counted from 0.
        index: usize,
        /// Its errno.
        #[source]
        source: io::Error,
        /// The kernel's own words, if it gave any.
        detail: Option<String>,
    },
    /// The kernel's answer never came.
    #[error("the kernel did not answer request {index}")]
    Silent {
        /// Which request of the batch, counted from 0.
        index: usize,
    },
    /// More happened than the socket's buffer holds: what was missed is unknown.
    #[error("the netlink socket's buffer overflowed")]
    Overflow,
}

impl Error {
    /// The errno behind this error, if there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } | Self::Refused { source, .. } => source.raw_os_error(),
            Self::Silent { .. } | Self::Overflow => None,
        }
    }
}

/// The errno of a failed exchange; `None` when it went well or failed otherwise.
#[must_use]
pub fn errno_of<T>(result: &Result<T, Error>) -> Option<i32> {
    result.as_ref().err().and_then(Error::errno)
}
