//! The Unix socket: the kernel says who is at the other end. Root, and the user that the server runs
//! as, are administrators; others must show a token.

use std::{sync::Arc, time::Duration};

use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::connection;
use crate::{state::State, user::User};

/// Serves the API until `stop`.
pub(crate) async fn serve(listener: UnixListener, state: Arc<State>, stop: CancellationToken, grace: Duration) {
    let own = own_uid();
    let administrator = Arc::new(User::master("system:admin"));
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    let handle = move |stream: UnixStream, stop| {
        let uid = stream.peer_cred().ok().map(|peer| peer.uid());
        let trusted = uid.is_some_and(|uid| uid == 0 || Some(uid) == own);
        let peer = trusted.then(|| Arc::clone(&administrator));
        connection::serve(stream, Arc::clone(&state), peer, true, stop)
    };
    super::accept(accept, handle, stop, grace).await;
}

/// The user id that this process runs as: that of what it makes itself.
fn own_uid() -> Option<u32> {
    let (one, _other) = UnixStream::pair().ok()?;
    one.peer_cred().ok().map(|peer| peer.uid())
}
