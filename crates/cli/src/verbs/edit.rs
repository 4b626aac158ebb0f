//! `edit`: an object as YAML in the user's editor; what was changed there is sent as a patch.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::apply::three_way;
use crate::{
    error::Error,
    objects::{Pick, Picked},
    output::Output,
    print,
    session::{MERGE, STRATEGIC, Session},
};

const HEAD: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n\
    # and an empty file will abort the edit. If an error occurs while saving this file will be\n\
    # reopened with the relevant failures.\n#\n";

/// Flags of `edit`.
#[derive(Args, Clone, Debug)]
pub struct Edit {
    /// Types and names: `svc web`, `deploy/web`
    #[arg(value_name = "TYPE NAME")]
    words: Vec<String>,
    #[command(flatten)]
    pick: Pick,
    #[command(flatten)]
    output: Output,
}

impl Edit {
    /// Opens the editor for one object after the other.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        for one in &self.pick.find(session, &self.words).await? {
            self.one(session, one).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn one(&self, session: &Session, one: &Picked) -> Result<(), Error> {
        let mut before = one.get(session).await?;
        if let Some(meta) = before["metadata"].as_object_mut() {
            meta.remove("managedFields");
        }
        let file = std::env::temp_dir().join(format!("skiff-edit-{}-{}.yaml", one.name, std::process::id()));
        let path = file.display().to_string();
        let io = |source| Error::File { path: path.clone(), source };
        let original = print::yaml(&before)?;
        let (mut text, mut complaint) = (original.clone(), String::new());
        loop {
            std::fs::write(&file, format!("{HEAD}{complaint}{text}")).map_err(io)?;
            open(&path)?;
            let edited = without_comments(&std::fs::read_to_string(&file).map_err(io)?);
            if edited.trim().is_empty() || edited == original || (edited == text && !complaint.is_empty()) {
                return cancelled(&path, !complaint.is_empty());
            }
            match self.send(session, one, &before, &edited).await {
                Ok(after) => {
                    std::fs::remove_file(&file).map_err(io)?;
                    return self.output.report(session, &after, "edited");
                }
                Err(error) => {
                    complaint = error.to_string().lines().map(|line| format!("# {line}\n")).collect::<String>() + "#\n";
                    text = edited;
                }
            }
        }
    }

    async fn send(&self, session: &Session, one: &Picked, before: &Value, text: &str) -> Result<Value, Error> {
        let after: Value = serde_saphyr::from_str(text)
            .map_err(|error| Error::Parse { path: "edited file".to_owned(), why: error.to_string() })?;
        let of = &one.resource;
        let known = skiff_api::resource::find(&of.group, &of.version, &of.plural).map(|known| known.type_name);
        let patch = three_way(before, &after, before, known);
        let content = if known.is_some() { STRATEGIC } else { MERGE };
        session.patch(&format!("{}{}", one.path(), self.output.query("edit")), content, &patch).await
    }
}

fn cancelled(path: &str, failed: bool) -> Result<(), Error> {
    if failed {
        eprintln!("A copy of your changes has been stored to {path:?}");
        return Err(Error::Failed("Edit cancelled, no valid changes were saved.".to_owned()));
    }
    eprintln!("Edit cancelled, no changes made.");
    std::fs::remove_file(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn without_comments(text: &str) -> String {
    // Only the head: a `#` further down may be part of a text.
    let mut lines =
        text.lines().skip_while(|line| line.starts_with('#')).fold(String::new(), |all, line| all + line + "\n");
    if lines.trim().is_empty() {
        lines.clear();
    }
    lines
}

/// Runs the editor; it may be a command with arguments.
fn open(path: &str) -> Result<(), Error> {
    let named = ["KUBE_EDITOR", "VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok());
    let editor = named.filter(|editor| !editor.trim().is_empty()).unwrap_or_else(|| "vi".to_owned());
    let status =
        std::process::Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path).status()?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed(format!("there was a problem with the editor {editor:?}")))
}
