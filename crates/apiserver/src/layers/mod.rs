//! What every request passes before a handler sees it, outermost first: tracing, limits and time,
//! who asks, whether they may, and the compression of the answer.

mod authenticate;
mod authorize;
mod compress;
mod limit;
mod trace;

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state};

pub(crate) use self::{authenticate::claims_of, authorize::Intent, limit::AT_ONCE};
use crate::{dispatch, state::State, user::User};

/// How a request came to us. Whoever makes the connection says it; nobody else can.
#[derive(Clone)]
pub(crate) enum Caller {
    /// From a component of this process, which is that user.
    InProcess(Arc<User>),
    /// Over the Unix socket; the user whom the kernel vouches for.
    Socket(Option<Arc<User>>),
    /// Over the network; the user of the client certificate.
    Network(Option<Arc<User>>),
}

/// The whole stack.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .fallback(dispatch::handle)
        .layer(axum::middleware::from_fn(compress::layer))
        .layer(from_fn_with_state(Arc::clone(&state), limit::layer))
        .layer(from_fn_with_state(Arc::clone(&state), authorize::layer))
        .layer(from_fn_with_state(Arc::clone(&state), authenticate::layer))
        .layer(axum::middleware::from_fn(trace::layer))
        .with_state(state)
}
