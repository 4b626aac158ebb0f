//! One line of debug log per request, with what it cost.

use std::time::Instant;

use axum::{extract::Request, middleware::Next, response::Response};

pub(super) async fn layer(request: Request, next: Next) -> Response {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return next.run(request).await;
    }
    let (method, uri, start) = (request.method().clone(), request.uri().clone(), Instant::now());
    let response = next.run(request).await;
    tracing::debug!(%method, %uri, status = response.status().as_u16(), took = ?start.elapsed(), "request");
    response
}
