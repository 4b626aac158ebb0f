//! `run -it`: a pod that this terminal is attached to, for as long as it runs.

use std::process::ExitCode;

use clap::Args;
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use http::Method;
use serde_json::Value;

use crate::{
    error::Error,
    session::{JSON, Session},
    stream,
    verbs::exec,
};

/// How a pod is run with somebody at it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Interactive {
    /// Keep standard input open, and pass ours on
    #[arg(long, short = 'i')]
    pub(crate) stdin: bool,
    /// Give the container a terminal
    #[arg(long, short = 't')]
    pub(crate) tty: bool,
    /// Wait for the pod to run, and attach to it
    #[arg(long)]
    attach: bool,
    /// Delete the pod after it has ended
    #[arg(long)]
    rm: bool,
    /// Print nothing but what comes from the container
    #[arg(long, short)]
    quiet: bool,
}

impl Interactive {
    /// Whether anybody is to be at it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.stdin || self.tty || self.attach || self.rm
    }

    /// Creates the pod and attaches to it; with `once`, its exit code is ours.
    pub(crate) async fn run(&self, session: &Session, pod: &Value, once: bool) -> Result<ExitCode, Error> {
        if self.rm && !(self.attach || self.stdin) {
            return Err(Error::usage("--rm should only be used for attached containers"));
        }
        if self.tty && !self.stdin {
            return Err(Error::usage("-i/--stdin is required for containers with -t/--tty=true"));
        }
        let pods = format!("/api/v1/namespaces/{}/pods", session.namespace());
        let created = session.post(&format!("{pods}?fieldManager=kubectl-run&fieldValidation=Strict"), pod).await?;
        let name = created["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let result = self.attached(session, &pods, &name, once).await;
        if self.rm {
            let path = format!("{pods}/{name}");
            session.send(Method::DELETE, &path, JSON, JSON, None).await?;
            if !self.quiet {
                session.say(&format!("pod {name:?} deleted"))?;
            }
        }
        result
    }

    async fn attached(&self, session: &Session, pods: &str, name: &str, once: bool) -> Result<ExitCode, Error> {
        let begun = |phase: &str| matches!(phase, "Running" | "Succeeded" | "Failed");
        let pod = until(session, pods, name, begun).await?;
        let container = pod["spec"]["containers"][0]["name"].as_str().unwrap_or_default().to_owned();
        if pod["status"]["phase"] == "Running" {
            let tty = self.tty && stream::is_terminal();
            exec::join(session, &pod, &container, self.stdin, tty, self.quiet).await?;
        } else {
            // It was too quick to be attached to.
            session.write(&session.text(&format!("{pods}/{name}/log?container={container}")).await?)?;
        }
        if !once {
            return Ok(ExitCode::SUCCESS);
        }
        let pod = until(session, pods, name, |phase| matches!(phase, "Succeeded" | "Failed")).await?;
        Ok(verdict(session, name, &pod["status"]))
    }
}

fn verdict(session: &Session, name: &str, status: &Value) -> ExitCode {
    if status["phase"] == "Succeeded" {
        return ExitCode::SUCCESS;
    }
    let ended = &status["containerStatuses"][0]["state"]["terminated"];
    let reason = ended["reason"].as_str().or(status["reason"].as_str()).unwrap_or("Error");
    eprintln!("pod {}/{name} terminated ({reason})", session.namespace());
    let code = ended["exitCode"].as_u64().and_then(|code| u8::try_from(code).ok());
    code.filter(|code| *code != 0).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Waits for the pod to be in such a phase.
async fn until(session: &Session, pods: &str, name: &str, wanted: impl Fn(&str) -> bool) -> Result<Value, Error> {
    let path = format!("{pods}?watch=true&fieldSelector=metadata.name%3D{name}");
    let mut lines = session.lines(&path, JSON).await?.lines();
    while let Some(line) = lines.try_next().await? {
        let mut event: Value =
            serde_json::from_str(&line).map_err(|error| Error::Parse { path: path.clone(), why: error.to_string() })?;
        match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => {
                let pod = event["object"].take();
                if wanted(pod["status"]["phase"].as_str().unwrap_or_default()) {
                    return Ok(pod);
                }
            }
            Some("DELETED") => return Err(Error::Failed(format!("pod {name} was deleted"))),
            _ => {}
        }
    }
    Err(Error::TimedOut(format!("pods/{name}")))
}
