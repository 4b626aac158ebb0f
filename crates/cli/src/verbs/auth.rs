//! `auth can-i` and `auth whoami`: what the server lets the user do, and who it takes them for.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{error::Error, print::Table, session::Session};

/// Subcommands of `auth`.
#[derive(Args, Clone, Debug)]
pub struct Auth {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Check whether an action is allowed
    #[command(name = "can-i")]
    CanI {
        /// get, list, create, delete, ...
        verb: String,
        /// `pods`, `pods/web`, or a path such as /healthz
        object: String,
        /// The name of one object
        name: Option<String>,
        /// A part of the object, such as `log`
        #[arg(long)]
        subresource: Option<String>,
        /// In all namespaces
        #[arg(long, short = 'A')]
        all_namespaces: bool,
        /// Say nothing, only end well or not
        #[arg(long, short)]
        quiet: bool,
    },
    /// Experimental: Check self subject attributes
    Whoami,
}

impl Auth {
    /// Asks.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let What::CanI { verb, object, name, subresource, all_namespaces, quiet } = &self.what else {
            return whoami(session).await;
        };
        let spec = if object.starts_with('/') {
            json!({ "nonResourceAttributes": { "verb": verb, "path": object } })
        } else {
            let (kind, own) = object.split_once('/').map_or((object.as_str(), None), |(kind, own)| (kind, Some(own)));
            let name = name.as_deref().or(own).unwrap_or_default();
            let found = session.discovery().await?.find(kind).cloned().unwrap_or_else(|_| {
                eprintln!("Warning: the server doesn't have a resource type '{kind}'");
                crate::discovery::ResourceType { plural: kind.to_owned(), namespaced: true, ..Default::default() }
            });
            let namespace = if *all_namespaces || !found.namespaced { "" } else { session.namespace() };
            json!({ "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": found.group, "resource": found.plural,
                "subresource": subresource.clone().unwrap_or_default(), "name": name,
            } })
        };
        let body = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec });
        let answer = session.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body).await?;
        let allowed = answer["status"]["allowed"] == true;
        if !quiet {
            session.say(if allowed { "yes" } else { "no" })?;
        }
        Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn whoami(session: &Session) -> Result<ExitCode, Error> {
    let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let answer = session.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &body).await?;
    let user = &answer["status"]["userInfo"];
    let mut rows = vec![vec!["Username".to_owned(), user["username"].as_str().unwrap_or_default().to_owned()]];
    if let Some(groups) = user["groups"].as_array().filter(|groups| !groups.is_empty()) {
        let groups: Vec<&str> = groups.iter().filter_map(Value::as_str).collect();
        rows.push(vec!["Groups".to_owned(), format!("[{}]", groups.join(" "))]);
    }
    session.write(&Table::of(&["ATTRIBUTE", "VALUE"], rows).render(true))?;
    Ok(ExitCode::SUCCESS)
}
