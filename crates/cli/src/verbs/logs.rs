//! `logs`: what containers wrote.

use std::process::ExitCode;

use clap::Args;
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _, stream::FuturesUnordered};
use serde_json::Value;

use crate::{
    duration::{self, Limit},
    error::Error,
    names,
    output::Failures,
    session::{JSON, Session, escaped},
};

/// Flags of `logs`.
#[derive(Args, Clone, Debug, Default)]
pub struct Logs {
    /// A pod, or `deployment/NAME` for one of its pods; and the container
    #[arg(value_name = "POD | TYPE/NAME")]
    words: Vec<String>,
    /// Go on printing what is written
    #[arg(long, short)]
    follow: bool,
    /// Only that many lines from the end; -1: all [default: all, or 10 with a selector]
    #[arg(long, allow_hyphen_values = true, value_name = "LINES")]
    tail: Option<i64>,
    /// Only what is newer than a duration, such as 5s, 2m or 3h
    #[arg(long, value_parser = duration::parse, value_name = "DURATION")]
    since: Option<Limit>,
    /// Only what is newer than a moment (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "since")]
    since_time: Option<String>,
    /// Put the time before every line
    #[arg(long)]
    timestamps: bool,
    /// Of the container's previous run
    #[arg(long, short)]
    previous: bool,
    /// The container
    #[arg(long, short)]
    container: Option<String>,
    /// All containers of the pod
    #[arg(long)]
    all_containers: bool,
    /// All pods with these labels
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// Put pod and container before every line
    #[arg(long)]
    prefix: bool,
    /// At most that many bytes
    #[arg(long, value_name = "BYTES")]
    limit_bytes: Option<u64>,
    /// At most that many logs are followed at once
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    max_log_requests: usize,
    /// A log that cannot be read does not end the others
    #[arg(long)]
    ignore_errors: bool,
}

/// One container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    pod: String,
    container: String,
}

impl Logs {
    /// Prints logs.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let mut sources = Vec::new();
        for pod in self.pods(session).await? {
            sources.extend(self.sources(&pod)?);
        }
        if self.follow && sources.len() > self.max_log_requests {
            return Err(Error::usage(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {}, use \
                 --max-log-requests to increase the limit",
                sources.len(),
                self.max_log_requests
            )));
        }
        let mut failures = Failures::default();
        if self.follow && sources.len() > 1 {
            let mut all: FuturesUnordered<_> = sources.iter().map(|source| self.print(session, source)).collect();
            while let Some(done) = all.next().await {
                self.judge(&mut failures, done)?;
            }
        } else {
            for source in &sources {
                self.judge(&mut failures, self.print(session, source).await)?;
            }
        }
        Ok(failures.code())
    }

    fn judge(&self, failures: &mut Failures, done: Result<(), Error>) -> Result<(), Error> {
        match done {
            Err(error) if self.ignore_errors => {
                failures.note::<()>(Err(error));
                Ok(())
            }
            other => other,
        }
    }

    async fn pods(&self, session: &Session) -> Result<Vec<Value>, Error> {
        if let Some(selector) = &self.selector {
            if !self.words.is_empty() {
                return Err(Error::usage("only a selector (-l) or a POD name is allowed"));
            }
            let pods = selected(session, selector).await?;
            if pods.is_empty() {
                eprintln!("No resources found in {} namespace.", session.namespace());
            }
            return Ok(pods);
        }
        let Some(word) = self.words.first() else {
            return Err(Error::usage("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'."));
        };
        pod_of(session, word).await.map(|pod| vec![pod])
    }

    fn sources(&self, pod: &Value) -> Result<Vec<Source>, Error> {
        let name = text(&pod["metadata"]["name"]);
        let of = |container: &str| Source { pod: name.to_owned(), container: container.to_owned() };
        let own: Vec<&str> = names_in(&pod["spec"]["containers"]);
        let init = names_in(&pod["spec"]["initContainers"]);
        if self.all_containers {
            return Ok(init.iter().chain(&own).map(|one| of(one)).collect());
        }
        if let Some(wanted) = self.container.as_ref().or(self.words.get(1)) {
            if !own.iter().chain(&init).any(|one| one == wanted) {
                return Err(Error::Failed(format!("container {wanted} is not valid for pod {name}")));
            }
            return Ok(vec![of(wanted)]);
        }
        let noted = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
        if let Some(noted) = noted.filter(|noted| own.contains(noted)) {
            return Ok(vec![of(noted)]);
        }
        let first = own.first().copied().unwrap_or_default();
        if own.len() + init.len() > 1 {
            let all: Vec<String> =
                own.iter().map(|one| (*one).to_owned()).chain(init.iter().map(|one| format!("{one} (init)"))).collect();
            eprintln!("Defaulted container {first:?} out of: {}", all.join(", "));
        }
        Ok(vec![of(first)])
    }

    fn query(&self, container: &str) -> String {
        let mut pairs = vec![format!("container={}", escaped(container))];
        let flags = [("follow", self.follow), ("timestamps", self.timestamps), ("previous", self.previous)];
        pairs.extend(flags.into_iter().filter(|(_, on)| *on).map(|(key, _)| format!("{key}=true")));
        let tail = self.tail.or_else(|| self.selector.is_some().then_some(10)).filter(|lines| *lines >= 0);
        pairs.extend(tail.map(|lines| format!("tailLines={lines}")));
        if let Some(Limit::After(time)) = self.since {
            // Whole seconds, and never more than was asked for is lost.
            pairs.push(format!("sinceSeconds={}", time.as_secs_f64().ceil()));
        }
        pairs.extend(self.since_time.as_ref().map(|time| format!("sinceTime={}", escaped(time))));
        pairs.extend(self.limit_bytes.map(|bytes| format!("limitBytes={bytes}")));
        pairs.join("&")
    }

    async fn print(&self, session: &Session, source: &Source) -> Result<(), Error> {
        let Source { pod, container } = source;
        let path = format!("/api/v1/namespaces/{}/pods/{pod}/log?{}", session.namespace(), self.query(container));
        if !self.follow && !self.prefix {
            return session.write(&session.text(&path).await?);
        }
        let mut lines = session.lines(&path, "*/*").await?.lines();
        while let Some(line) = lines.try_next().await? {
            let prefix = if self.prefix { format!("[pod/{pod}/{container}] ") } else { String::new() };
            session.say(&format!("{prefix}{line}"))?;
        }
        Ok(())
    }
}

