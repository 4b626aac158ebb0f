//! The verbs, the same for every kind: what a kind is like is read from its description.

mod admit;
mod call;
mod collection;
mod create;
mod decide;
mod delete;
mod form;
mod list;
mod pages;
mod parts;
mod patch;
mod select;
mod update;
mod watch;
mod write;

use axum::body::Body;

pub(crate) use self::{
    call::{Call, not_acceptable},
    create::unstored,
    pages::Pages,
    parts::bind,
    write::{read_json, read_object, suffix},
};
use crate::http::respond::Answer;
use skiff_api::status::Status;

/// Answers a request about objects.
pub(crate) async fn handle(call: &Call, body: Body) -> Answer {
    if let Some(part) = call.subresource() {
        return parts::handle(call, part, body).await;
    }
    if !call.kind.resource.allows(call.verb()) {
        return Err(Status::method_not_allowed_here());
    }
    match call.verb() {
        "get" => form::one(call, call.find(&call.state.store.snapshot())?.value.clone()),
        "list" => list::list(call),
        "watch" => watch::watch(call),
        "create" => create::create(call, body).await,
        "update" => update::replace(call, body).await,
        "patch" => patch::patch(call, body).await,
        "delete" => delete::delete(call, body).await,
        "deletecollection" => collection::delete(call, body).await,
        _ => Err(Status::method_not_allowed_here()),
    }
}
