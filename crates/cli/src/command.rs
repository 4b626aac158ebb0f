//! The verbs.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    error::Error,
    session::Session,
    verbs::{
        apply::Apply, create::Create, delete::Delete, expose::Expose, get::Get, logs::Logs, rollout::Rollout, run::Run,
        scale::Scale, wait::Wait,
    },
};

/// A verb of kubectl's.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Create a resource from a file or from stdin
    Create(Create),
    /// Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service
    Expose(Expose),
    /// Run a particular image on the cluster
    Run(Run),
    /// Display one or many resources
    Get(Get),
    /// Delete resources by file names, stdin, resources and names, or by resources and label selector
    Delete(Delete),
    /// Manage the rollout of a resource
    Rollout(Rollout),
    /// Set a new size for a deployment or replica set
    Scale(Scale),
    /// Print the logs for a container in a pod
    Logs(Logs),
    /// Apply a configuration to a resource by file name or stdin
    Apply(Apply),
    /// Wait for a specific condition on one or many resources
    Wait(Wait),
}

impl Command {
    /// Carries the verb out.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::Expose(expose) => expose.run(session).await,
            Self::Run(run) => run.run(session).await,
            Self::Get(get) => get.run(session).await,
            Self::Delete(delete) => delete.run(session).await,
            Self::Rollout(rollout) => rollout.run(session).await,
            Self::Scale(scale) => scale.run(session).await,
            Self::Logs(logs) => logs.run(session).await,
            Self::Apply(apply) => apply.run(session).await,
            Self::Wait(wait) => wait.run(session).await,
        }
    }
}
