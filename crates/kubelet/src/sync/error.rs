//! Why a container does not start, with the reason its status shows.

use skiff_runtime::Fault;
use thiserror::Error;

use super::state::Waiting;
use crate::{
    pod::{env::EnvError, identity::IdentityError, refusal::Refusal},
    volumes::VolumeError,
};

/// One failed attempt to start a container.
#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    /// Its image is not there and may not, or could not, be fetched.
    #[error("{message}")]
    Image {
        /// `ErrImagePull`, `InvalidImageName` and the like.
        reason: &'static str,
        /// What is shown.
        message: String,
    },
    /// What its environment refers to is not there.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// It may not run as whom it would.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its mounts cannot be prepared.
    #[error(transparent)]
    Mounts(#[from] VolumeError),
    /// The API server could not be asked.
    #[error("{0}")]
    Api(#[source] Box<kube::Error>),
    /// It asks for what is not there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The container whose processes it is to see does not run.
    #[error(transparent)]
    Target(Fault),
    /// The runtime could not start it.
    #[error("unable to start container process: {0}")]
    Start(String),
    /// The sandbox failed, or is gone.
    #[error(transparent)]
    Sandbox(#[from] skiff_runtime::Error),
    /// The pod is being ended.
    #[error("the pod is being terminated")]
    Cancelled,
}

impl LaunchError {
    /// The reason that the container's status shows.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Image { reason, .. } => reason,
            Self::Env(_) | Self::Identity(_) | Self::Api(_) | Self::Refused(_) | Self::Target(_) => {
                "CreateContainerConfigError"
            }
            Self::Mounts(_) => "CreateContainerError",
            Self::Start(_) | Self::Sandbox(_) => "RunContainerError",
            Self::Cancelled => "ContainerCreating",
        }
    }

    /// What the container waits for.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting::because(self.reason(), self.to_string())
    }
}

impl From<kube::Error> for LaunchError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// Why a pod has no sandbox.
#[derive(Debug, Error)]
pub(crate) enum SetupError {
    /// The runtime.
    #[error(transparent)]
    Runtime(#[from] skiff_runtime::Error),
    /// The network.
    #[error(transparent)]
    Network(#[from] skiff_network::Error),
    /// Its files.
    #[error(transparent)]
    Files(#[from] VolumeError),
    /// A worker thread ended without an answer.
    #[error("the work was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}
