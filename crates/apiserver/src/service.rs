//! The API as a plain tower service, for components of the same process.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Router, body::Body, routing::future::RouteFuture};
use bytes::Bytes;
use http::{Request, Response};
use tower::{BoxError, Service};

use crate::{layers::Caller, user::User};

/// The API, called by one user without a socket. Calls are function calls; bodies are never copied.
#[derive(Clone)]
pub struct InProcess {
    router: Router,
    user: Arc<User>,
}

impl InProcess {
    pub(crate) fn new(router: Router, user: User) -> Self {
        Self { router, user: Arc::new(user) }
    }
}

impl<B> Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Caller::InProcess(Arc::clone(&self.user)));
        self.router.call(request)
    }
}
