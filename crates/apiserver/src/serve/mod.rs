//! Listening: TLS over TCP for everyone, a Unix socket for this machine's root.

mod connection;
mod patience;
mod tls;
mod unix;

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::{patience::Watched, tls::serve as tls, unix::serve as unix};

/// After a failed accept (no file descriptors left, say) the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stop`, then gives the connections `grace` to end.
async fn accept<C, A, AF, H, HF>(accept: A, handle: H, stop: CancellationToken, grace: Duration)
where
    A: Fn() -> AF,
    AF: Future<Output = io::Result<C>>,
    H: Fn(C, CancellationToken) -> HF,
    HF: Future<Output = ()> + Send + 'static,
{
    let connections = TaskTracker::new();
    // What is still there after the grace is dropped by its own token.
    let abort = CancellationToken::new();
    while let Some(accepted) = stop.run_until_cancelled(accept()).await {
        match accepted {
            Ok(connection) => {
                let (work, abort) = (handle(connection, stop.clone()), abort.clone());
                connections.spawn(async move {
                    abort.run_until_cancelled(work).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::debug!(left = connections.len(), "connections did not end in time");
        abort.cancel();
        connections.wait().await;
    }
}

/// Who is at the other end of a connection: `None` has shown nothing.
type Peer = Option<Arc<crate::user::User>>;
