//! Probes: when a container counts as started, ready and alive.

pub(crate) mod http;
pub(crate) mod machine;
pub(crate) mod run;

use std::{fmt, io};

/// What a probe decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Startup,
    Liveness,
    Readiness,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        })
    }
}

/// A failed connection, in the words people know from Kubernetes.
pub(crate) fn dial(address: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => {
            let text = nix::Error::from_raw(code).desc().to_lowercase();
            format!("dial tcp {address}: connect: {text}")
        }
        None => format!("dial tcp {address}: {error}"),
    }
}
