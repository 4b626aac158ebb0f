//! Deleting many objects at once: everything that a list with the same selectors would show.
//!
//! The deletes are queued together, so that they become durable together, but each has a revision of
//! its own: a watcher that breaks off between two of them goes on without a gap.

use std::sync::Arc;

use axum::body::Body;
use http::StatusCode;
use serde_json::json;
use skiff_api::status::Status;
use skiff_store::{Entry, Expect, Op, Snapshot, TransactError};

use super::{
    Call, admit, create,
    decide::{self, Decision, Wish},
    delete::DeleteOptions,
    form, options,
    select::Filter,
    write,
};
use crate::{
    admission, conversion,
    http::respond::Answer,
    kind::Kind,
    state::{State, now},
};

/// Objects that changed in between are looked at again this often.
const TRIES: usize = 16;

/// Answers a deletecollection.
pub(super) async fn delete(call: &Call, body: Body) -> Answer {
    let filter = Filter::parse(call)?;
    options::check_list(call.query())?;
    let options = DeleteOptions::read(call, body).await?;
    let snapshot = call.state.store.snapshot();
    let mut todo = chosen(call, &filter, &snapshot).await?;
    let shown = todo.clone();
    if !options.dry_run {
        for _ in 0..TRIES {
            todo = pass(call, &filter, &options, todo).await?;
            if todo.is_empty() {
                break;
            }
        }
    }
    if !todo.is_empty() && !options.dry_run {
        return Err(Status::stale(call.resource(), ""));
    }
    match form::entries(call, json!({"resourceVersion": snapshot.revision().to_string()}), &shown).await {
        // It was done, even if the objects cannot be shown in this version now.
        Err(_) if call.kind.converter.is_some() => Ok(create::done(StatusCode::OK)),
        answer => answer,
    }
}

async fn chosen(call: &Call, filter: &Filter, snapshot: &Snapshot) -> Result<Vec<Arc<Entry>>, Status> {
    let prefix = call.kind.prefix_in(call.namespace());
    if call.kind.converter.is_some() && filter.reads_objects() {
        let all: Vec<Arc<Entry>> = snapshot.range(&prefix, None).cloned().collect();
        let shown = conversion::entries(&call.state, &call.kind, &all, false).await?;
        let both = all.into_iter().zip(shown).filter(|(_, shown)| filter.matches(shown));
        return Ok(both.map(|(stored, _)| stored).collect());
    }
    Ok(snapshot.range(&prefix, None).filter(|entry| filter.matches(entry)).cloned().collect())
}

/// Deletes all objects of a kind, whatever anybody does to them meanwhile.
pub(crate) async fn clear(state: &State, kind: &Kind) -> Result<(), Status> {
    let wish = Wish::default();
    let prefix = kind.prefix_in("");
    for _ in 0..TRIES {
        let entries: Vec<Arc<Entry>> = state.store.snapshot().range(&prefix, None).cloned().collect();
        let mut operations = Vec::new();
        for entry in entries {
            operations.extend(operation(kind, &wish, &entry)?.map(|one| vec![one]));
        }
        if operations.is_empty() {
            return Ok(());
        }
        for result in state.store.transact_each(operations).await {
            match result {
                Ok(_) | Err(TransactError::Conflict { .. }) => {}
                Err(error) => return Err(write::refused(&error)),
            }
        }
    }
    Err(Status::stale(kind.resource.qualified(), ""))
}

/// One attempt at all of them; returns those that somebody else changed meanwhile, as they are now.
async fn pass(
    call: &Call,
    filter: &Filter,
    options: &DeleteOptions,
    todo: Vec<Arc<Entry>>,
) -> Result<Vec<Arc<Entry>>, Status> {
    let mut operations = Vec::with_capacity(todo.len());
    let mut touched = Vec::with_capacity(todo.len());
    for entry in todo {
        if let Some(operation) = operation(&call.kind, &options.wish, &entry)? {
            operations.push(vec![operation]);
            touched.push(entry);
        }
    }
    let results = call.state.store.transact_each(operations).await;
    let snapshot = call.state.store.snapshot();
    let mut again = Vec::new();
    for (entry, result) in touched.into_iter().zip(results) {
        match result {
            Ok(_) => gone(call, &entry, &snapshot),
            Err(TransactError::Conflict { .. }) => {
                again.extend(snapshot.get(&entry.key).filter(|entry| filter.matches(entry)).cloned());
            }
            Err(error) => return Err(write::refused(&error)),
        }
    }
    Ok(again)
}

/// The write that deletes one object, or marks it. Most objects go without being parsed.
fn operation(kind: &Kind, wish: &Wish, entry: &Entry) -> Result<Option<Op>, Status> {
    let (_, name) = kind.names(&entry.key);
    admission::delete(kind, name)?;
    let expect = Expect::Modified(entry.modified);
    let plain = wish.propagation.is_none()
        && !kind.resource.keeps_dependents()
        && !decide::is_graceful(kind)
        && is_plain(&entry.value);
    if plain && !decide::lingers(kind) {
        return Ok(Some(Op::delete(entry.key.clone()).expecting(expect).showing(kind.reopen(&entry.value))));
    }
    let old = kind.stored(&entry.value).map_err(Status::internal)?;
    match decide::decide(kind, &old, wish, now()) {
        Decision::Unchanged => Ok(None),
        Decision::Gone(_) => {
            Ok(Some(Op::delete(entry.key.clone()).expecting(expect).showing(kind.reopen(&entry.value))))
        }
        Decision::Marked(new) => {
            let value = kind.encode(&new).map_err(Status::internal)?;
            Ok(Some(write::put(kind, entry.key.clone(), value, expect)))
        }
    }
}

/// Whether the object surely has no finalizers. A quoted word in a string would be escaped.
fn is_plain(stored: &[u8]) -> bool {
    const WORD: &[u8] = b"\"finalizers\":";
    !stored.windows(WORD.len()).any(|window| window == WORD)
}

fn gone(call: &Call, entry: &Entry, snapshot: &Snapshot) {
    if admit::has_aftermath(&call.kind)
        && snapshot.get(&entry.key).is_none_or(|there| there.created != entry.created)
        && let Ok(object) = call.kind.decode(&entry.value)
    {
        admit::released(&call.state, &call.kind, &object);
    }
}
