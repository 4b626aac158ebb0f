//! `config`: what the kubeconfig says, and which of its contexts is used.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{error::Error, global::Global, print::Table};

/// Subcommands of `config`.
#[derive(Args, Clone, Debug)]
pub struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Display merged kubeconfig settings or a specified kubeconfig file
    View {
        /// Show certificates and keys too
        #[arg(long)]
        raw: bool,
    },
    /// Describe one or many contexts
    GetContexts,
    /// Display the current-context
    CurrentContext,
    /// Set the current-context in a kubeconfig file
    UseContext {
        /// The context's name
        name: String,
    },
}

/// A kubeconfig.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct File(Value);

/// Reads a kubeconfig.
pub(crate) fn read(path: &Path) -> Result<File, Error> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| Error::File { path: shown.clone(), source })?;
    let value = serde_saphyr::from_str(&text).map_err(|error| Error::Parse { path: shown, why: error.to_string() })?;
    Ok(File(value))
}

impl Config {
    /// What is to be printed. No server is asked.
    pub(crate) fn run(&self, global: &Global) -> Result<String, Error> {
        let path = path(global)?;
        let file = read(&path)?;
        match &self.what {
            What::View { raw } => crate::print::yaml(&if *raw { file.0 } else { file.redacted() }),
            What::GetContexts => Ok(file.contexts()),
            What::CurrentContext => match file.current() {
                Some(name) => Ok(format!("{name}\n")),
                None => Err(Error::usage("current-context is not set")),
            },
            What::UseContext { name } => {
                let text = crate::print::yaml(&file.using(name)?)?;
                std::fs::write(&path, text)
                    .map_err(|source| Error::File { path: path.display().to_string(), source })?;
                Ok(format!("Switched to context \"{name}\".\n"))
            }
        }
    }
}

fn path(global: &Global) -> Result<PathBuf, Error> {
    if let Some(path) = &global.kubeconfig {
        return Ok(path.clone());
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    let places = home.into_iter().chain([PathBuf::from("/var/lib/skiff/admin.kubeconfig")]);
    places.into_iter().find(|path| path.exists()).ok_or_else(|| {
        Error::usage("no kubeconfig: neither ~/.kube/config nor /var/lib/skiff/admin.kubeconfig is there; name one with --kubeconfig")
    })
}

impl File {
    fn list(&self, field: &str) -> impl Iterator<Item = &Value> {
        self.0[field].as_array().into_iter().flatten()
    }

    fn current(&self) -> Option<&str> {
        self.0["current-context"].as_str().filter(|name| !name.is_empty())
    }

    fn find(&self, field: &str, name: &str) -> Option<&Value> {
        self.list(field).find(|one| one["name"] == name)
    }

    /// Where the cluster of a context is.
    pub(crate) fn server(&self, context: Option<&str>) -> Option<String> {
        let context = self.find("contexts", context.or(self.current())?)?;
        let cluster = self.find("clusters", context["context"]["cluster"].as_str()?)?;
        cluster["cluster"]["server"].as_str().map(str::to_owned)
    }

    fn redacted(&self) -> Value {
        let mut value = self.0.clone();
        let secrets = [
            ("clusters", "cluster", "certificate-authority-data", "DATA+OMITTED"),
            ("users", "user", "client-certificate-data", "DATA+OMITTED"),
            ("users", "user", "client-key-data", "DATA+OMITTED"),
            ("users", "user", "token", "REDACTED"),
            ("users", "user", "password", "REDACTED"),
        ];
        for (list, inner, field, shown) in secrets {
            for one in value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(held) = one.get_mut(inner).and_then(|inner| inner.get_mut(field)) {
                    *held = json!(shown);
                }
            }
        }
        value
    }

    fn contexts(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |one: &Value| {
            let mark = if one["name"].as_str() == self.current() { "*" } else { "" };
            let context = &one["context"];
            let cells = [&one["name"], &context["cluster"], &context["user"], &context["namespace"]].map(text);
            std::iter::once(mark.to_owned()).chain(cells).collect()
        };
        let rows = self.list("contexts").map(row).collect();
        Table::of(&["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"], rows).render(true)
    }

    fn using(&self, name: &str) -> Result<Value, Error> {
        if self.find("contexts", name).is_none() {
            return Err(Error::usage(format!("no context exists with the name: \"{name}\"")));
        }
        let mut value = self.0.clone();
        value["current-context"] = json!(name);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        File(json!({
            "current-context": "a",
            "contexts": [
                { "name": "a", "context": { "cluster": "c", "user": "u" } },
                { "name": "b", "context": { "cluster": "c", "user": "u", "namespace": "n" } },
            ],
            "clusters": [{ "name": "c", "cluster": { "server": "https://x", "certificate-authority-data": "s" } }],
            "users": [{ "name": "u", "user": { "token": "t" } }],
        }))
    }

    #[test]
    fn contexts_and_secrets() {
        let file = file();
        assert_eq!(file.contexts().lines().nth(1).unwrap().trim_end(), "*         a      c         u");
        assert_eq!(file.server(None).unwrap(), "https://x");
        let shown = file.redacted();
        assert_eq!(shown["clusters"][0]["cluster"]["certificate-authority-data"], "DATA+OMITTED");
        assert_eq!(shown["users"][0]["user"], json!({ "token": "REDACTED" }));
        assert_eq!(file.using("b").unwrap()["current-context"], "b");
        let error = file.using("x").unwrap_err().to_string();
        assert_eq!(error, "error: no context exists with the name: \"x\"");
    }
}
