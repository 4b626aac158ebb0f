//! What every request passes before a handler sees it, in this order: who asks, whether they may, limits and time; and
//! on the way out the compression of the answer, and a line of log.
//!
//! The steps are plain calls. A stack of tower layers would say the same with a boxed future and a copy of everything
//! below it for each step of each request.

mod authenticate;
mod authorize;
mod compress;
mod limit;
mod speak;

use std::{sync::Arc, time::Instant};

use axum::{extract::Request, response::Response};
use http::{HeaderValue, Method, header::CONTENT_LENGTH};
use http_body::Body as _;

pub(crate) use self::{authenticate::claims_of, authorize::Intent, limit::AT_ONCE};
use crate::{
    dispatch,
    http::{respond, websocket},
    state::State,
    user::User,
};

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

/// Answers a request: with a line of debug log, with what it cost.
pub(crate) async fn handle(state: Arc<State>, caller: Caller, request: Request) -> Response {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return answer(state, &caller, request).await;
    }
    let (method, uri, start) = (request.method().clone(), request.uri().clone(), Instant::now());
    let response = answer(state, &caller, request).await;
    tracing::debug!(%method, %uri, status = response.status().as_u16(), took = ?start.elapsed(), "request");
    response
}

async fn answer(state: Arc<State>, caller: &Caller, mut request: Request) -> Response {
    let only_head = request.method() == Method::HEAD;
    let encoding = speak::wanted(request.headers());
    let judged = authenticate::user(&state, caller, request.headers()).and_then(|user| {
        let intent = authorize::judge(&state, &user, &request)?;
        Ok((user, Arc::new(intent)))
    });
    let (user, intent) = match judged {
        Ok(judged) => judged,
        Err(status) => return speak::spoken(respond::status(&status), encoding).await,
    };
    websocket::hide_token(request.headers_mut());
    // What is passed on is passed on as it comes.
    let packs = !intent.is_proxied() && compress::is_wanted(caller, request.headers());
    let stays = intent.is_long_running() || matches!(caller, Caller::InProcess(_));
    let handled = dispatch::handle(Arc::clone(&state), user, intent, request);
    let response = if stays { handled.await } else { limit::bound(&state, handled).await };
    let response = speak::spoken(response, encoding).await;
    let response = if packs { compress::large(response).await } else { response };
    if only_head { head_of(response) } else { response }
}

/// What answers a HEAD: all but the body, whose length is told.
fn head_of(mut response: Response) -> Response {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}
