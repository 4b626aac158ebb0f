//! kubectl's verbs, words and output, for the `skiff` binary.
//!
//! # Flow
//! A command is parsed by clap into [`Command`]; [`run`] connects, asks the server what it serves
//! ([`discovery`]), sends plain requests with JSON bodies, and prints. Tables come from the server: no
//! kind has a printer here. `describe` is the exception, as in kubectl.
//!
//! # Errors
//! Every error is worded as kubectl words it and ends the command with exit code 1.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod command;
mod discovery;
mod error;
mod files;
mod global;
mod jsonpath;
mod names;
mod print;
mod session;
mod verbs;

use std::process::ExitCode;

pub use command::Command;
pub use error::Error;
pub use global::Global;
use session::Session;

/// Carries a command out against the cluster that `global` names. Prints what it has to say; the exit
/// code is kubectl's.
pub async fn run(command: Command, global: Global) -> ExitCode {
    let done = match Session::new(global).await {
        Ok(session) => command.run(&session).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