/// The pod that `POD` or `TYPE/NAME` means: of several, one that is ready.
pub(crate) async fn pod_of(session: &Session, word: &str) -> Result<Value, Error> {
    let discovery = session.discovery().await?;
    let whole = if word.contains('/') { word.to_owned() } else { format!("pods/{word}") };
    let (resource, name) = names::single(discovery, &[whole])?;
    let object = session.get(&resource.object(session.namespace(), &name), JSON).await?;
    if resource.kind == "Pod" {
        return Ok(object);
    }
    let selector = &object["spec"]["selector"];
    let labels = selector_text(if resource.kind == "Service" { selector } else { &selector["matchLabels"] });
    if labels.is_empty() {
        return Err(Error::usage(format!("cannot take a pod of {}: it selects no pods", resource.kind)));
    }
    let mut pods = selected(session, &labels).await?;
    pods.sort_by_key(|pod| !is_ready(pod));
    if pods.is_empty() {
        return Err(Error::Failed(format!("no pods found for {}", resource.named(&name))));
    }
    if pods.len() > 1 {
        eprintln!("Found {} pods, using pod/{}", pods.len(), text(&pods[0]["metadata"]["name"]));
    }
    Ok(pods.swap_remove(0))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn names_in(containers: &Value) -> Vec<&str> {
    containers.as_array().into_iter().flatten().map(|one| text(&one["name"])).collect()
}

fn is_ready(pod: &Value) -> bool {
    let ready = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
    pod["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(ready))
}

/// `a=b,c=d`.
fn selector_text(labels: &Value) -> String {
    let pairs: Vec<String> =
        labels.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value))).collect();
    pairs.join(",")
}

async fn selected(session: &Session, selector: &str) -> Result<Vec<Value>, Error> {
    let path = format!("/api/v1/namespaces/{}/pods?labelSelector={}", session.namespace(), escaped(selector));
    let mut list = session.get(&path, JSON).await?;
    Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn which_containers() {
        let pod = json!({
            "metadata": { "name": "p" },
            "spec": { "containers": [{ "name": "a" }, { "name": "b" }], "initContainers": [{ "name": "i" }] },
        });
        let of = |logs: Logs| -> Vec<String> {
            logs.sources(&pod).unwrap().into_iter().map(|source| source.container).collect()
        };
        assert_eq!(of(Logs::default()), ["a"]);
        assert_eq!(of(Logs { all_containers: true, ..Logs::default() }), ["i", "a", "b"]);
        assert_eq!(of(Logs { container: Some("b".to_owned()), ..Logs::default() }), ["b"]);
        assert_eq!(of(Logs { words: vec!["p".to_owned(), "i".to_owned()], ..Logs::default() }), ["i"]);
        let wrong = Logs { container: Some("x".to_owned()), ..Logs::default() };
        assert_eq!(wrong.sources(&pod).unwrap_err().to_string(), "error: container x is not valid for pod p");
    }

    #[test]
    fn flags_become_a_query() {
        let logs = Logs {
            follow: true,
            tail: Some(5),
            since: Some(Limit::After(std::time::Duration::from_millis(1500))),
            ..Logs::default()
        };
        assert_eq!(logs.query("c"), "container=c&follow=true&tailLines=5&sinceSeconds=2");
        let labelled = Logs { selector: Some("a=b".to_owned()), ..Logs::default() };
        assert_eq!(labelled.query("c"), "container=c&tailLines=10");
        let all = Logs { tail: Some(-1), ..labelled };
        assert_eq!(all.query("c"), "container=c");
    }
}
