//! `wait`: until a condition holds, a value is there, or objects come or go.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::{
    duration::{self, Limit},
    error::Error,
    jsonpath::Template,
    objects::{Pick, Picked},
    output::Failures,
    session::Session,
    watch::{Outcome, Watched},
};

/// Flags of `wait`.
#[derive(Args, Clone, Debug)]
pub struct Wait {
    /// Types and names: `pod/web`, `deploy web`, `pods -l app=web`
    #[arg(value_name = "TYPE NAME")]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// condition=NAME[=VALUE], delete, create, or jsonpath='{PATH}'[=VALUE]
    #[arg(long = "for", value_name = "WHAT", value_parser = Until::parse)]
    until: Until,
    /// How long to wait; 0: look once; negative: as long as it takes
    #[arg(long, default_value = "30s", value_parser = duration::parse, allow_hyphen_values = true)]
    timeout: Limit,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
enum Until {
    Condition { name: String, value: String },
    Deleted,
    Created,
    Path { template: Template, value: Option<String> },
}

impl Wait {
    /// Waits.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let found = self.pick.find(session, &self.words).await?;
        if found.is_empty() {
            if self.until == Until::Deleted {
                return Ok(ExitCode::SUCCESS);
            }
            return Err(Error::Failed("no matching resources found".to_owned()));
        }
        let mut failures = Failures::default();
        for one in &found {
            failures.note(self.one(session, one).await);
        }
        Ok(failures.code())
    }

    async fn one(&self, session: &Session, one: &Picked) -> Result<(), Error> {
        let mut uid: Option<String> = None;
        match (&self.until, one.get(session).await) {
            (Until::Deleted | Until::Created, Err(error)) if error.is_not_found() => {}
            (_, found) => uid = found?["metadata"]["uid"].as_str().map(str::to_owned),
        }
        let watched = Watched { resource: &one.resource, namespace: &one.namespace, name: &one.name };
        let outcome = watched.until(session, self.timeout, |object| match (&self.until, object) {
            (Until::Deleted, None) | (Until::Created, Some(_)) => Ok(true),
            (Until::Deleted, Some(object)) => Ok(object["metadata"]["uid"].as_str() != uid.as_deref()),
            (until, Some(object)) => Ok(until.holds(object)),
            // It may come again.
            (_, None) => Ok(false),
        });
        match outcome.await? {
            Outcome::Done => session.say(&format!("{} condition met", one.shown())),
            Outcome::TimedOut => Err(Error::TimedOut(format!("{}/{}", one.resource.plural, one.name))),
        }
    }
}

impl Until {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text.eq_ignore_ascii_case("delete") => Ok(Self::Deleted),
            None if text.eq_ignore_ascii_case("create") => Ok(Self::Created),
            Some(("condition", rest)) => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, "true"));
                Ok(Self::Condition { name: name.to_owned(), value: value.to_owned() })
            }
            Some(("jsonpath", rest)) => Self::path(rest),
            _ => Err(format!("unrecognized condition: {text:?}")),
        }
    }

    fn path(text: &str) -> Result<Self, String> {
        // A filter may hold `=` too: the value comes after the closing brace.
        let text = text.trim_matches('\'');
        let (path, value) = match text.rfind('}') {
            Some(end) => (&text[..=end], text[end + 1..].trim_start_matches('\'').strip_prefix('=')),
            None => text.split_once('=').map_or((text, None), |(path, value)| (path, Some(value))),
        };
        if value == Some("") {
            return Err("jsonpath wait has to have a value after the equals sign".to_owned());
        }
        let template = Template::relaxed(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(Self::Path { template, value: value.map(|value| value.trim_matches(['\'', '"']).to_owned()) })
    }

    fn holds(&self, object: &Value) -> bool {
        match self {
            Self::Created => true,
            Self::Deleted => false,
            Self::Condition { name, value } => {
                let generation = object["metadata"]["generation"].as_i64();
                let meant = |one: &&Value| one["type"].as_str().is_some_and(|held| held.eq_ignore_ascii_case(name));
                let found = object["status"]["conditions"].as_array().into_iter().flatten().find(meant);
                found.is_some_and(|one| {
                    let stale =
                        one["observedGeneration"].as_i64().zip(generation).is_some_and(|(seen, now)| seen < now);
                    let behind =
                        object["status"]["observedGeneration"].as_i64().zip(generation).is_some_and(|(s, n)| s < n);
                    !stale && !behind && one["status"].as_str().is_some_and(|held| held.eq_ignore_ascii_case(value))
                })
            }
            Self::Path { template, value } => {
                let found = template.find(object);
                match (found.as_slice(), value) {
                    ([], _) => false,
                    ([_, ..], None) => true,
                    ([Value::String(held)], Some(value)) => held == value,
                    ([held], Some(value)) => held.to_string() == *value,
                    _ => false,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_waited_for() {
        let pod = json!({
            "metadata": { "generation": 1 },
            "status": { "phase": "Running", "n": 3, "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        for (text, holds) in [
            ("condition=Ready", true),
            ("condition=ready=True", true),
            ("condition=Ready=false", false),
            ("condition=Other", false),
            ("jsonpath={.status.phase}=Running", true),
            ("jsonpath='{.status.phase}'=Pending", false),
            ("jsonpath={.status.n}=3", true),
            ("jsonpath={.status.phase}", true),
            ("jsonpath={.status.absent}", false),
            (r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}=True"#, true),
            ("create", true),
            ("delete", false),
        ] {
            assert_eq!(Until::parse(text).unwrap().holds(&pod), holds, "{text}");
        }
        for text in ["", "foo", "jsonpath={.a}=", "jsonpath={.a[}"] {
            assert!(Until::parse(text).is_err(), "{text}");
        }
    }
}
