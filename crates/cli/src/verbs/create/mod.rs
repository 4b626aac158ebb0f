//! `create`: objects from files, or made from flags.

pub(crate) mod deployment;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::deployment::Deployment;
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
}

impl Create {
    /// Creates it.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        match &self.what {
            None => self.files(session).await,
            Some(What::Deployment(one)) => made(session, &one.output, one.object()?, How::CREATED).await,
        }
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

async fn made(session: &Session, output: &Output, object: serde_json::Value, how: How<'_>) -> Result<ExitCode, Error> {
    output.create(session, object, how).await?;
    Ok(ExitCode::SUCCESS)
}
