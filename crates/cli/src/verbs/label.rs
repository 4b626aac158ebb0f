//! `label` and `annotate`: sets and removes marks of objects.

use std::process::ExitCode;

use clap::{ArgAction, Args};
use serde_json::{Map, Value, json};

use crate::{
    error::Error,
    objects::{Pick, Picked},
    output::{Failures, Output},
    session::{MERGE, Session},
};

/// Flags of `label` and `annotate`.
#[derive(Args, Clone, Debug, Default)]
pub struct Marks {
    /// Objects, then `KEY=VALUE` to set and `KEY-` to remove
    #[arg(value_name = "TYPE NAME KEY=VALUE", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    /// Replace values that are there
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, require_equals = true, action = ArgAction::Set)]
    overwrite: bool,
    /// Show what is there
    #[arg(long)]
    list: bool,
    /// Only if the object has this version
    #[arg(long, value_name = "VERSION")]
    resource_version: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Labels or annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Labels,
    Annotations,
}

impl Sort {
    fn field(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        }
    }

    fn manager(self) -> &'static str {
        match self {
            Self::Labels => "label",
            Self::Annotations => "annotate",
        }
    }
}

/// What is asked for: keys with values, or none to remove them.
type Changes = Vec<(String, Option<String>)>;

impl Marks {
    /// Sets and removes.
    pub(crate) async fn run(&self, session: &Session, sort: Sort) -> Result<ExitCode, Error> {
        let (objects, changes) = split(&self.words);
        if changes.is_empty() && !self.list {
            return Err(Error::usage(format!("at least one {} update is required", sort.manager())));
        }
        let mut failures = Failures::default();
        for one in &self.pick.find(session, objects).await? {
            failures.note(self.one(session, one, &changes, sort).await);
        }
        Ok(failures.code())
    }

    async fn one(&self, session: &Session, one: &Picked, changes: &Changes, sort: Sort) -> Result<(), Error> {
        let object = one.get(session).await?;
        let held = &object["metadata"][sort.field()];
        if self.list {
            for (key, value) in held.as_object().into_iter().flatten() {
                session.say(&format!("{key}={}", value.as_str().unwrap_or_default()))?;
            }
            return Ok(());
        }
        let patch = self.changed(held, changes)?;
        for (key, value) in changes {
            if sort == Sort::Labels && value.is_none() && held[key].is_null() {
                session.say(&format!("label {key:?} not found."))?;
            }
        }
        let done = match (sort, patch.is_empty()) {
            (Sort::Annotations, _) => "annotated",
            (Sort::Labels, true) => "not labeled",
            (Sort::Labels, false) if patch.values().all(Value::is_null) => "unlabeled",
            (Sort::Labels, false) => "labeled",
        };
        let mut body = json!({ "metadata": { sort.field(): patch } });
        if let Some(version) = &self.resource_version {
            body["metadata"]["resourceVersion"] = json!(version);
        }
        let object = if self.output.is_client() || patch.is_empty() {
            skiff_api::patch::merge(&object, &body).map_err(|error| Error::Failed(error.to_string()))?
        } else {
            session.patch(&format!("{}{}", one.path(), self.output.query(sort.manager())), MERGE, &body).await?
        };
        self.output.report(session, &object, done)
    }

    fn changed(&self, held: &Value, changes: &Changes) -> Result<Map<String, Value>, Error> {
        let mut patch = Map::new();
        for (key, value) in changes {
            match (held[key].as_str(), value) {
                (Some(old), Some(new)) if old == new => {}
                (Some(old), Some(_)) if !self.overwrite => {
                    return Err(Error::Failed(format!(
                        "'{key}' already has a value ({old}), and --overwrite is false"
                    )));
                }
                (None, None) => {}
                (_, value) => {
                    patch.insert(key.clone(), json!(value));
                }
            }
        }
        Ok(patch)
    }
}

/// The words before the first change, and the changes.
fn split(words: &[String]) -> (&[String], Changes) {
    let is_change = |word: &String| word.contains('=') || word.ends_with('-');
    let at = words.iter().position(is_change).unwrap_or(words.len());
    let (objects, changes) = words.split_at(at);
    let change = |word: &String| match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (word.trim_end_matches('-').to_owned(), None),
    };
    (objects, changes.iter().map(change).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_objects_and_changes() {
        let words: Vec<String> = ["pod", "p", "a=b", "c-"].map(str::to_owned).into();
        let (objects, changes) = split(&words);
        assert_eq!(objects, ["pod", "p"]);
        assert_eq!(changes, [("a".to_owned(), Some("b".to_owned())), ("c".to_owned(), None)]);
    }

    #[test]
    fn values_are_kept_unless_told_otherwise() {
        let held = json!({ "a": "1", "b": "2" });
        let set = vec![("a".to_owned(), Some("3".to_owned()))];
        let error = Marks::default().changed(&held, &set).unwrap_err().to_string();
        assert_eq!(error, "error: 'a' already has a value (1), and --overwrite is false");
        let over = Marks { overwrite: true, ..Marks::default() };
        assert_eq!(over.changed(&held, &set).unwrap()["a"], "3");
        assert!(over.changed(&held, &vec![("x".to_owned(), None)]).unwrap().is_empty());
        assert!(over.changed(&held, &vec![("b".to_owned(), None)]).unwrap()["b"].is_null());
    }
}
