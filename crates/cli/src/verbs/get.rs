//! `get`: tables from the server, objects in any format, and watching.

use std::process::ExitCode;

use clap::Args;
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::{
    discovery::ResourceType,
    error::Error,
    jsonpath::Template,
    names::{self, Selection},
    print::{Format, Layout, Table, as_list, print_object},
    session::{JSON, Session, TABLE, escaped},
};

/// Flags of `get`.
#[derive(Args, Clone, Debug, Default)]
pub struct Get {
    /// Types and names: `pods`, `pod web`, `deploy/web svc/web`, `all`
    #[arg(value_name = "TYPE [NAME ...]")]
    words: Vec<String>,
    /// json, yaml, name, wide, jsonpath=..., custom-columns=...
    #[arg(long, short)]
    output: Option<String>,
    /// Objects of all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Only objects with these labels
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// Only objects with these fields
    #[arg(long)]
    field_selector: Option<String>,
    /// Go on printing changes
    #[arg(long, short)]
    watch: bool,
    /// Print changes only
    #[arg(long)]
    watch_only: bool,
    /// Sort by the value at this path
    #[arg(long, value_name = "PATH")]
    sort_by: Option<String>,
    /// Show labels as the last column
    #[arg(long)]
    show_labels: bool,
    /// Print no column headers
    #[arg(long)]
    no_headers: bool,
    /// An object that is not there is no error
    #[arg(long)]
    ignore_not_found: bool,
    /// Print what the server answers at this path
    #[arg(long, value_name = "PATH")]
    raw: Option<String>,
    /// The objects of a file, a folder, or `-`
    #[arg(long, short = 'f', value_name = "FILE")]
    filename: Vec<String>,
    /// How many objects are asked for at once
    #[arg(long, default_value_t = 500, value_name = "COUNT")]
    chunk_size: u32,
}

/// One request: a path, and what it is about.
struct Ask {
    resource: ResourceType,
    name: Option<String>,
    path: String,
}

