//! `rollout status`: follows a rollout to its end.

use std::process::ExitCode;

use clap::{ArgAction, Args};
use serde_json::Value;

use crate::{
    duration::{self, Limit},
    error::Error,
    objects::{Pick, Picked},
    session::Session,
    watch::{Outcome, Watched},
};

/// Flags of `rollout status`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Status {
    /// Deployments: `deployment web`, `deploy/web`
    #[arg(value_name = "TYPE NAME")]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// Watch the status until the rollout is done
    #[arg(long, short, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    watch: bool,
    /// How long to wait; 0: as long as it takes
    #[arg(long, default_value = "0s", value_parser = duration::parse, allow_hyphen_values = true)]
    timeout: Limit,
    /// Only this revision; another one is an error
    #[arg(long, default_value_t = 0)]
    revision: i64,
}

impl Status {
    /// Follows.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        for one in self.pick.find(session, &self.words).await? {
            if one.resource.kind != "Deployment" {
                return Err(Error::usage(format!("no status viewer has been implemented for {}", one.resource.kind)));
            }
            self.follow(session, &one).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn follow(&self, session: &Session, one: &Picked) -> Result<(), Error> {
        // Whoever asks for something that is not there is told so, instead of waiting.
        one.get(session).await?;
        let mut last = String::new();
        let watched = Watched { resource: &one.resource, namespace: &one.namespace, name: &one.name };
        let limit = if self.timeout == Limit::Now { Limit::Never } else { self.timeout };
        let outcome = watched.until(session, if self.watch { limit } else { Limit::Now }, |object| {
            let object = object.ok_or_else(|| Error::Failed("object has been deleted".to_owned()))?;
            let (text, done) = progress(object, &one.name, self.revision)?;
            if text != last {
                session.say(&text)?;
                last = text;
            }
            Ok(done)
        });
        match outcome.await? {
            Outcome::TimedOut if self.watch => Err(Error::Failed("timed out waiting for the condition".to_owned())),
            _ => Ok(()),
        }
    }
}

/// How far a deployment is, in words, and whether it is there.
fn progress(deployment: &Value, name: &str, revision: i64) -> Result<(String, bool), Error> {
    let own = deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
    if revision > 0 && own.and_then(|own| own.parse().ok()) != Some(revision) {
        let shown = own.unwrap_or("0");
        return Err(Error::Failed(format!(
            "desired revision ({revision}) is different from the running revision ({shown})"
        )));
    }
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let status = &deployment["status"];
    if number(&deployment["metadata"]["generation"]) > number(&status["observedGeneration"]) {
        return Ok(("Waiting for deployment spec update to be observed...".to_owned(), false));
    }
    let late = |one: &Value| one["type"] == "Progressing" && one["reason"] == "ProgressDeadlineExceeded";
    if status["conditions"].as_array().is_some_and(|all| all.iter().any(late)) {
        return Err(Error::Failed(format!("deployment {name:?} exceeded its progress deadline")));
    }
    let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let (replicas, updated, available) =
        (number(&status["replicas"]), number(&status["updatedReplicas"]), number(&status["availableReplicas"]));
    let waiting = |what: String| Ok((format!("Waiting for deployment {name:?} rollout to finish: {what}..."), false));
    if updated < wanted {
        return waiting(format!("{updated} out of {wanted} new replicas have been updated"));
    }
    if replicas > updated {
        return waiting(format!("{} old replicas are pending termination", replicas - updated));
    }
    if available < updated {
        return waiting(format!("{available} of {updated} updated replicas are available"));
    }
    Ok((format!("deployment {name:?} successfully rolled out"), true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(wanted: i64, replicas: i64, updated: i64, available: i64) -> String {
        let deployment = json!({
            "metadata": { "generation": 2 },
            "spec": { "replicas": wanted },
            "status": { "observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available },
        });
        progress(&deployment, "x", 0).unwrap().0
    }

    #[test]
    fn kubectls_words() {
        assert_eq!(
            told(5, 3, 2, 0),
            "Waiting for deployment \"x\" rollout to finish: 2 out of 5 new replicas have been updated..."
        );
        assert_eq!(
            told(5, 6, 5, 5),
            "Waiting for deployment \"x\" rollout to finish: 1 old replicas are pending termination..."
        );
        assert_eq!(
            told(5, 5, 5, 0),
            "Waiting for deployment \"x\" rollout to finish: 0 of 5 updated replicas are available..."
        );
        assert_eq!(told(5, 5, 5, 5), "deployment \"x\" successfully rolled out");
        let fresh = json!({ "metadata": { "generation": 1 }, "spec": {}, "status": {} });
        assert_eq!(
            progress(&fresh, "x", 0).unwrap(),
            ("Waiting for deployment spec update to be observed...".to_owned(), false)
        );
    }

    #[test]
    fn what_cannot_succeed_is_an_error() {
        let late =
            json!({ "status": { "conditions": [{ "type": "Progressing", "reason": "ProgressDeadlineExceeded" }] } });
        let error = progress(&late, "x", 0).unwrap_err().to_string();
        assert_eq!(error, "error: deployment \"x\" exceeded its progress deadline");
        assert!(progress(&json!({}), "x", 3).unwrap_err().to_string().contains("desired revision (3)"));
    }
}
