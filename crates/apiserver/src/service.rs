//! The API as a plain tower service, for components of the same process.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::USER_AGENT};
use tower::{BoxError, Service};

use crate::{
    layers::{self, Caller},
    state::State,
    user::User,
};

/// Who owns what a component of this process writes without saying who it is.
const PROGRAM: HeaderValue = HeaderValue::from_static("skiff");

/// The API, called by one user without a socket. Calls are function calls; bodies are never copied.
#[derive(Clone)]
pub struct InProcess {
    state: Arc<State>,
    user: Arc<User>,
}

impl InProcess {
    pub(crate) fn new(state: Arc<State>, user: User) -> Self {
        Self { state, user: Arc::new(user) }
    }
}

impl<B> Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (state, caller) = (Arc::clone(&self.state), Caller::InProcess(Arc::clone(&self.user)));
        let mut request = request.map(Body::new);
        request.headers_mut().entry(USER_AGENT).or_insert(PROGRAM);
        Box::pin(async move { Ok(layers::handle(state, caller, request).await) })
    }
}
