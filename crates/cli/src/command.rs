//! The verbs.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{error::Error, session::Session, verbs::get::Get};

/// A verb of kubectl's.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Display one or many objects
    Get(Get),
}

impl Command {
    /// Carries the verb out.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        match self {
            Self::Get(get) => get.run(session).await,
        }
    }
}
