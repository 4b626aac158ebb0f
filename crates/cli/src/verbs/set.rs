//! `set image` and `set env`: changes in the containers of pods and pod templates.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    error::Error,
    objects::{Pick, Picked},
    output::{Failures, Output},
    session::{STRATEGIC, Session},
};

/// Subcommands of `set`.
#[derive(Args, Clone, Debug)]
pub struct Set {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Update the image of a pod template
    Image(Change),
    /// Update environment variables on a pod template
    Env(Change),
}

/// Flags of both.
#[derive(Args, Clone, Debug)]
struct Change {
    /// Objects, then `CONTAINER=IMAGE`, or `NAME=VALUE` to set and `NAME-` to remove
    #[arg(value_name = "TYPE NAME KEY=VALUE", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// The containers whose variables are set; `*`: all
    #[arg(long, short, default_value = "*", value_name = "NAME")]
    containers: String,
    /// Show the variables
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    output: Output,
}

impl Set {
    /// Changes.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let (change, images) = match &self.what {
            What::Image(change) => (change, true),
            What::Env(change) => (change, false),
        };
        let is_change = |word: &String| word.contains('=') || (!images && word.ends_with('-'));
        let at = change.words.iter().position(is_change).unwrap_or(change.words.len());
        let (objects, changes) = change.words.split_at(at);
        if changes.is_empty() && !change.list {
            let what = if images { "image" } else { "environment variable" };
            return Err(Error::usage(format!("at least one {what} update is required")));
        }
        let mut failures = Failures::default();
        for one in &change.pick.find(session, objects).await? {
            failures.note(change.one(session, one, changes, images).await);
        }
        Ok(failures.code())
    }
}

impl Change {
    async fn one(&self, session: &Session, one: &Picked, changes: &[String], images: bool) -> Result<(), Error> {
        let object = one.get(session).await?;
        let is_pod = one.resource.kind == "Pod";
        let spec = if is_pod { &object["spec"] } else { &object["spec"]["template"]["spec"] };
        if self.list {
            return list(session, one, spec);
        }
        let containers =
            if images { image_changes(spec, changes)? } else { env_changes(spec, changes, &self.containers)? };
        let inner = json!({ "spec": containers });
        let patch = if is_pod { inner } else { json!({ "spec": { "template": inner } }) };
        let of = &one.resource;
        let after = match skiff_api::resource::find(&of.group, &of.version, &of.plural) {
            Some(known) if self.output.is_client() => skiff_api::patch::strategic(&object, &patch, known.type_name)
                .map_err(|error| Error::Failed(error.to_string()))?,
            _ => session.patch(&format!("{}{}", one.path(), self.output.query("set")), STRATEGIC, &patch).await?,
        };
        // What is the same afterwards is passed over in silence, as kubectl does.
        if after["metadata"]["resourceVersion"] == object["metadata"]["resourceVersion"] && !self.output.is_client() {
            return Ok(());
        }
        self.output.report(session, &after, if images { "image updated" } else { "env updated" })
    }
}

fn containers(spec: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    ["containers", "initContainers"]
        .into_iter()
        .flat_map(|field| spec[field].as_array().into_iter().flatten().map(move |one| (field, one)))
}

fn list(session: &Session, one: &Picked, spec: &Value) -> Result<(), Error> {
    for (_, container) in containers(spec) {
        let name = container["name"].as_str().unwrap_or_default();
        session.say(&format!("# {} {}, container {name}", one.resource.plural, one.name))?;
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap_or_default();
            match variable["value"].as_str() {
                None if variable["valueFrom"].is_object() => {
                    session.say(&format!("# {name} from {}", variable["valueFrom"]))?;
                }
                value => session.say(&format!("{name}={}", value.unwrap_or_default()))?,
            }
        }
    }
    Ok(())
}

fn image_changes(spec: &Value, changes: &[String]) -> Result<Value, Error> {
    let mut patch = json!({});
    for change in changes {
        let (wanted, image) = change.split_once('=').unwrap_or((change, ""));
        let mut any = false;
        for (field, container) in containers(spec) {
            if wanted == "*" || container["name"] == wanted {
                any = true;
                push(&mut patch, field, json!({ "name": container["name"], "image": image }));
            }
        }
        if !any {
            return Err(Error::Failed(format!("unable to find container named {wanted:?}")));
        }
    }
    Ok(patch)
}

fn env_changes(spec: &Value, changes: &[String], wanted: &str) -> Result<Value, Error> {
    let variable = |change: &String| match change.split_once('=') {
        Some((name, value)) => json!({ "name": name, "value": value, "valueFrom": null }),
        None => json!({ "$patch": "delete", "name": change.trim_end_matches('-') }),
    };
    let variables: Vec<Value> = changes.iter().map(variable).collect();
    let mut patch = json!({});
    for (field, container) in containers(spec) {
        if wanted == "*" || container["name"] == wanted {
            push(&mut patch, field, json!({ "name": container["name"], "env": variables }));
        }
    }
    if patch.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(Error::Failed(format!("unable to find container named {wanted:?}")));
    }
    Ok(patch)
}

fn push(patch: &mut Value, field: &str, item: Value) {
    match patch[field].as_array_mut() {
        Some(list) => list.push(item),
        None => patch[field] = json!([item]),
    }
}
