//! `scale`: the number of replicas, through the scale subresource.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::{
    duration::{self, Limit},
    error::Error,
    objects::{Pick, Picked},
    output::{Failures, Output},
    print::Format,
    session::{JSON, MERGE, Session},
    watch::{Outcome, Watched},
};

/// Flags of `scale`.
#[derive(Args, Clone, Debug)]
pub struct Scale {
    /// Types and names: `deployment web`, `deploy/web rs/old`
    #[arg(value_name = "TYPE NAME")]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// The new desired number of replicas
    #[arg(long, value_name = "COUNT")]
    replicas: u32,
    /// Only scale if there are that many replicas now
    #[arg(long, value_name = "COUNT")]
    current_replicas: Option<u32>,
    /// Only scale if the object has this version
    #[arg(long, value_name = "VERSION")]
    resource_version: Option<String>,
    /// How long to wait until that many replicas run; 0: not at all
    #[arg(long, default_value = "0s", value_parser = duration::parse, allow_hyphen_values = true)]
    timeout: Limit,
    #[command(flatten)]
    output: Output,
}

impl Scale {
    /// Scales.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let found = self.pick.find(session, &self.words).await?;
        if found.is_empty() {
            return Err(Error::usage("no objects passed to scale"));
        }
        let mut failures = Failures::default();
        for one in &found {
            failures.note(self.one(session, one).await);
        }
        Ok(failures.code())
    }

    async fn one(&self, session: &Session, one: &Picked) -> Result<(), Error> {
        let path = format!("{}/scale", one.path());
        if let Some(expected) = self.current_replicas {
            let now = session.get(&path, JSON).await?["spec"]["replicas"].as_u64().unwrap_or_default();
            if now != u64::from(expected) {
                return Err(Error::Failed(format!("Expected replicas to be {expected}, was {now}")));
            }
        }
        let mut patch = json!({ "spec": { "replicas": self.replicas } });
        if let Some(version) = &self.resource_version {
            patch["metadata"] = json!({ "resourceVersion": version });
        }
        if !self.output.is_client() {
            session.patch(&format!("{path}{}", self.output.query("scale")), MERGE, &patch).await?;
        }
        if self.timeout != Limit::Now {
            self.wait(session, one).await?;
        }
        if Format::parse(self.output.output.as_deref())?.wants_objects() {
            return self.output.report(session, &one.get(session).await?, "scaled");
        }
        session.say(&format!("{} scaled{}", one.shown(), self.output.suffix()))
    }

    async fn wait(&self, session: &Session, one: &Picked) -> Result<(), Error> {
        let watched = Watched { resource: &one.resource, namespace: &one.namespace, name: &one.name };
        let wanted = u64::from(self.replicas);
        let outcome = watched.until(session, self.timeout, |object| {
            Ok(object.is_none_or(|object| object["status"]["replicas"].as_u64().unwrap_or(0) == wanted))
        });
        match outcome.await? {
            Outcome::Done => Ok(()),
            Outcome::TimedOut => Err(Error::Failed(format!("timed out waiting for {:?} to be synced", one.name))),
        }
    }
}
