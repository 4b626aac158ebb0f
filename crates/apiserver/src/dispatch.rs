//! Where a request goes once it may: to the objects, the documents, or the health checks.

use std::sync::Arc;

use axum::{extract::Request, response::Response};
use http::Method;
use skiff_api::status::Status;

use crate::{
    connect, health,
    http::{
        info::Info,
        respond::{self, Answer},
    },
    layers::Intent,
    oidc,
    resource::{self, Call},
    state::State,
    user::User,
};

/// Handles every request.
pub(crate) async fn handle(state: Arc<State>, user: Arc<User>, intent: Arc<Intent>, request: Request) -> Response {
    match answer(state, user, intent, request).await {
        Ok(response) => response,
        Err(status) => respond::status(&status),
    }
}

async fn answer(state: Arc<State>, user: Arc<User>, intent: Arc<Intent>, request: Request) -> Answer {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path();
    if intent.info == Info::Other
        && let Some(response) = health::answer(&state, path, &intent.query)
    {
        return Ok(response);
    }
    if let Some(response) = state.documents.openapi_protobuf(path, &intent.query, &parts.headers, &state) {
        return Ok(response);
    }
    if let Info::Resource(target) = &intent.info
        && connect::is_meant(target)
    {
        let call = Call::passed_on(state, user, Arc::clone(&intent), parts.headers.clone())?;
        return connect::handle(&call, Request::from_parts(parts, body)).await;
    }
    if parts.method == Method::GET
        && let Some(response) = oidc::answer(&state, path)
    {
        return Ok(response);
    }
    if matches!(intent.info, Info::Resource(_)) {
        let mut call = Call::new(state, user, intent, parts.headers)?;
        call.connection = parts.extensions.remove();
        return resource::handle(&call, body).await;
    }
    let document = state.documents.answer(path, &intent.query, &parts.headers, &state);
    match document {
        Some(_) if parts.method != Method::GET && parts.method != Method::HEAD => {
            Err(Status::method_not_allowed_here())
        }
        Some(answer) => answer,
        None => Err(Status::no_such_path()),
    }
}
