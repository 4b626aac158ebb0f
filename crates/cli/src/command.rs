//! The verbs.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    error::Error,
    global::Global,
    session::Session,
    verbs::{
        apply::Apply,
        auth::Auth,
        config::Config,
        create::Create,
        delete::Delete,
        describe::Describe,
        edit::Edit,
        exec::{Attach, Exec},
        expose::Expose,
        forward::PortForward,
        get::Get,
        info::{ApiResources, ApiVersions, ClusterInfo, Version},
        label::{Marks, Sort},
        logs::Logs,
        patch::Patch,
        rollout::Rollout,
        run::Run,
        scale::Scale,
        set::Set,
        wait::Wait,
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
    /// Attach to a running container
    Attach(Attach),
    /// Execute a command in a container
    Exec(Exec),
    /// Forward one or more local ports to a pod
    #[command(name = "port-forward")]
    PortForward(PortForward),
    /// Apply a configuration to a resource by file name or stdin
    Apply(Apply),
    /// Wait for a specific condition on one or many resources
    Wait(Wait),
    /// Show details of a specific resource or group of resources
    Describe(Describe),
    /// Edit a resource on the server
    Edit(Edit),
    /// Update fields of a resource
    Patch(Patch),
    /// Update the labels on a resource
    Label(Marks),
    /// Update the annotations on a resource
    Annotate(Marks),
    /// Set specific features on objects
    Set(Set),
    /// Print the supported API resources on the server
    #[command(name = "api-resources")]
    ApiResources(ApiResources),
    /// Print the supported API versions on the server, in the form of "group/version"
    #[command(name = "api-versions")]
    ApiVersions(ApiVersions),
    /// Display cluster information
    #[command(name = "cluster-info")]
    ClusterInfo(ClusterInfo),
    /// Inspect authorization
    Auth(Auth),
    /// Modify kubeconfig files
    Config(Config),
    /// Print the client and server version information
    Version(Version),
}

impl Command {
    /// What a verb prints that needs no cluster; `None`: it needs one.
    pub(crate) fn offline(&self, global: &Global) -> Option<Result<String, Error>> {
        match self {
            Self::Config(config) => Some(config.run(global)),
            Self::Version(version) => version.offline(),
            _ => None,
        }
    }

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
            Self::Attach(attach) => attach.run(session).await,
            Self::Exec(exec) => exec.run(session).await,
            Self::PortForward(forward) => forward.run(session).await,
            Self::Apply(apply) => apply.run(session).await,
            Self::Wait(wait) => wait.run(session).await,
            Self::Describe(describe) => describe.run(session).await,
            Self::Edit(edit) => edit.run(session).await,
            Self::Patch(patch) => patch.run(session).await,
            Self::Label(marks) => marks.run(session, Sort::Labels).await,
            Self::Annotate(marks) => marks.run(session, Sort::Annotations).await,
            Self::Set(set) => set.run(session).await,
            Self::ApiResources(list) => list.run(session).await,
            Self::ApiVersions(list) => list.run(session).await,
            Self::ClusterInfo(info) => info.run(session).await,
            Self::Auth(auth) => auth.run(session).await,
            Self::Config(config) => session.write(&config.run(session.global())?).map(|()| ExitCode::SUCCESS),
            Self::Version(version) => version.run(session).await,
        }
    }
}