impl Get {
    /// Prints what was asked for.
    pub(crate) async fn run(&self, session: &Session) -> Result<ExitCode, Error> {
        if let Some(path) = &self.raw {
            session.write(&session.text(path).await?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let format = Format::parse(self.output.as_deref())?;
        let asks = self.asks(session).await?;
        if self.watch || self.watch_only {
            let [ask] = asks.as_slice() else {
                return Err(Error::usage("you may only specify a single resource type to watch"));
            };
            return self.follow(session, ask, &format).await;
        }
        if format.wants_objects() {
            self.objects(session, &asks, &format).await?;
            return Ok(ExitCode::SUCCESS);
        }
        self.tables(session, &asks, &format).await
    }

    async fn asks(&self, session: &Session) -> Result<Vec<Ask>, Error> {
        let discovery = session.discovery().await?;
        let mut asks = Vec::new();
        for file in &self.filename {
            for object in crate::files::read(file)? {
                let (resource, name, namespace) = crate::files::identify(session, &object).await?;
                asks.push(Ask { path: resource.object(&namespace, &name), name: Some(name), resource });
            }
        }
        if asks.is_empty() || !self.words.is_empty() {
            for selection in names::select(discovery, &self.words)? {
                asks.extend(self.of(session, &selection)?);
            }
        }
        Ok(asks)
    }

    fn of(&self, session: &Session, selection: &Selection) -> Result<Vec<Ask>, Error> {
        let resource = &selection.resource;
        if selection.names.is_empty() {
            let namespace = (!self.all_namespaces).then(|| session.namespace());
            return Ok(vec![Ask { resource: resource.clone(), name: None, path: resource.collection(namespace) }]);
        }
        if self.all_namespaces && resource.namespaced {
            return Err(Error::usage("a resource cannot be retrieved by name across all namespaces"));
        }
        if self.selector.is_some() || self.field_selector.is_some() {
            return Err(Error::usage("selectors may not be specified when getting a resource by name"));
        }
        let ask = |name: &String| Ask {
            resource: resource.clone(),
            name: Some(name.clone()),
            path: resource.object(session.namespace(), name),
        };
        Ok(selection.names.iter().map(ask).collect())
    }

    fn query(&self, more: &[(&str, String)]) -> String {
        let selectors = [("labelSelector", self.selector.clone()), ("fieldSelector", self.field_selector.clone())];
        let given = selectors.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let pairs: Vec<String> =
            given.chain(more.iter().cloned()).map(|(key, value)| format!("{key}={}", escaped(&value))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// One object, or all pages of a list.
    async fn fetch(&self, session: &Session, ask: &Ask, accept: &str) -> Result<Option<Value>, Error> {
        if ask.name.is_some() {
            return match session.get(&ask.path, accept).await {
                Err(error) if error.is_not_found() && self.ignore_not_found => Ok(None),
                other => other.map(Some),
            };
        }
        let rows = if accept == TABLE { "rows" } else { "items" };
        let limit = ("limit", self.chunk_size.to_string());
        let mut whole =
            session.get(&format!("{}{}", ask.path, self.query(std::slice::from_ref(&limit))), accept).await?;
        while let Some(more) =
            whole["metadata"]["continue"].as_str().filter(|token| !token.is_empty()).map(str::to_owned)
        {
            let next = self.query(&[limit.clone(), ("continue", more)]);
            let mut page = session.get(&format!("{}{next}", ask.path), accept).await?;
            whole["metadata"] = page["metadata"].take();
            let fresh = page[rows].as_array_mut().map(std::mem::take).unwrap_or_default();
            if let Some(held) = whole[rows].as_array_mut() {
                held.extend(fresh);
            }
        }
        Ok(Some(whole))
    }

    async fn objects(&self, session: &Session, asks: &[Ask], format: &Format) -> Result<(), Error> {
        let single = matches!(asks, [ask] if ask.name.is_some());
        let mut items = Vec::new();
        for ask in asks {
            let Some(mut found) = self.fetch(session, ask, JSON).await? else { continue };
            match found["items"].as_array_mut() {
                Some(list) => items.extend(std::mem::take(list).into_iter().map(|item| typed(item, &ask.resource))),
                None => items.push(found),
            }
        }
        if let Some(path) = &self.sort_by {
            let keys = sort_keys(path, &items)?;
            let mut paired: Vec<(String, Value)> = keys.into_iter().zip(items).collect();
            paired.sort_by(|a, b| a.0.cmp(&b.0));
            items = paired.into_iter().map(|(_, item)| item).collect();
        }
        match (single, items.pop()) {
            (true, Some(only)) => print_object(session, &only, format),
            (true, None) => Ok(()),
            (false, last) => print_object(session, &as_list(items.into_iter().chain(last).collect()), format),
        }
    }

    async fn tables(&self, session: &Session, asks: &[Ask], format: &Format) -> Result<ExitCode, Error> {
        let kinds: std::collections::BTreeSet<String> = asks.iter().map(|ask| ask.resource.qualified()).collect();
        let layout = self.layout(format, kinds.len() > 1);
        let (mut code, mut shown) = (ExitCode::SUCCESS, 0);
        let mut pending: Option<(String, Value)> = None;
        for ask in asks {
            match self.fetch(session, ask, TABLE).await {
                Err(error) if asks.len() > 1 => {
                    eprintln!("{error}");
                    code = ExitCode::FAILURE;
                }
                Err(error) => return Err(error),
                Ok(None) => {}
                // Objects of one type that were named one by one make one table.
                Ok(Some(document)) => match &mut pending {
                    Some((kind, held)) if *kind == ask.resource.qualified() => append(held, document),
                    _ => {
                        shown += self.show(session, pending.take(), layout, asks, shown > 0)?;
                        pending = Some((ask.resource.qualified(), document));
                    }
                },
            }
        }
        shown += self.show(session, pending, layout, asks, shown > 0)?;
        let refused = code != ExitCode::SUCCESS;
        if shown == 0 && !refused && !self.ignore_not_found {
            let namespaced = asks.iter().any(|ask| ask.resource.namespaced) && !self.all_namespaces;
            let place = if namespaced { format!(" in {} namespace", session.namespace()) } else { String::new() };
            eprintln!("No resources found{place}.");
        }
        Ok(code)
    }

    fn layout(&self, format: &Format, kind: bool) -> Layout {
        Layout {
            wide: matches!(format, Format::Table { wide: true }),
            namespace: self.all_namespaces,
            labels: self.show_labels,
            headers: !self.no_headers,
            kind,
        }
    }

    fn show(
        &self,
        session: &Session,
        table: Option<(String, Value)>,
        layout: Layout,
        asks: &[Ask],
        after: bool,
    ) -> Result<usize, Error> {
        let Some((kind, document)) = table else { return Ok(0) };
        let Some(ask) = asks.iter().find(|ask| ask.resource.qualified() == kind) else { return Ok(0) };
        let layout = Layout { namespace: layout.namespace && ask.resource.namespaced, ..layout };
        let mut table = Table::read(&document, layout, &ask.resource.named(""));
        if table.is_empty() {
            return Ok(0);
        }
        if let Some(path) = &self.sort_by {
            let objects: Vec<Value> =
                document["rows"].as_array().into_iter().flatten().map(|row| row["object"].clone()).collect();
            table.sort_by_keys(&sort_keys(path, &objects)?);
        }
        let gap = if after { "\n" } else { "" };
        session.write(&format!("{gap}{}", table.render(layout.headers)))?;
        Ok(1)
    }

    /// Prints what is there and then every change, until interrupted.
    async fn follow(&self, session: &Session, ask: &Ask, format: &Format) -> Result<ExitCode, Error> {
        let accept = if format.wants_objects() { JSON } else { TABLE };
        let Some(first) = self.fetch(session, ask, accept).await? else { return Ok(ExitCode::SUCCESS) };
        let layout = self.layout(format, false);
        let prefix = ask.resource.named("");
        let mut table = Table::read(&first, layout, &prefix);
        let text = if format.wants_objects() { String::new() } else { table.render(layout.headers) };
        if !self.watch_only && format.wants_objects() {
            print_object(session, &first, format)?;
        } else if !self.watch_only && !table.is_empty() {
            session.write(&text)?;
        }
        let version = first["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let (path, fields) = match &ask.name {
            Some(name) => {
                let collection = ask.path.rsplit_once('/').map_or(ask.path.as_str(), |(collection, _)| collection);
                (collection, vec![("fieldSelector", format!("metadata.name={name}"))])
            }
            None => (ask.path.as_str(), Vec::new()),
        };
        let more: Vec<_> =
            fields.into_iter().chain([("watch", "true".to_owned()), ("resourceVersion", version)]).collect();
        let mut lines = session.lines(&format!("{path}{}", self.query(&more)), accept).await?.lines();
        while let Some(line) = lines.try_next().await? {
            let event: Value = serde_json::from_str(&line)
                .map_err(|error| Error::Parse { path: path.to_owned(), why: error.to_string() })?;
            let object = &event["object"];
            match event["type"].as_str() {
                Some("ERROR") => return Err(Error::status(object)),
                Some("BOOKMARK") | None => {}
                Some(_) if format.wants_objects() => print_object(session, object, format)?,
                Some(_) => session.write(&Table::read(object, layout, &prefix).aligned_with(&table).render(false))?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn append(held: &mut Value, mut more: Value) {
    let rows = more["rows"].as_array_mut().map(std::mem::take).unwrap_or_default();
    if let Some(held) = held["rows"].as_array_mut() {
        held.extend(rows);
    }
}

/// Items of a list do not say what they are.
fn typed(mut item: Value, resource: &ResourceType) -> Value {
    if let Some(map) = item.as_object_mut() {
        map.entry("apiVersion").or_insert_with(|| resource.api_version().into());
        map.entry("kind").or_insert_with(|| resource.kind.clone().into());
    }
    item
}

fn sort_keys(path: &str, objects: &[Value]) -> Result<Vec<String>, Error> {
    let template = Template::relaxed(path).map_err(|error| Error::usage(format!("--sort-by: {error}")))?;
    let key = |object: &Value| match template.find(object).first() {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    Ok(objects.iter().map(key).collect())
}
