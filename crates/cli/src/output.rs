//! What a verb that changes something says of it, and the flags for that.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    error::Error,
    print::{Format, name, print_object},
    session::{Session, escaped},
};

/// Whether anything is changed at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// It is.
    #[default]
    None,
    /// The object is only printed.
    Client,
    /// The server checks the object but does not store it.
    Server,
}

/// Flags of verbs that change something.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Output {
    /// Print the object: json, yaml, name, jsonpath=..., custom-columns=...
    #[arg(long, short, value_name = "FORMAT")]
    pub(crate) output: Option<String>,
    /// Change nothing: `client` only prints the object, `server` has the server check it
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    pub(crate) dry_run: DryRun,
}

impl Output {
    /// Whether the server is to be left out.
    pub(crate) fn is_client(&self) -> bool {
        self.dry_run == DryRun::Client
    }

    /// The query of a request that changes something on behalf of `manager`.
    pub(crate) fn query(&self, manager: &str) -> String {
        self.query_as(&format!("kubectl-{manager}"))
    }

    /// The same with the manager's whole name.
    pub(crate) fn query_as(&self, manager: &str) -> String {
        let dry = if self.dry_run == DryRun::Server { "&dryRun=All" } else { "" };
        format!("?fieldManager={}&fieldValidation=Strict{dry}", escaped(manager))
    }

    /// What is put behind a message.
    pub(crate) fn suffix(&self) -> &'static str {
        match self.dry_run {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }

    /// Prints `deployment.apps/web created`, or the object where a format was asked for.
    pub(crate) fn report(&self, session: &Session, object: &Value, done: &str) -> Result<(), Error> {
        match Format::parse(self.output.as_deref())? {
            Format::Table { .. } => session.say(&format!("{} {done}{}", name(object), self.suffix())),
            format => print_object(session, object, &format),
        }
    }

    /// Creates an object, unless only the client is to look at it, and says so.
    pub(crate) async fn create(&self, session: &Session, object: Value, how: How<'_>) -> Result<(), Error> {
        // A format that cannot be read is told before anything is made.
        Format::parse(self.output.as_deref())?;
        if self.is_client() {
            let mut object = object;
            if session.names_namespace() && how.namespaced {
                object["metadata"]["namespace"] = json!(session.namespace());
            }
            return self.report(session, &object, how.done);
        }
        let (resource, _, namespace) = crate::files::identify(session, &object).await?;
        let path = format!("{}{}", resource.collection(Some(&namespace)), self.query(how.manager));
        let created = session.post(&path, &object).await?;
        self.report(session, &created, how.done)
    }
}

/// What is said of a created object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How<'a> {
    pub(crate) manager: &'a str,
    pub(crate) done: &'a str,
    pub(crate) namespaced: bool,
}

impl How<'_> {
    /// Of a namespaced object that `create` makes.
    pub(crate) const CREATED: How<'static> = How { manager: "create", done: "created", namespaced: true };
}

/// Errors of several objects: each is told at once, and the command fails at its end.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    any: bool,
}

impl Failures {
    /// Tells of an error.
    pub(crate) fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.any = true;
                eprintln!("{error}");
            })
            .ok()
    }

    /// How the command ends.
    pub(crate) fn code(&self) -> ExitCode {
        if self.any { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
