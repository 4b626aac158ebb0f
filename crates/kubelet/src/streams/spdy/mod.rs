//! SPDY/3.1, the server's side, over any connection: what clients of Kubernetes spoke before WebSockets, and still speak
//! within one for port forwarding. Neither they nor kubelets keep its flow control windows, so there are none here: a
//! stream that is not read holds the connection up, and with it the client.

mod frame;
mod headers;

use std::collections::HashMap;

use bytes::Bytes;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::mpsc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

use self::{
    frame::{Decoder, Frame},
    headers::Deflater,
};
use super::peer::{QUEUE, Sink, Write};

/// More streams than this at once are refused.
const MOST: usize = 1000;
/// How long a client may take to hang up.
const LEAVE: Duration = Duration::from_secs(10);

/// What a client does wrong.
#[derive(Debug, Error)]
pub(super) enum SpdyError {
    #[error("a header block cannot be read")]
    Headers,
    #[error("a frame is too large")]
    TooLarge,
    #[error("a frame is too short")]
    Short,
    #[error("a frame of another version than 3")]
    Version,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A stream that a client has opened.
#[derive(Debug)]
pub(super) struct Incoming {
    headers: headers::Headers,
    /// What the client sends; ends with the stream.
    pub(super) from: mpsc::Receiver<Bytes>,
    pub(super) to: Sink,
    /// The client wants no more of it.
    pub(super) reset: CancellationToken,
}

impl Incoming {
    /// A header's value, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

/// Carries streams until all sinks are dropped, or the client leaves. The streams that the client opens go to `opened`;
/// once that is closed, more are refused.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Send>(
    connection: S,
    opened: mpsc::Sender<Incoming>,
    (out, writes): (mpsc::WeakSender<Write>, mpsc::Receiver<Write>),
) {
    let (read, write) = tokio::io::split(connection);
    let reading = async {
        if let Err(error) = receive(read, opened, out).await {
            tracing::debug!(%error, "a SPDY client has gone");
        }
    };
    let writing = async {
        if let Err(error) = send(write, writes).await {
            tracing::debug!(%error, "a SPDY client has gone");
        }
    };
    tokio::pin!(reading, writing);
    tokio::select! {
        () = &mut reading => return,
        () = &mut writing => {}
    }
    // Hanging up at once could take from the client what it has not read yet.
    let _ = tokio::time::timeout(LEAVE, reading).await;
}

struct Open {
    bytes: Option<mpsc::Sender<Bytes>>,
    reset: CancellationToken,
}

async fn receive<S: AsyncRead>(
    mut read: ReadHalf<S>,
    opened: mpsc::Sender<Incoming>,
    out: mpsc::WeakSender<Write>,
) -> Result<(), SpdyError> {
    let mut decoder = Decoder::new();
    let mut streams: HashMap<u32, Open> = HashMap::new();
    loop {
        while let Some(frame) = decoder.next()? {
            match frame {
                Frame::Open { id, headers, last } => {
                    if streams.len() >= MOST / 2 {
                        streams.retain(|_, open| open.bytes.as_ref().is_some_and(|bytes| !bytes.is_closed()));
                    }
                    // Without anyone to answer, the connection is about to end.
                    let Some(out) = out.upgrade() else { continue };
                    if streams.len() >= MOST || opened.is_closed() {
                        let _ = out.send(Write::Refuse(id)).await;
                        continue;
                    }
                    let _ = out.send(Write::Accept(id)).await;
                    let (open, incoming) = open(id, headers, last, out);
                    streams.insert(id, open);
                    let _ = opened.send(incoming).await;
                }
                Frame::Data { id, bytes, last } => {
                    let Some(open) = streams.get_mut(&id) else { continue };
                    if let Some(sender) = open.bytes.as_ref().filter(|_| !bytes.is_empty()) {
                        tokio::select! {
                            // Nobody may want it any more.
                            _ = sender.send(bytes) => {}
                            () = sender.closed() => {}
                        }
                    }
                    if last {
                        open.bytes = None;
                    }
                }
                Frame::Reset { id } => {
                    if let Some(open) = streams.remove(&id) {
                        open.reset.cancel();
                    }
                }
                Frame::Ping(id) => {
                    if let Some(out) = out.upgrade() {
                        let _ = out.send(Write::Pong(id)).await;
                    }
                }
                Frame::GoAway => {}
            }
        }
        if read.read_buf(&mut decoder.buffer).await? == 0 {
            return Ok(());
        }
    }
}

fn open(id: u32, headers: headers::Headers, last: bool, out: mpsc::Sender<Write>) -> (Open, Incoming) {
    let (sender, from) = mpsc::channel(QUEUE);
    let reset = CancellationToken::new();
    let open = Open { bytes: (!last).then_some(sender), reset: reset.clone() };
    (open, Incoming { headers, from, to: Sink { id, out }, reset })
}

async fn send<S: AsyncWrite>(mut write: WriteHalf<S>, mut writes: mpsc::Receiver<Write>) -> Result<(), SpdyError> {
    let mut deflate = Deflater::new()?;
    let mut newest = 0;
    while let Some(next) = writes.recv().await {
        match next {
            Write::Data { id, bytes, last } => {
                // An empty piece says nothing here.
                if last || !bytes.is_empty() {
                    write.write_all(&frame::data(id, bytes.len(), last)).await?;
                    write.write_all(&bytes).await?;
                }
            }
            Write::Accept(id) => {
                newest = newest.max(id);
                write.write_all(&frame::accept(id, &mut deflate)?).await?;
            }
            Write::Refuse(id) => write.write_all(&frame::refuse(id)).await?,
            Write::Pong(id) => write.write_all(&frame::pong(id)).await?,
        }
        if writes.is_empty() {
            write.flush().await?;
        }
    }
    write.write_all(&frame::go_away(newest)).await?;
    Ok(write.shutdown().await?)
}
