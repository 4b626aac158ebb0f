//! Whoever is at the other end of a stream session, whichever protocol they speak: bytes come in by channels that end
//! with their stream, and go out through sinks that share one bounded queue, so that a slow client slows the container
//! and never fills memory.

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many pieces wait in a queue, to or from a client.
pub(super) const QUEUE: usize = 8;
/// How much is read from a container at once.
pub(super) const PIECE: usize = 32 << 10;

/// What is to be sent to a client.
#[derive(Debug)]
pub(super) enum Write {
    /// Bytes of a stream or channel; with `last`, nothing follows on it.
    Data { id: u32, bytes: Bytes, last: bool },
    /// SPDY: the stream is welcome.
    Accept(u32),
    /// SPDY: it is not.
    Refuse(u32),
    /// SPDY: an answer to a ping.
    Pong(u32),
}

/// The way to one stream of a client.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    pub(super) id: u32,
    pub(super) out: mpsc::Sender<Write>,
}

/// The client has gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Sink {
    pub(super) async fn send(&self, bytes: impl Into<Bytes>) -> Result<(), Gone> {
        let write = Write::Data { id: self.id, bytes: bytes.into(), last: false };
        self.out.send(write).await.map_err(|_| Gone)
    }

    /// Says that nothing follows.
    pub(super) async fn end(&self) {
        // To one that has gone, nothing need be said.
        let _ = self.out.send(Write::Data { id: self.id, bytes: Bytes::new(), last: true }).await;
    }
}

/// A client of `exec` or `attach`.
#[derive(Debug)]
pub(super) struct Peer {
    /// Ends where the client says that its input has ended, or goes.
    pub(super) stdin: Option<mpsc::Receiver<Bytes>>,
    /// JSON objects with the terminal's new size.
    pub(super) resize: Option<mpsc::Receiver<Bytes>>,
    pub(super) stdout: Option<Sink>,
    pub(super) stderr: Option<Sink>,
    pub(super) error: Sink,
    /// Before version 4 of the protocol, errors are plain text.
    pub(super) plain: bool,
    pub(super) gone: CancellationToken,
}

/// How a session ended, for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    /// The command ended with that code.
    Exit(i32),
    Failed(String),
}

impl Peer {
    /// Tells the client how it ended, and that nothing follows.
    pub(super) async fn finish(self, verdict: &Verdict) {
        let text = if self.plain { verdict.plain() } else { Some(verdict.status().to_string()) };
        if let Some(text) = text {
            // It may be gone.
            let _ = self.error.send(text).await;
        }
        for sink in [Some(self.error), self.stdout, self.stderr].into_iter().flatten() {
            sink.end().await;
        }
    }
}

impl Verdict {
    fn status(&self) -> serde_json::Value {
        match self {
            Self::Success => json!({"metadata": {}, "status": "Success"}),
            Self::Exit(code) => json!({
                "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
                "message": format!("command terminated with non-zero exit code: exit status {code}"),
                "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
            }),
            Self::Failed(why) => json!({
                "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
                "message": format!("Internal error occurred: {why}"),
                "details": {"causes": [{"message": why}]},
            }),
        }
    }

    fn plain(&self) -> Option<String> {
        match self {
            Self::Success => None,
            Self::Exit(code) => Some(format!("command terminated with non-zero exit code: exit status {code}")),
            Self::Failed(why) => Some(format!("Internal error occurred: {why}")),
        }
    }
}
