//! `rollout`: how a deployment's change comes along, and what came before it.

mod status;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::status::Status;
use crate::{error::Error, session::Session};

/// Subcommands of `rollout`.
#[derive(Args, Clone, Debug)]
pub struct Rollout {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Show the status of the rollout
    Status(Status),
}

impl Rollout {
    /// Carries the subcommand out.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        match &self.what {
            What::Status(status) => status.run(session).await,
        }
    }
}
