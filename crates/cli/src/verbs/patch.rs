//! `patch`: sends a patch as the user wrote it.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{
    error::Error,
    objects::{Pick, Picked},
    output::{Failures, Output},
    session::{MERGE, STRATEGIC, Session},
};

/// Flags of `patch`.
#[derive(Args, Clone, Debug)]
pub struct Patch {
    /// Types and names: `pod web`, `deploy/web`
    #[arg(value_name = "TYPE NAME")]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// The patch, JSON or YAML
    #[arg(long, short, required_unless_present = "patch_file")]
    patch: Option<String>,
    /// A file with the patch
    #[arg(long, value_name = "FILE", conflicts_with = "patch")]
    patch_file: Option<String>,
    /// The sort of the patch
    #[arg(long = "type", value_enum, default_value_t = Sort::Strategic, value_name = "TYPE")]
    sort: Sort,
    /// The part of the object that is patched, such as `status` or `scale`
    #[arg(long)]
    subresource: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    Strategic,
    Merge,
    Json,
}

impl Patch {
    /// Patches.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        let patch = self.body()?;
        let mut failures = Failures::default();
        for one in &self.pick.find(session, &self.words).await? {
            failures.note(self.one(session, one, &patch).await);
        }
        Ok(failures.code())
    }

    fn body(&self) -> Result<Value, Error> {
        let text = match (&self.patch, &self.patch_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => {
                std::fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })?
            }
            (None, None) => {
                return Err(Error::usage("must specify --patch or --patch-file containing the contents of the patch"));
            }
        };
        serde_saphyr::from_str(&text).map_err(|error| Error::usage(format!("unable to parse {text:?}: {error}")))
    }

    async fn one(&self, session: &Session, one: &Picked, patch: &Value) -> Result<(), Error> {
        let before = one.get(session).await?;
        if self.output.is_client() {
            let merged = self.merged(&before, one, patch)?;
            return self.output.report(session, &merged, "patched");
        }
        let content = match self.sort {
            Sort::Strategic => STRATEGIC,
            Sort::Merge => MERGE,
            Sort::Json => "application/json-patch+json",
        };
        let part = self.subresource.as_ref().map_or_else(String::new, |part| format!("/{part}"));
        let path = format!("{}{part}{}", one.path(), self.output.query("patch"));
        let after = session.patch(&path, content, patch).await?;
        let same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"];
        self.output.report(session, &after, if same { "patched (no change)" } else { "patched" })
    }

    fn merged(&self, before: &Value, one: &Picked, patch: &Value) -> Result<Value, Error> {
        let of = &one.resource;
        let known = skiff_api::resource::find(&of.group, &of.version, &of.plural);
        let merged = match (self.sort, known) {
            (Sort::Strategic, Some(known)) => skiff_api::patch::strategic(before, patch, known.type_name),
            (Sort::Json, _) => skiff_api::patch::json(before, patch),
            (Sort::Merge | Sort::Strategic, _) => skiff_api::patch::merge(before, patch),
        };
        merged.map_err(|error| Error::Failed(error.to_string()))
    }
}
