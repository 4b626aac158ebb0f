//! `delete`: asks for deletion, and waits until the objects are gone.

use std::process::ExitCode;

use clap::{ArgAction, Args, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use crate::{
    duration::{self, Limit},
    error::Error,
    names,
    objects::{Pick, Picked},
    output::{DryRun, Failures},
    session::{JSON, Session, escaped},
    watch::{Outcome, Watched},
};

/// Flags of `delete`.
#[derive(Args, Clone, Debug)]
pub struct Delete {
    /// Types and names: `pod web`, `deploy/web svc/web`, `pods -l app=web`
    #[arg(value_name = "TYPE [NAME ...]")]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// In all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Only objects with these fields
    #[arg(long)]
    field_selector: Option<String>,
    /// Seconds given to the object to end well; negative: its own; 1 with --now; 0 with --force
    #[arg(long, default_value_t = -1, allow_hyphen_values = true, value_name = "SECONDS")]
    grace_period: i64,
    /// Give it only one second
    #[arg(long, conflicts_with = "force")]
    now: bool,
    /// Remove it from the API at once, without waiting until it has ended
    #[arg(long)]
    force: bool,
    /// What happens to the objects that it owns
    #[arg(long, value_enum, default_value_t = Cascade::Background, num_args = 0..=1, default_missing_value = "background", require_equals = true)]
    cascade: Cascade,
    /// Wait until the objects are gone
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    wait: bool,
    /// How long to wait; 0: as long as it takes
    #[arg(long, default_value = "0s", value_parser = duration::parse, allow_hyphen_values = true)]
    timeout: Limit,
    /// An object that is not there is no error
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    ignore_not_found: Option<bool>,
    /// Print only the names
    #[arg(long, short, value_parser = ["name"])]
    output: Option<String>,
    /// Delete nothing: `client` only says what would be deleted, `server` asks the server
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    dry_run: DryRun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cascade {
    #[value(alias = "true")]
    Background,
    Foreground,
    #[value(alias = "false")]
    Orphan,
}

impl Delete {
    /// Deletes.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        if self.force {
            eprintln!(
                "Warning: Immediate deletion does not wait for confirmation that the running resource has been \
                 terminated. The resource may continue to run on the cluster indefinitely."
            );
        }
        let found = self.find(session).await?;
        if found.is_empty() {
            eprintln!("No resources found");
        }
        let mut failures = Failures::default();
        let mut going = Vec::new();
        for one in &found {
            if let Some(Some(uid)) = failures.note(self.one(session, one).await) {
                going.push((one, uid));
            }
        }
        if self.wait && self.dry_run == DryRun::None {
            for (one, uid) in going {
                failures.note(self.gone(session, one, &uid).await);
            }
        }
        Ok(failures.code())
    }

    async fn find(&self, session: &Session) -> Result<Vec<Picked>, Error> {
        if !self.all_namespaces && self.field_selector.is_none() {
            return self.pick.find(session, &self.words).await;
        }
        let mut found = Vec::new();
        for selection in names::select(session.discovery().await?, &self.words)? {
            if !selection.names.is_empty() {
                return Err(Error::usage("a resource cannot be deleted by name with --all-namespaces or a selector"));
            }
            let resource = selection.resource;
            let given = [("labelSelector", &self.pick.selector), ("fieldSelector", &self.field_selector)];
            let query: Vec<String> = given
                .into_iter()
                .filter_map(|(key, value)| Some(format!("{key}={}", escaped(value.as_ref()?))))
                .collect();
            if query.is_empty() && !self.pick.all {
                return Err(Error::usage("resource(s) were provided, but no name was specified"));
            }
            let namespace = (!self.all_namespaces).then(|| session.namespace());
            let list = session.get(&format!("{}?{}", resource.collection(namespace), query.join("&")), JSON).await?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            found.extend(list["items"].as_array().into_iter().flatten().map(|item| Picked {
                resource: resource.clone(),
                namespace: text(&item["metadata"]["namespace"]),
                name: text(&item["metadata"]["name"]),
                file: None,
            }));
        }
        Ok(found)
    }

    fn options(&self) -> Value {
        let policy = match self.cascade {
            Cascade::Background => "Background",
            Cascade::Foreground => "Foreground",
            Cascade::Orphan => "Orphan",
        };
        let mut options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy });
        let grace = match self.grace_period {
            _ if self.now => Some(1),
            seconds if self.force && seconds < 0 => Some(0),
            // Without --force nothing is torn away at once.
            0 if !self.force => Some(1),
            seconds if seconds < 0 => None,
            seconds => Some(seconds),
        };
        if let Some(seconds) = grace {
            options["gracePeriodSeconds"] = json!(seconds);
        }
        if self.dry_run == DryRun::Server {
            options["dryRun"] = json!(["All"]);
        }
        options
    }

    /// Asks for the deletion of one object; its UID is what is waited for.
    async fn one(&self, session: &Session, one: &Picked) -> Result<Option<String>, Error> {
        let mut uid = None;
        if self.dry_run == DryRun::Client {
            one.get(session).await?;
        } else {
            let body = self.options();
            let answer = session.send(Method::DELETE, &one.path(), JSON, JSON, Some(&body)).await;
            match answer {
                Err(error) if error.is_not_found() && self.ignores() => return Ok(None),
                Err(error) => {
                    return Err(match &one.file {
                        Some(file) => error.about_file("deleting", file),
                        None => error,
                    });
                }
                // The answer is the object, or a Status that names its UID.
                Ok(answer) => {
                    let found = answer["metadata"]["uid"].as_str().or_else(|| answer["details"]["uid"].as_str());
                    uid = Some(found.unwrap_or_default().to_owned());
                }
            }
        }
        self.tell(session, one)?;
        Ok(uid)
    }

    fn ignores(&self) -> bool {
        self.ignore_not_found.unwrap_or(self.pick.all || self.pick.selector.is_some())
    }

    fn tell(&self, session: &Session, one: &Picked) -> Result<(), Error> {
        if self.output.is_some() {
            return session.say(&one.shown());
        }
        let kind = one.resource.kind.to_lowercase();
        let kind = if one.resource.group.is_empty() { kind } else { format!("{kind}.{}", one.resource.group) };
        let forced = if self.force { "force deleted" } else { "deleted" };
        let suffix = match self.dry_run {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        };
        session.say(&format!("{kind} \"{}\" {forced}{suffix}", one.name))
    }

    async fn gone(&self, session: &Session, one: &Picked, uid: &str) -> Result<(), Error> {
        let watched = Watched { resource: &one.resource, namespace: &one.namespace, name: &one.name };
        let limit = if self.timeout == Limit::Now { Limit::Never } else { self.timeout };
        let outcome = watched.until(session, limit, |object| {
            Ok(object.is_none_or(|object| !uid.is_empty() && object["metadata"]["uid"].as_str() != Some(uid)))
        });
        match outcome.await? {
            Outcome::Done => Ok(()),
            Outcome::TimedOut => Err(Error::TimedOut(format!("{}/{}", one.resource.plural, one.name))),
        }
    }
}
