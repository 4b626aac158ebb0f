//! `exec` and `attach`: commands in containers that run, and those containers' own streams.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::{
    error::Error,
    session::{Session, escaped},
    stream,
    verbs::logs::pod_of,
};

/// Flags of `exec`.
#[derive(Args, Clone, Debug)]
pub struct Exec {
    /// A pod, or `deployment/NAME` for one of its pods
    #[arg(value_name = "POD | TYPE/NAME")]
    target: String,
    #[command(flatten)]
    streams: Flags,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Flags of `attach`.
#[derive(Args, Clone, Debug)]
pub struct Attach {
    /// A pod, or `deployment/NAME` for one of its pods
    #[arg(value_name = "POD | TYPE/NAME")]
    target: String,
    #[command(flatten)]
    streams: Flags,
}

#[derive(Args, Clone, Debug)]
struct Flags {
    /// The container; otherwise the one that the pod names as its default, or its first
    #[arg(long, short)]
    container: Option<String>,
    /// Pass standard input to the container
    #[arg(long, short = 'i')]
    stdin: bool,
    /// Standard input is a terminal
    #[arg(long, short = 't')]
    tty: bool,
    /// Print nothing but what comes from the container
    #[arg(long, short)]
    quiet: bool,
}

impl Exec {
    /// Runs the command; its exit code is ours.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let pod = pod_of(session, &self.target).await?;
        refuse_ended(&pod, "exec into")?;
        let container = self.streams.container(&pod)?;
        let (stdin, tty) = self.streams.terminal(self.streams.tty);
        let mut query = streams_query(&container, stdin, tty);
        for word in &self.command {
            query.push_str(&format!("&command={}", escaped(word)));
        }
        stream::join(session, &path(session, &pod, "exec", &query), stdin, tty).await
    }
}

impl Attach {
    /// Joins the container's streams.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let pod = pod_of(session, &self.target).await?;
        refuse_ended(&pod, "attach to")?;
        let container = self.streams.container(&pod)?;
        let all = pod["spec"]["containers"].as_array().into_iter().flatten();
        let own_tty = all.clone().any(|one| one["name"] == container.as_str() && one["tty"] == true);
        if self.streams.tty && !own_tty && !self.streams.quiet {
            eprintln!("error: Unable to use a TTY - container {container} did not allocate one");
        }
        let (stdin, tty) = self.streams.terminal(self.streams.tty && own_tty);
        join(session, &pod, &container, stdin, tty, self.streams.quiet).await
    }
}

/// Attaches to a container.
pub(crate) async fn join(
    session: &Session,
    pod: &Value,
    container: &str,
    stdin: bool,
    tty: bool,
    quiet: bool,
) -> Result<ExitCode, Error> {
    if stdin && tty && !quiet {
        eprintln!("If you don't see a command prompt, try pressing enter.");
    }
    let query = streams_query(container, stdin, tty);
    stream::join(session, &path(session, pod, "attach", &query), stdin, tty).await
}

impl Flags {
    fn container(&self, pod: &Value) -> Result<String, Error> {
        let lists = ["containers", "initContainers", "ephemeralContainers"];
        let all = lists.iter().flat_map(|list| pod["spec"][*list].as_array().into_iter().flatten());
        let names: Vec<&str> = all.filter_map(|one| one["name"].as_str()).collect();
        let own = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        if let Some(wanted) = &self.container {
            return match names.contains(&wanted.as_str()) {
                true => Ok(wanted.clone()),
                false => Err(Error::Failed(format!("container {wanted} not found in pod {name}"))),
            };
        }
        let noted = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
        if let Some(noted) = noted.filter(|noted| names.contains(noted)) {
            return Ok(noted.to_owned());
        }
        let first = names.first().copied().unwrap_or_default();
        if own > 1 && !self.quiet {
            eprintln!("Defaulted container {first:?} out of: {}", names.join(", "));
        }
        Ok(first.to_owned())
    }

    /// Whether to pass input on, and whether there is a terminal for it.
    fn terminal(&self, tty: bool) -> (bool, bool) {
        if tty && self.stdin && !stream::is_terminal() {
            eprintln!("Unable to use a TTY - input is not a terminal or the right kind of file");
            return (self.stdin, false);
        }
        (self.stdin, tty)
    }
}

fn refuse_ended(pod: &Value, what: &str) -> Result<(), Error> {
    match pod["status"]["phase"].as_str() {
        Some(phase @ ("Succeeded" | "Failed")) => {
            Err(Error::Failed(format!("cannot {what} a container in a completed pod; current phase is {phase}")))
        }
        _ => Ok(()),
    }
}

fn streams_query(container: &str, stdin: bool, tty: bool) -> String {
    format!("container={}&stdin={stdin}&stdout=true&stderr={}&tty={tty}", escaped(container), !tty)
}

fn path(session: &Session, pod: &Value, part: &str, query: &str) -> String {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_else(|| session.namespace());
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    format!("/api/v1/namespaces/{namespace}/pods/{name}/{part}?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn which_container() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}],
            "ephemeralContainers": [{"name": "e"}]}});
        let of = |container: Option<&str>| {
            let container = container.map(str::to_owned);
            Flags { container, stdin: false, tty: false, quiet: true }.container(&pod)
        };
        assert_eq!(of(None).unwrap(), "a");
        assert_eq!(of(Some("e")).unwrap(), "e");
        assert_eq!(of(Some("x")).unwrap_err().to_string(), "error: container x not found in pod p");
    }
}
