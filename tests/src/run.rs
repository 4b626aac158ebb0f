//! Commands with a time limit, and waiting for a condition.

use std::{
    io,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; 128 + signal where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// Standard output of a command that must succeed.
    ///
    /// # Panics
    /// Where it failed; with all it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self.out
    }
}

/// Runs a command to its end; kills it after `limit`.
///
/// # Errors
/// Where it cannot be started or waited for.
pub fn run(command: &mut Command, input: &str, limit: Duration) -> io::Result<Output> {
    use std::{io::Write as _, os::unix::process::ExitStatusExt as _};
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that reads nothing may be gone already.
        let _ = stdin.write_all(input.as_bytes());
    }
    let pid = child.id().to_string();
    let guard = thread::spawn(move || child.wait_with_output());
    let deadline = Instant::now() + limit;
    while !guard.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    if !guard.is_finished() {
        Command::new("kill").args(["-9", &pid]).status()?;
    }
    let output = guard.join().map_err(|_| io::Error::other("the waiting thread panicked"))??;
    let signal = output.status.signal().map_or(0, |signal| 128 + signal);
    Ok(Output {
        code: output.status.code().unwrap_or(signal),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Tries until `attempt` gives a value; panics with the last reason after `limit`.
///
/// # Panics
/// When the limit passes.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(reason) if Instant::now() > deadline => panic!("{what}: not within {limit:?}: {reason}"),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}
