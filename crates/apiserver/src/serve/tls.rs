//! TLS over TCP; a client certificate of our authority says who the client is.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::connection;
use crate::{state::State, user::User};

const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves the API until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    config: Arc<rustls::ServerConfig>,
    state: Arc<State>,
    stop: CancellationToken,
    grace: Duration,
) {
    let acceptor = TlsAcceptor::from(config);
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    let handle = move |stream: TcpStream, stop| one(stream, acceptor.clone(), Arc::clone(&state), stop);
    super::accept(accept, handle, stop, grace).await;
}

async fn one(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection is gone already");
        return;
    }
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let peer = certificates.and_then(<[_]>::first).and_then(user).map(Arc::new);
    connection::serve(stream, state, peer, false, stop).await;
}

/// The user in a verified certificate: common name, and organisations as groups.
fn user(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    let groups = subject.iter_organization().filter_map(|group| Some(group.as_str().ok()?.to_owned()));
    Some(User::new(name, groups))
}
