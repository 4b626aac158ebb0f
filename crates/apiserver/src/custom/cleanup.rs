//! The end of a definition: its objects are deleted as anybody would delete them, and when the last
//! one is gone, so is the definition.

use std::sync::{Arc, Weak};

use serde_json::json;
use skiff_api::{
    custom::definition::{self, CLEANUP},
    meta,
    status::Status,
};

use super::{definitions, modify};
use crate::{
    kind::Kind,
    resource::clear,
    state::{State, now},
};

/// Takes the objects of a definition away, and then the definition.
pub(super) async fn run(held: Weak<State>, name: String) {
    let Some(state) = held.upgrade() else { return };
    let stopping = state.stopping.clone();
    drop(state);
    let done = stopping.run_until_cancelled(clean(&held, &name)).await;
    if let Some(Err(status)) = done {
        tracing::warn!(name, error = status.message, "the objects of a CustomResourceDefinition are still there");
    }
    if let Some(state) = held.upgrade() {
        state.definitions.cleaned(&name);
    }
}

async fn clean(held: &Weak<State>, name: &str) -> Result<(), Status> {
    let Some(state) = held.upgrade() else { return Ok(()) };
    let Some(kind) = kind_of(&state, name) else { return let_go(&state, name).await };
    condition(&state, name, true, "InstanceDeletionInProgress", "CustomResource deletion is in progress").await?;
    let prefix = kind.prefix_in("");
    let after = state.store.snapshot().revision();
    let mut watch = state.store.watch(&prefix, after).map_err(Status::internal)?;
    clear(&state, &kind).await?;
    let mut left = state.store.snapshot().count(&prefix);
    drop(state);
    // What has finalizers goes when they do.
    while left > 0 {
        watch.next().await.map_err(Status::internal)?;
        let Some(state) = held.upgrade() else { return Ok(()) };
        left = state.store.snapshot().count(&prefix);
    }
    let Some(state) = held.upgrade() else { return Ok(()) };
    let_go(&state, name).await
}

/// The kind as it is stored, also if nobody is served it any more: what is deleted is not converted.
fn kind_of(state: &State, name: &str) -> Option<Arc<Kind>> {
    let definition = definitions()?;
    let entry = state.store.snapshot().get(&definition.key("", name)).cloned()?;
    let mut object = definition.decode(&entry.value).ok()?;
    let versions = object["spec"]["versions"].as_array_mut()?;
    versions.iter_mut().for_each(|version| version["served"] = json!(true));
    let stored = definition::storage_version(&object).to_owned();
    let of = definition::kinds(&object).into_iter().find(|of| of.version == stored)?;
    Some(Arc::new(Kind::new(skiff_api::resource::AnyResource::Custom(Arc::new(of)))))
}

async fn condition(state: &State, name: &str, is: bool, reason: &str, message: &str) -> Result<(), Status> {
    modify(state, name, |object| {
        definition::set_condition(object, "Terminating", is, reason, message, now());
        true
    })
    .await
}

/// Takes away the finalizer that kept the definition.
async fn let_go(state: &State, name: &str) -> Result<(), Status> {
    let message = "removed all instances";
    modify(state, name, |object| {
        let kept: Vec<String> = meta::finalizers(object).filter(|one| *one != CLEANUP).map(str::to_owned).collect();
        if kept.is_empty() {
            meta::unset(object, "finalizers");
        } else {
            meta::set(object, "finalizers", kept);
        }
        definition::set_condition(object, "Terminating", false, "InstanceDeletionCompleted", message, now());
        true
    })
    .await
}
