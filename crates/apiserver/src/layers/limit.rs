//! Bounds on how many requests are worked on at once, and for how long. Watches and logs, which are
//! meant to stay, are bounded by neither.

use std::sync::Arc;

use axum::{
    extract::{Request, State as Extract},
    middleware::Next,
    response::Response,
};
use skiff_api::status::Status;

use super::{Caller, Intent};
use crate::{http::respond, state::State};

/// More requests than this at once are turned away, to be tried again.
pub(crate) const AT_ONCE: usize = 4000;

pub(super) async fn layer(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let stays = request.extensions().get::<Arc<Intent>>().is_some_and(|intent| intent.is_long_running());
    if stays || matches!(request.extensions().get(), Some(Caller::InProcess(_))) {
        return next.run(request).await;
    }
    let Ok(_slot) = state.slots.try_acquire() else {
        return respond::status(&Status::too_many_requests("too many requests, please try again later.", 1));
    };
    match tokio::time::timeout(state.config.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => respond::status(&Status::timeout("request did not complete within the allotted timeout")),
    }
}
