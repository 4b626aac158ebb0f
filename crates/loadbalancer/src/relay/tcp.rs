//! TCP: accepts, dials an endpoint, and splices both ways until both sides are done.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, Shutdown, SocketAddr},
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use skiff_api::endpoints::Protocol;
use skiff_linux::splice::Pool;
use socket2::SockRef;
use tokio::{
    io::{AsyncWriteExt as _, Interest},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::{Shared, proxy_protocol, reset, tune};
use crate::route::Slot;

/// One endpoint's time to answer, and how many of them are tried.
const DIAL: Duration = Duration::from_secs(2);
const DIALS: usize = 5;
/// What is copied; a connection that has more waiting is spliced until there is nothing for a while.
const SHORT: usize = 16 * 1024;
/// A pause when the process has run out of descriptors.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Accepts until it is aborted. Connections live on when it is.
pub(crate) async fn listen(listener: TcpListener, slot: Arc<Slot>, published: bool, shared: Shared) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // The semaphore is never closed.
                let Ok(permit) = Arc::clone(&shared.connections).acquire_owned().await else { return };
                let (slot, pipes) = (Arc::clone(&slot), Arc::clone(&shared.pipes));
                tokio::spawn(async move {
                    serve(stream, address, &slot, published, &pipes).await;
                    drop(permit);
                });
            }
            Err(error) if is_exhaustion(&error) => {
                tracing::warn!(%error, "connections wait: the process has no descriptors left");
                sleep(EXHAUSTED).await;
            }
            // The client went away while it waited.
            Err(_) => {}
        }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    // EMFILE, ENFILE, ENOBUFS and ENOMEM.
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}

async fn serve(stream: TcpStream, address: SocketAddr, slot: &Slot, published: bool, pipes: &Pool) {
    let Ok(to) = stream.local_addr() else { return };
    let client = address.ip().to_canonical();
    if published && !slot.route().admits(client) {
        return reset(&stream);
    }
    let Some(mut backend) = dial(slot, client).await else { return reset(&stream) };
    let announce = published && slot.route().proxy_protocol;
    let ready = async {
        tune(&stream)?;
        tune(&backend)?;
        if announce {
            backend.write_all(&proxy_protocol::header(Protocol::Tcp, address, to)).await?;
        }
        relay(&stream, &backend, pipes).await
    };
    if ready.await.is_err() {
        reset(&stream);
        reset(&backend);
    }
}

/// Connects to one of the endpoints; another one if the first does not answer.
async fn dial(slot: &Slot, client: IpAddr) -> Option<TcpStream> {
    for endpoint in slot.candidates(client, Instant::now()).into_iter().take(DIALS) {
        match timeout(DIAL, TcpStream::connect(endpoint)).await {
            Ok(Ok(stream)) => {
                slot.chosen(client, endpoint, Instant::now());
                return Some(stream);
            }
            Ok(Err(error)) => tracing::debug!(%endpoint, %error, "an endpoint does not answer"),
            Err(_) => tracing::debug!(%endpoint, "an endpoint does not answer in time"),
        }
    }
    None
}

/// Moves bytes both ways until both sides have said that they are done.
async fn relay(client: &TcpStream, backend: &TcpStream, pipes: &Pool) -> io::Result<()> {
    tokio::try_join!(pump(client, backend, pipes), pump(backend, client, pipes))?;
    Ok(())
}

/// One way: copies what is short, splices what is long, and passes the end on.
async fn pump(from: &TcpStream, to: &TcpStream, pipes: &Pool) -> io::Result<()> {
    loop {
        from.readable().await?;
        match copy(from, to) {
            Ok(Copied { bytes: 0, .. }) => return finish(to),
            Ok(Copied { bytes, rest }) => {
                write_all(to, &rest).await?;
                if bytes == SHORT && splice(from, to, pipes).await?.is_break() {
                    return finish(to);
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What one read has brought; `rest` did not fit into the sink.
struct Copied {
    bytes: usize,
    rest: Vec<u8>,
}

/// Reads once and writes once: for a message that fits this takes half the calls of a pipe.
fn copy(from: &TcpStream, to: &TcpStream) -> io::Result<Copied> {
    thread_local! {
        static BUFFER: RefCell<[u8; SHORT]> = const { RefCell::new([0; SHORT]) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        let bytes = from.try_read(buffer)?;
        let message = &buffer[..bytes];
        let written = match message {
            [] => 0,
            _ => match to.try_write(message) {
                Err(error) if is_passing(&error) => 0,
                written => written?,
            },
        };
        Ok(Copied { bytes, rest: message[written..].to_vec() })
    })
}

async fn write_all(to: &TcpStream, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        to.writable().await?;
        match to.try_write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Moves bytes through a borrowed pipe until there are none (`Continue`) or no more will come (`Break`).
async fn splice(from: &TcpStream, to: &TcpStream, pipes: &Pool) -> io::Result<ControlFlow<()>> {
    let mut pipe = pipes.take()?;
    loop {
        // At once, as long as there are bytes; from time to time other connections have their turn here.
        from.readable().await?;
        match from.try_io(Interest::READABLE, || pipe.fill(from)) {
            Ok(0) => {
                pipes.give(pipe);
                return Ok(ControlFlow::Break(()));
            }
            Ok(_) => {
                while pipe.held() > 0 {
                    to.async_io(Interest::WRITABLE, || pipe.drain(to)).await?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                pipes.give(pipe);
                return Ok(ControlFlow::Continue(()));
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Nothing now, but perhaps later.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn finish(to: &TcpStream) -> io::Result<()> {
    match SockRef::from(to).shutdown(Shutdown::Write) {
        // It is gone already, so it knows.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        done => done,
    }
}
