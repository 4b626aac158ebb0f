//! The objects that a verb is about: named, from files, or by selector.

use clap::Args;
use serde_json::Value;

use crate::{
    discovery::ResourceType,
    error::Error,
    files, names,
    session::{JSON, Session, escaped},
};

/// Flags that pick objects.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Pick {
    /// The objects of a file, a folder, or `-`
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) filename: Vec<String>,
    /// Only objects with these labels
    #[arg(long, short = 'l')]
    pub(crate) selector: Option<String>,
    /// All objects of the type in the namespace
    #[arg(long)]
    pub(crate) all: bool,
}

/// An object that was picked.
#[derive(Clone, Debug)]
pub(crate) struct Picked {
    pub(crate) resource: ResourceType,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The file that it was read from.
    pub(crate) file: Option<String>,
}

impl Picked {
    /// The object's path.
    pub(crate) fn path(&self) -> String {
        self.resource.object(&self.namespace, &self.name)
    }

    /// The object as the server has it.
    pub(crate) async fn get(&self, session: &Session) -> Result<Value, Error> {
        session.get(&self.path(), JSON).await
    }

    /// `deployment.apps/web`.
    pub(crate) fn shown(&self) -> String {
        self.resource.named(&self.name)
    }
}

impl Pick {
    /// The objects that `words` and the flags name.
    pub(crate) async fn find(&self, session: &Session, words: &[String]) -> Result<Vec<Picked>, Error> {
        self.find_in(session, words, Some(session.namespace())).await
    }

    /// The objects of all namespaces that `words` and the flags name.
    pub(crate) async fn find_everywhere(&self, session: &Session, words: &[String]) -> Result<Vec<Picked>, Error> {
        self.find_in(session, words, None).await
    }

    async fn find_in(&self, session: &Session, words: &[String], place: Option<&str>) -> Result<Vec<Picked>, Error> {
        let mut found = Vec::new();
        for file in &self.filename {
            for object in files::read(file)? {
                let (resource, name, namespace) = files::identify(session, &object).await?;
                found.push(Picked { resource, namespace, name, file: Some(file.clone()) });
            }
        }
        if words.is_empty() && !found.is_empty() {
            return Ok(found);
        }
        for selection in names::select(session.discovery().await?, words)? {
            let resource = selection.resource;
            if selection.names.is_empty() {
                found.extend(self.list(session, &resource, place).await?);
            }
            found.extend(selection.names.into_iter().map(|name| Picked {
                resource: resource.clone(),
                namespace: session.namespace().to_owned(),
                name,
                file: None,
            }));
        }
        Ok(found)
    }

    async fn list(
        &self,
        session: &Session,
        resource: &ResourceType,
        place: Option<&str>,
    ) -> Result<Vec<Picked>, Error> {
        if self.selector.is_none() && !self.all {
            return Err(Error::usage("resource(s) were provided, but no name was specified"));
        }
        let query = self.selector.as_deref().map_or_else(String::new, |one| format!("?labelSelector={}", escaped(one)));
        let path = format!("{}{query}", resource.collection(place));
        let list = session.get(&path, JSON).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let picked = |item: &Value| Picked {
            resource: resource.clone(),
            namespace: text(&item["metadata"]["namespace"]),
            name: text(&item["metadata"]["name"]),
            file: None,
        };
        Ok(list["items"].as_array().into_iter().flatten().map(picked).collect())
    }
}
