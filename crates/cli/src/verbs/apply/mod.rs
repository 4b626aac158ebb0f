//! `apply`: makes objects as their manifests say, and leaves alone what the manifests never said.
//!
//! What was applied last is kept in an annotation; the patch is made of that, the manifest and the
//! object as it is, so that fields that left the manifest are removed.

mod patch;

use std::process::ExitCode;

use clap::{ArgAction, Args};
use serde_json::{Value, json};
use skiff_api::selector::LabelSelector;

pub(crate) use self::patch::three_way;
use crate::{
    discovery::ResourceType,
    error::Error,
    files,
    output::{Failures, Output},
    print::{Format, as_list, print_object},
    session::{APPLY, JSON, MERGE, STRATEGIC, Session},
};

/// Where `apply` notes what it applied.
const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Flags of `apply`.
#[derive(Args, Clone, Debug)]
pub struct Apply {
    /// The objects of a file, a folder, or `-`
    #[arg(long, short = 'f', value_name = "FILE", required = true)]
    filename: Vec<String>,
    /// Only objects with these labels
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// Let the server merge by field owners
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, require_equals = true, action = ArgAction::Set)]
    server_side: bool,
    /// With --server-side: take over fields that others own
    #[arg(long, requires = "server_side")]
    force_conflicts: bool,
    /// With --server-side: the owner of the applied fields
    #[arg(long, default_value = "kubectl", value_name = "NAME")]
    field_manager: String,
    #[command(flatten)]
    output: Output,
}

/// One object of a manifest.
struct Wanted {
    resource: ResourceType,
    namespace: String,
    name: String,
    /// The manifest, with its namespace.
    object: Value,
}

impl Apply {
    /// Applies.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        if self.server_side && self.output.is_client() {
            return Err(Error::usage(
                "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
            ));
        }
        let format = Format::parse(self.output.output.as_deref())?;
        let selector = self.selector.as_deref().map(str::parse::<LabelSelector>).transpose();
        let selector = selector.map_err(|error| Error::usage(format!("unable to parse the selector: {error}")))?;
        let (mut failures, mut made, mut seen) = (Failures::default(), Vec::new(), false);
        for file in &self.filename {
            for object in files::read(file)? {
                if selector.as_ref().is_some_and(|selector| !labelled(selector, &object)) {
                    continue;
                }
                seen = true;
                let applied = self.one(session, object, file).await;
                if let Some((object, done)) = failures.note(applied) {
                    match format {
                        Format::Table { .. } => self.output.report(session, &object, done)?,
                        _ => made.push(object),
                    }
                }
            }
        }
        if !seen {
            return Err(Error::usage("no objects passed to apply"));
        }
        match made.len() {
            0 => {}
            1 => print_object(session, &made.remove(0), &format)?,
            _ => print_object(session, &as_list(made), &format)?,
        }
        Ok(failures.code())
    }

    async fn one(&self, session: &Session, object: Value, file: &str) -> Result<(Value, &'static str), Error> {
        let mut wanted = Wanted::of(session, object).await?;
        let path = wanted.resource.object(&wanted.namespace, &wanted.name);
        if self.server_side {
            return Ok((self.on_the_server(session, &wanted, &path).await?, "serverside-applied"));
        }
        annotate(&mut wanted.object);
        match session.get(&path, JSON).await {
            Err(error) if error.is_not_found() => {
                let created = self.create(session, wanted).await;
                Ok((created.map_err(|error| error.about_file("creating", file))?, "created"))
            }
            Err(error) => Err(error.about_file("retrieving current configuration of", file)),
            Ok(live) => self
                .update(session, &wanted, &path, live)
                .await
                .map_err(|error| error.about_file("applying patch to", file)),
        }
    }

    /// Sends the manifest as it is: the server knows whose the fields are.
    async fn on_the_server(&self, session: &Session, wanted: &Wanted, path: &str) -> Result<Value, Error> {
        let query = self.output.query_as(&self.field_manager);
        let path = format!("{path}{query}&force={}", self.force_conflicts);
        session.patch(&path, APPLY, &wanted.object).await.map_err(|error| {
            if error.is_conflict_of_owners() {
                return Error::Failed(format!(
                    "{}\nThese fields have other owners. To own them instead, add --force-conflicts; to leave them to \
                     their owners, take them out of the manifest; to share them, give them the values they have.",
                    error.message()
                ));
            }
            error
        })
    }

    async fn create(&self, session: &Session, wanted: Wanted) -> Result<Value, Error> {
        if self.output.is_client() {
            return Ok(wanted.object);
        }
        let query = self.output.query("client-side-apply");
        let path = format!("{}{query}", wanted.resource.collection(Some(&wanted.namespace)));
        session.post(&path, &wanted.object).await
    }

    async fn update(
        &self,
        session: &Session,
        wanted: &Wanted,
        path: &str,
        live: Value,
    ) -> Result<(Value, &'static str), Error> {
        let last = live["metadata"]["annotations"][LAST].as_str();
        if last.is_none() {
            eprintln!(
                "Warning: resource {}/{} is missing the {LAST} annotation which is required by skiff apply. skiff \
                 apply should only be used on resources created declaratively by either skiff create --save-config or \
                 skiff apply. The missing annotation will be patched automatically.",
                wanted.resource.plural, wanted.name
            );
        }
        let last = last.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        let one = &wanted.resource;
        let known = skiff_api::resource::find(&one.group, &one.version, &one.plural).map(|known| known.type_name);
        let patch = three_way(&last, &wanted.object, &live, known);
        if patch.as_object().is_none_or(serde_json::Map::is_empty) {
            return Ok((live, "unchanged"));
        }
        if self.output.is_client() {
            let merged = match known {
                Some(name) => skiff_api::patch::strategic(&live, &patch, name),
                None => skiff_api::patch::merge(&live, &patch),
            };
            return Ok((merged.map_err(|error| Error::Failed(error.to_string()))?, "configured"));
        }
        let content = if known.is_some() { STRATEGIC } else { MERGE };
        let query = self.output.query("client-side-apply");
        Ok((session.patch(&format!("{path}{query}"), content, &patch).await?, "configured"))
    }
}

impl Wanted {
    async fn of(session: &Session, mut object: Value) -> Result<Self, Error> {
        let (resource, name, namespace) = files::identify(session, &object).await?;
        if name.is_empty() {
            return Err(Error::usage("resource name may not be empty"));
        }
        if resource.namespaced {
            object["metadata"]["namespace"] = json!(namespace);
        }
        Ok(Self { resource, namespace, name, object })
    }
}

/// Notes in the object what it says.
fn annotate(object: &mut Value) {
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST);
    }
    let text = format!("{object}\n");
    object["metadata"]["annotations"][LAST] = json!(text);
}

fn labelled(selector: &LabelSelector, object: &Value) -> bool {
    selector.matches(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_applied_is_noted() {
        let mut object = json!({ "kind": "A", "metadata": { "name": "a", "annotations": { LAST: "old" } } });
        annotate(&mut object);
        assert_eq!(
            object["metadata"]["annotations"][LAST],
            "{\"kind\":\"A\",\"metadata\":{\"annotations\":{},\"name\":\"a\"}}\n"
        );
    }
}
