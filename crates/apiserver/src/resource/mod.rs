//! The verbs, the same for every kind: what a kind is like is read from its description.

mod admit;
mod apply;
mod call;
mod collection;
mod create;
mod decide;
mod delete;
mod form;
mod frame;
mod list;
mod observed;
mod options;
mod owners;
mod pages;
mod parts;
mod patch;
mod select;
mod update;
mod versions;
mod watch;
mod write;

use axum::body::Body;

pub(crate) use self::{
    call::{Call, not_acceptable},
    collection::clear,
    create::unstored,
    decide::is_over,
    observed::Meter,
    parts::{bind, container, kubelet_failed},
    write::{read_json, read_object, suffix},
};
use crate::{
    custom,
    http::respond::{self, Answer},
};
use skiff_api::{resource::Durability, status::Status};

/// Answers a request about objects.
pub(crate) async fn handle(call: &Call, body: Body) -> Answer {
    let answer = answer(call, body).await;
    if custom::is_definition(&call.kind) && !matches!(call.verb(), "get" | "list" | "watch") {
        call.state.definitions.refresh(&call.state);
    }
    let Some(warning) = call.kind.resource.custom().and_then(|of| of.deprecated.as_deref()) else { return answer };
    let mut response = answer.unwrap_or_else(|status| respond::status(&status));
    respond::warn(&mut response, &[warning.to_owned()]);
    Ok(response)
}

async fn answer(call: &Call, body: Body) -> Answer {
    if let Some(part) = call.subresource() {
        return parts::handle(call, part, body).await;
    }
    if !call.kind.resource.allows(call.verb()) {
        return Err(Status::method_not_allowed_here());
    }
    if call.kind.resource.durability() == Durability::Virtual && call.verb() != "create" {
        return observed::answer(call).await;
    }
    match call.verb() {
        "get" => form::one(call, call.find(&call.state.store.snapshot())?.value.clone()).await,
        "list" => list::list(call).await,
        "watch" => watch::watch(call),
        "create" => create::create(call, body).await,
        "update" => update::replace(call, body).await,
        "patch" => patch::patch(call, body).await,
        "delete" => delete::delete(call, body).await,
        "deletecollection" => collection::delete(call, body).await,
        _ => Err(Status::method_not_allowed_here()),
    }
}
