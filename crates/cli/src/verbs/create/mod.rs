//! `create`: objects from files, or made from flags.

mod account;
mod data;
mod deployment;
mod service;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::{
    account::{Named, Token},
    data::{ConfigMap, Secret},
    deployment::Deployment,
    service::Service,
};
use crate::{
    error::Error,
    files,
    output::{Failures, How, Output},
    session::Session,
};

/// Flags of `create`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Create {
    #[command(subcommand)]
    what: Option<What>,
    /// The objects of a file, a folder, or `-`
    #[arg(long, short = 'f', value_name = "FILE")]
    filename: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// What is made from flags.
#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Create a deployment with the specified name
    #[command(visible_alias = "deploy")]
    Deployment(Deployment),
    /// Create a service using a specified subcommand
    #[command(visible_alias = "svc")]
    Service(Service),
    /// Create a namespace with the specified name
    #[command(visible_alias = "ns")]
    Namespace(Named),
    /// Create a config map from a local file, directory or literal value
    #[command(visible_alias = "cm")]
    Configmap(ConfigMap),
    /// Create a secret using a specified subcommand
    Secret(Secret),
    /// Create a service account with the specified name
    #[command(visible_alias = "sa")]
    Serviceaccount(Named),
    /// Request a service account token
    Token(Token),
}

impl Create {
    /// Creates it.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let how = How::CREATED;
        let (output, object, how) = match &self.what {
            None => return self.files(session).await,
            Some(What::Token(one)) => return one.run(session).await.map(|()| ExitCode::SUCCESS),
            Some(What::Deployment(one)) => (&one.output, one.object()?, how),
            Some(What::Service(one)) => (one.output(), one.object()?, how),
            Some(What::Namespace(one)) => (&one.output, one.namespace(), How { namespaced: false, ..how }),
            Some(What::Configmap(one)) => (&one.output, one.object()?, how),
            Some(What::Secret(one)) => (one.output(), one.object()?, how),
            Some(What::Serviceaccount(one)) => (&one.output, one.service_account(), how),
        };
        output.create(session, object, how).await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn files(&self, session: &Session) -> Result<ExitCode, Error> {
        if self.filename.is_empty() {
            return Err(Error::usage("must specify one of -f and -k"));
        }
        let mut failures = Failures::default();
        for file in &self.filename {
            for object in files::read(file)? {
                let created = self.output.create(session, object, How::CREATED).await;
                failures.note(created.map_err(|error| error.about_file("creating", file)));
            }
        }
        Ok(failures.code())
    }
}
