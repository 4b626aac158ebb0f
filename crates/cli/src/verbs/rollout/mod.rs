//! `rollout`: how a deployment's change comes along, and what came before it.

mod history;
mod status;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::status::Status;
use crate::{
    error::Error,
    objects::{Pick, Picked},
    output::{Failures, Output},
    session::{MERGE, STRATEGIC, Session},
};

/// Subcommands of `rollout`.
#[derive(Args, Clone, Debug)]
pub struct Rollout {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// View rollout history
    History(Change),
    /// Mark the provided resource as paused
    Pause(Change),
    /// Restart a resource
    Restart(Change),
    /// Resume a paused resource
    Resume(Change),
    /// Show the status of the rollout
    Status(Status),
    /// Undo a previous rollout
    Undo(Change),
}

/// Flags of all but `status`.
#[derive(Args, Clone, Debug)]
struct Change {
    /// Deployments: `deployment web`, `deploy/web`
    #[arg(value_name = "TYPE NAME")]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// The revision to go back to, or to show [default: the one before this, or all]
    #[arg(long, visible_alias = "revision", default_value_t = 0)]
    to_revision: i64,
    #[command(flatten)]
    output: Output,
}

impl Rollout {
    /// Carries the subcommand out.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let change = match &self.what {
            What::Status(status) => return status.run(session).await,
            What::History(change)
            | What::Pause(change)
            | What::Restart(change)
            | What::Resume(change)
            | What::Undo(change) => change,
        };
        let mut failures = Failures::default();
        for one in &change.pick.find(session, &change.words).await? {
            if one.resource.kind == "Deployment" {
                failures.note(self.one(session, one, change).await);
            } else {
                let kind = one.resource.qualified();
                failures.note::<()>(Err(Error::Failed(format!(
                    "{kind} {:?} is no deployment: it has no rollouts",
                    one.name
                ))));
            }
        }
        Ok(failures.code())
    }

    async fn one(&self, session: &Session, one: &Picked, change: &Change) -> Result<(), Error> {
        let object = one.get(session).await?;
        let paused = object["spec"]["paused"] == true;
        let refuse = |why: &str| Err(Error::Failed(format!("{} {:?} {why}", one.resource.qualified(), one.name)));
        match &self.what {
            What::Pause(_) if paused => refuse("is already paused"),
            What::Pause(_) => change.patch(session, one, MERGE, &json!({ "spec": { "paused": true } }), "paused").await,
            What::Resume(_) if !paused => refuse("is not paused"),
            What::Resume(_) => {
                change.patch(session, one, MERGE, &json!({ "spec": { "paused": null } }), "resumed").await
            }
            What::Restart(_) if paused => refuse("can't restart paused deployment (run rollout resume first)"),
            What::Restart(_) => {
                let now = jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string();
                let metadata = json!({ "annotations": { "kubectl.kubernetes.io/restartedAt": now } });
                let patch = json!({ "spec": { "template": { "metadata": metadata } } });
                change.patch(session, one, STRATEGIC, &patch, "restarted").await
            }
            What::Undo(_) if paused => Err(Error::Failed(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again"
                    .to_owned(),
            )),
            What::Undo(_) => change.undo(session, one, &object).await,
            What::History(_) | What::Status(_) => change.history(session, one, &object).await,
        }
    }
}

impl Change {
    async fn patch(
        &self,
        session: &Session,
        one: &Picked,
        content: &str,
        patch: &Value,
        done: &str,
    ) -> Result<(), Error> {
        if self.output.is_client() {
            return self.output.report(session, &one.get(session).await?, done);
        }
        let path = format!("{}{}", one.path(), self.output.query("rollout"));
        self.output.report(session, &session.patch(&path, content, patch).await?, done)
    }

    async fn history(&self, session: &Session, one: &Picked, object: &Value) -> Result<(), Error> {
        let all = history::revisions(session, object, one).await?;
        if self.to_revision == 0 {
            return session.say(&format!("{} \n{}", one.shown(), history::table(&all)));
        }
        let found = all.iter().find(|one| one.number == self.to_revision);
        let found = found
            .ok_or_else(|| Error::Failed(format!("unable to find the specified revision: {}", self.to_revision)))?;
        let text = super::describe::template(&found.template);
        session.say(&format!("{} with revision #{}\n{text}", one.shown(), found.number))
    }

    async fn undo(&self, session: &Session, one: &Picked, object: &Value) -> Result<(), Error> {
        let all = history::revisions(session, object, one).await?;
        let found = match self.to_revision {
            0 => all
                .iter()
                .rev()
                .nth(1)
                .ok_or_else(|| Error::Failed(format!("no rollout history found for deployment {:?}", one.name)))?,
            number => all
                .iter()
                .find(|one| one.number == number)
                .ok_or_else(|| Error::Failed(format!("unable to find specified revision {number} in history")))?,
        };
        if found.template == object["spec"]["template"] {
            return session.say(&format!(
                "{} skipped rollback (current template already matches revision {})",
                one.shown(),
                found.number
            ));
        }
        self.patch(session, one, "application/json-patch+json", &history::back(&found.template), "rolled back").await
    }
}
