//! Bounds on how many requests are worked on at once, and for how long. Watches and logs, which are
//! meant to stay, are bounded by neither.

use axum::response::Response;
use skiff_api::status::Status;

use crate::{http::respond, state::State};

/// More requests than this at once are turned away, to be tried again.
pub(crate) const AT_ONCE: usize = 4000;

/// Has the work done within the bounds, or turns it away.
pub(super) async fn bound(state: &State, work: impl Future<Output = Response>) -> Response {
    let Ok(_slot) = state.slots.try_acquire() else {
        return respond::status(&Status::too_many_requests("too many requests, please try again later.", 1));
    };
    match tokio::time::timeout(state.config.request_timeout, work).await {
        Ok(response) => response,
        Err(_) => respond::status(&Status::timeout("request did not complete within the allotted timeout")),
    }
}
