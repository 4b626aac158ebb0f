//! The supervisor: the parent of one pod's containers.
//!
//! It has one thread and one loop: signals, clients, container output and deadlines all wake the same `epoll`. Since it
//! outlives the server that started it, it keeps everything a later server will ask for: exit codes in memory and in a
//! file beside its socket, output in the log files. It is small because there is one for every pod.

mod attach;
mod clients;
mod container;
mod exec;
mod launch;
mod log;
mod pod;
mod poller;
mod processes;
mod program;
mod rootfs;
mod sandbox;
mod stdio;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sys::{prctl, stat};
use skiff_linux::process;

use crate::paths::PodDir;
use crate::runtime::Boot;

/// Runs the supervisor of the sandbox in the folder that is the first argument, with its listening socket as standard
/// input. It must be called from a process with one thread, before anything else is done in it.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(dir) = args.into_iter().next() else {
        eprintln!("the supervisor is started by the server, with a sandbox's folder");
        return ExitCode::FAILURE;
    };
    match run(PodDir(PathBuf::from(dir))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(dir: PodDir) -> io::Result<()> {
    let listener = take_listener()?;
    stand_alone()?;
    let boot: Boot = serde_json::from_slice(&fs::read(dir.boot())?)?;
    let sandbox = sandbox::set_up(&boot, &dir);
    pod::Pod::new(boot.spec, dir, sandbox, listener)?.run()
}

/// The socket arrives as standard input, which containers inherit: there must be nothing there for them.
fn take_listener() -> io::Result<UnixListener> {
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let nothing = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    process::set_standard_stream(nothing.as_fd(), 0)?;
    process::set_standard_stream(nothing.as_fd(), 1)?;
    Ok(listener)
}

/// Out of the server's session, so that its signals don't arrive here, and closed to the containers' eyes.
fn stand_alone() -> io::Result<()> {
    process::close_on_exec_from(3)?;
    // An error means that it leads a session already.
    nix::unistd::setsid().ok();
    prctl::set_name(c"skiff-pod")?;
    // What a container without a process namespace of its own leaves behind comes to us.
    prctl::set_child_subreaper(true)?;
    // Inherited by the children until they become programs: a container can't look into them through /proc.
    prctl::set_dumpable(false)?;
    stat::umask(stat::Mode::from_bits_truncate(0o022));
    std::env::set_current_dir("/")
}
