//! What goes wrong, in kubectl's words.

use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server answered with a `Status`.
    #[error("Error from server{}: {message}", reason_in_brackets(.reason))]
    Status {
        /// The machine-readable reason, such as `NotFound`.
        reason: String,
        /// What it says.
        message: String,
        /// The HTTP code.
        code: u16,
    },
    /// The server could not be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The configuration is of no use.
    #[error("error: {0}")]
    Connect(#[from] skiff_client::ConnectError),
    /// The command's own words are wrong.
    #[error("error: {0}")]
    Usage(String),
    /// The server serves no such resource.
    #[error("error: the server doesn't have a resource type \"{0}\"")]
    NoSuchResource(String),
    /// A file cannot be read or written.
    #[error("error: {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A document cannot be read as an object.
    #[error("error: error parsing {path}: {why}")]
    Parse {
        /// Where it came from.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// What was waited for did not come in time.
    #[error("error: timed out waiting for the condition on {0}")]
    TimedOut(String),
    /// What was asked for did not come about.
    #[error("error: {0}")]
    Failed(String),
    /// Output could not be written.
    #[error("error: {0}")]
    Output(#[from] std::io::Error),
}

fn reason_in_brackets(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

impl Error {
    /// A mistake in the command's words.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// What a `Status` object says.
    pub(crate) fn status(object: &serde_json::Value) -> Self {
        Self::Status {
            reason: object["reason"].as_str().unwrap_or_default().to_owned(),
            message: object["message"].as_str().unwrap_or_default().to_owned(),
            code: object["code"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or_default(),
        }
    }

    /// What an answer that is no success says: a `Status`, or whatever stands between us and the server.
    pub(crate) fn refusal(code: u16, text: String) -> Self {
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(status) if status["kind"] == "Status" => Self::status(&status),
            _ => Self::Status { reason: String::new(), message: text, code },
        }
    }

    /// Whether the server said that the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { code: 404, reason, .. } if reason == "NotFound")
    }

    /// What the server said, or what this error says.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Status { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }

    /// Whether fields that are to be applied have other owners.
    pub(crate) fn is_conflict_of_owners(&self) -> bool {
        matches!(self, Self::Status { code: 409, message, .. } if message.starts_with("Apply failed with"))
    }

    /// The same error as it reads about the object of a file.
    #[must_use]
    pub(crate) fn about_file(self, action: &str, path: &str) -> Self {
        match self {
            Self::Status { reason, message, code } => {
                Self::Status { reason, message: format!("error when {action} \"{path}\": {message}"), code }
            }
            other => other,
        }
    }
}

impl From<skiff_client::kube::Error> for Error {
    fn from(error: skiff_client::kube::Error) -> Self {
        match error {
            skiff_client::kube::Error::Api(status) => {
                Self::Status { reason: status.reason.clone(), message: status.message.clone(), code: status.code }
            }
            other => Self::Unreachable(format!(
                "The connection to the server was refused - did you specify the right host or port? ({other})\n\
                 Start a cluster with `skiff server`, or name one with --kubeconfig."
            )),
        }
    }
}
