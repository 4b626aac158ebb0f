//! Parts of objects that have a path of their own: status, scale, binding, token, log and the rest.

mod binding;
mod eviction;
mod log;
mod scale;
mod token;

use axum::body::Body;
use skiff_api::status::Status;

pub(super) use self::scale::read as scale_of;
pub(crate) use self::{
    binding::create as bind,
    log::{container, failed as kubelet_failed},
};
use super::{
    Call, form, patch,
    update::{self, Part},
};
use crate::http::respond::Answer;

/// Answers a request about a part.
pub(super) async fn handle(call: &Call, part: &str, body: Body) -> Answer {
    let known = call.kind.resource.part(part).ok_or_else(Status::no_such_path)?;
    if call.name().is_empty() {
        return Err(Status::no_such_path());
    }
    if !known.verbs.contains(&call.verb()) {
        return Err(Status::method_not_allowed_here());
    }
    match (known.name, call.verb()) {
        ("status" | "approval", "get") => form::one(call, call.find(&call.state.store.snapshot())?.value.clone()).await,
        ("status", "update") => update::replace_part(call, Part::Status, body).await,
        ("status", "patch") => patch::patch_part(call, Part::Status, body).await,
        ("approval", "update") => update::replace_part(call, Part::Approval, body).await,
        ("approval", "patch") => patch::patch_part(call, Part::Approval, body).await,
        ("finalize", "update") => update::replace_part(call, Part::Finalize, body).await,
        ("scale", "get") => scale::get(call).await,
        ("scale", "update") => scale::replace(call, body).await,
        ("scale", "patch") => scale::patch(call, body).await,
        ("binding", "create") => binding::create(call, body).await,
        ("token", "create") => token::create(call, body).await,
        ("log", "get") => log::get(call).await,
        ("eviction", "create") => eviction::create(call, body).await,
        (name, verb) => match (call.kind.resource.changing_part(name), verb) {
            (Some(_), "get") => form::one(call, call.find(&call.state.store.snapshot())?.value.clone()).await,
            (Some(name), "update") => update::replace_part(call, Part::Named(name), body).await,
            (Some(name), "patch") => patch::patch_part(call, Part::Named(name), body).await,
            _ => Err(Status::not_implemented(format!("the subresource {name:?} is not implemented"))),
        },
    }
}
