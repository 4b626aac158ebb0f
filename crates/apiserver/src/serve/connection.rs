//! One connection: HTTP/1.1 or HTTP/2 over any stream, its requests marked with who is at the other end.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{
    Peer,
    patience::{PatientExecutor, patiently},
};
use crate::{
    layers::{self, Caller},
    state::State,
};

const WINDOW: u32 = 1 << 20;

/// Serves the connection until it ends; after `stop` it may finish what it began.
pub(super) async fn serve<S>(stream: S, state: Arc<State>, peer: Peer, trusted_socket: bool, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = state.config.patience;
    let caller = if trusted_socket { Caller::Socket(peer) } else { Caller::Network(peer) };
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, caller) = (Arc::clone(&state), caller.clone());
        async move { Ok::<_, Infallible>(layers::handle(state, caller, request.map(Body::new)).await) }
    });
    let builder = builder(patience);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let work = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    // Over HTTP/1.1 the connection itself carries the answer.
    if let Some(Err(error)) = patiently(work, patience).await {
        tracing::debug!(%error, "a connection broke");
    }
}

fn builder(patience: Duration) -> auto::Builder<PatientExecutor> {
    let mut builder = auto::Builder::new(PatientExecutor { patience });
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * 4)
        .max_concurrent_streams(1000);
    builder
}
