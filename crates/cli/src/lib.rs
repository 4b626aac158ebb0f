//! kubectl's verbs, words and output, for the `skiff` binary.
//!
//! # Flow
//! A command is parsed by clap into [`Command`]; [`run`] connects, asks the server what it serves
//! (`discovery`), sends plain requests with JSON bodies, and prints. Tables come from the server: no
//! kind has a printer here. `describe` is the exception, as in kubectl.
//!
//! # Errors
//! Every error is worded as kubectl words it and ends the command with exit code 1.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod command;
mod discovery;
mod duration;
mod error;
mod files;
mod global;
mod jsonpath;
mod names;
mod objects;
mod output;
mod print;
mod session;
mod stream;
mod verbs;
mod warnings;
mod watch;

use std::{io::Write, process::ExitCode};

pub use command::Command;
pub use error::Error;
pub use global::Global;
use session::Session;
use skiff_client::kube::Client;

/// Carries a command out over a client that exists already; what it prints goes to `out`.
pub async fn run_over(client: Client, command: &Command, global: Global, out: Box<dyn Write + Send>) -> ExitCode {
    finish(command.run(&Session::over(client, global, out)).await)
}

/// Carries a command out against the cluster that `global` names. Prints what it has to say; the exit
/// code is kubectl's.
pub async fn run(command: Command, global: Global) -> ExitCode {
    if let Some(printed) = command.offline(&global) {
        return finish(printed.map(|text| {
            print!("{text}");
            ExitCode::SUCCESS
        }));
    }
    match Session::new(global).await {
        Ok(session) => finish(command.run(&session).await),
        Err(error) => finish(Err(error)),
    }
}

fn finish(done: Result<ExitCode, Error>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}
