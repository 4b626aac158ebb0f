//! Custom kinds: CustomResourceDefinitions become kinds that are served, and go with their objects.
//!
//! # Flow
//! Whoever writes a definition has the catalogue rebuilt before the answer is sent; one task follows
//! the definitions in the store, writes their conditions, and takes away the objects of those that are
//! deleted. Without definitions nothing here ever runs again after the start.

mod cleanup;
mod known;

use std::sync::{Arc, Weak};

use serde_json::Value;
use skiff_api::status::Status;
use skiff_store::{Expect, Op, TransactError, WatchError};

pub(crate) use self::known::Definitions;
use crate::{
    kind::{self, Kind},
    resource::is_over,
    state::State,
};

pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";

/// Whether it is the kind that makes kinds.
pub(crate) fn is_definition(kind: &Kind) -> bool {
    kind.is(GROUP, PLURAL)
}

fn definitions() -> Option<&'static Kind> {
    kind::of(GROUP, PLURAL)
}

/// Serves the kinds of the definitions that are stored, and follows them from now on.
pub(crate) fn start(state: &Arc<State>) {
    let Some(kind) = definitions() else { return };
    let prefix = kind.prefix_in("");
    let after = state.store.snapshot().revision();
    state.definitions.refresh(state);
    let (held, stopping) = (Arc::downgrade(state), state.stopping.clone());
    let watch = state.store.watch(&prefix, after);
    tokio::spawn(stopping.run_until_cancelled_owned(async move {
        let Ok(mut watch) = watch else { return };
        loop {
            match held.upgrade() {
                Some(state) => settle(&state).await,
                None => return,
            }
            match watch.next().await {
                Ok(_) => {}
                Err(WatchError::Overrun { .. } | WatchError::Compacted { .. }) if again(&held, &prefix, &mut watch) => {
                }
                // The store is closed: to ask again would never end.
                Err(_) => return,
            }
        }
    }));
}

/// Makes the watch anew after it was too slow; false if the store is gone.
fn again(held: &Weak<State>, prefix: &[u8], watch: &mut skiff_store::Watch) -> bool {
    let Some(state) = held.upgrade() else { return false };
    let revision = state.store.snapshot().revision();
    state.store.watch(prefix, revision).map(|fresh| *watch = fresh).is_ok()
}

/// Writes the conditions that changed, and begins with what is to be cleaned up.
async fn settle(state: &Arc<State>) {
    state.definitions.refresh(state);
    for (name, modified, definition) in state.definitions.pending() {
        let Some(kind) = definitions() else { return };
        let Ok(value) = kind.encode(&definition) else { continue };
        let put = Op::put(kind.key("", &name), value).expecting(Expect::Modified(modified));
        match state.store.transact(vec![put]).await {
            // Somebody else changed it: the watch brings it here again.
            Ok(_) | Err(TransactError::Conflict { .. }) => {}
            Err(error) => tracing::warn!(name, %error, "the conditions of a CustomResourceDefinition were not written"),
        }
    }
    for name in state.definitions.to_clean() {
        tokio::spawn(cleanup::run(Arc::downgrade(state), name));
    }
}

/// Changes a stored definition by `change`, however often somebody else is faster; `None` ends it.
async fn modify(state: &State, name: &str, change: impl Fn(&mut Value) -> bool) -> Result<(), Status> {
    let Some(kind) = definitions() else { return Ok(()) };
    let key = kind.key("", name);
    loop {
        let Some(entry) = state.store.snapshot().get(&key).cloned() else { return Ok(()) };
        let mut object = kind.decode(&entry.value).map_err(Status::internal)?;
        if !change(&mut object) {
            return Ok(());
        }
        let expect = Expect::Modified(entry.modified);
        let value = kind.encode(&object).map_err(Status::internal)?;
        let operation = if is_over(kind, &object) {
            Op::delete(key.clone()).expecting(expect).showing(value)
        } else {
            Op::put(key.clone(), value).expecting(expect)
        };
        match state.store.transact(vec![operation]).await {
            Ok(_) => return Ok(()),
            Err(TransactError::Conflict { .. }) => {}
            Err(error) => return Err(Status::internal(error)),
        }
    }
}
