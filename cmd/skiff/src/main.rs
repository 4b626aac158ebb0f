//! `skiff`: a whole Kubernetes-compatible cluster in one binary.
//!
//! `skiff server` is the cluster; `status`, `doctor`, `image` and `uninstall` look after this machine;
//! every other command is a client with kubectl's words. `skiff supervisor` is what the server starts
//! for each pod; it is decided before anything else is set up, to stay small.

mod args;
mod doctor;
mod host;
mod image;
mod node_client;
mod server;
mod status;
mod uninstall;

use std::{ffi::OsString, io, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};

use args::{Places, ServerArgs};

/// A whole Kubernetes-compatible cluster in one small binary.
#[derive(Parser)]
#[command(
    name = "skiff",
    version,
    about,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: skiff_cli::Global,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the cluster on this machine
    Server(Box<ServerArgs>),
    /// Say what runs on this machine
    Status(StatusArgs),
    /// Say what on this machine is missing or in the way
    Doctor(DoctorArgs),
    /// Look after the images on this machine
    #[command(subcommand)]
    Image(image::Command),
    /// Remove everything that skiff put on this machine, and prove it
    Uninstall(uninstall::UninstallArgs),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    #[command(flatten)]
    Client(Box<skiff_cli::Command>),
}

#[derive(clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    places: Places,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct DoctorArgs {
    #[command(flatten)]
    places: Places,

    /// The port of the API
    #[arg(long, default_value_t = 6443, value_name = "PORT")]
    api_port: u16,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "supervisor") {
        return skiff_runtime::supervisor::main(arguments.into_iter().skip(2));
    }
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Server(args) => server::main(*args).map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => {
            let well = doctor::report(&doctor::examine(&args.places, args.api_port));
            Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "skiff", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Status(args) => small_runtime()?.block_on(status::main(&args.places, args.json)),
        Command::Image(command) => small_runtime()?.block_on(image::main(command)).map(|()| ExitCode::SUCCESS),
        Command::Uninstall(args) => small_runtime()?.block_on(uninstall::main(&args)),
        Command::Client(command) => {
            use_ring();
            Ok(small_runtime()?.block_on(skiff_cli::run(*command, cli.global)))
        }
    }
}

/// One thread is enough for a client.
fn small_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// All TLS of this process is ring's.
fn use_ring() {
    // It fails only if one is installed already, which is then this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
