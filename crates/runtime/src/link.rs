//! A server's connection to one supervisor: calls out, replies and news in.
//!
//! Two small tasks per pod, one for each direction, so that a caller that gives up half-way never leaves half a message
//! on the wire. When the supervisor goes, every caller that waits gets `None` and every listener [`Event::Lost`].

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::protocol::{self, Call, Message, Reply, Request};
use crate::status::Event;

/// How many events a slow listener may lag behind before it misses some.
const EVENTS: usize = 256;

#[derive(Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    calls: mpsc::UnboundedSender<Vec<u8>>,
    closed: watch::Receiver<bool>,
    tasks: [AbortHandle; 2],
}

#[derive(Debug)]
struct Shared {
    /// Who waits for which reply. None: the supervisor is gone.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Reply>>>>,
    next: AtomicU64,
    events: broadcast::Sender<Event>,
}

impl Link {
    pub(crate) async fn connect(socket: &Path) -> std::io::Result<Link> {
        let (read, write) = UnixStream::connect(socket).await?.into_split();
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(1),
            events: broadcast::channel(EVENTS).0,
        });
        let (calls, queue) = mpsc::unbounded_channel();
        let (closing, closed) = watch::channel(false);
        let reader = tokio::spawn(read_messages(read, shared.clone(), closing)).abort_handle();
        let writer = tokio::spawn(write_calls(write, queue)).abort_handle();
        Ok(Link { shared, calls, closed, tasks: [reader, writer] })
    }

    /// Sends a request and waits for its reply. `None`: the supervisor is gone.
    pub(crate) async fn call(&self, request: Request) -> Option<Reply> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let frame = protocol::encode(&Call { id, request }).ok()?;
        let (sender, receiver) = oneshot::channel();
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.insert(id, sender);
        self.calls.send(frame).ok()?;
        receiver.await.ok()
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Returns when the supervisor has closed the connection.
    pub(crate) async fn closed(&self) {
        // An error means that the reader is gone, which is what is waited for.
        self.closed.clone().wait_for(|closed| *closed).await.ok();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn write_calls(mut write: OwnedWriteHalf, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        if write.write_all(&frame).await.is_err() {
            // The reader sees the end too, and tells whoever waits.
            return;
        }
    }
}

async fn read_messages(mut read: OwnedReadHalf, shared: Arc<Shared>, closing: watch::Sender<bool>) {
    let mut buffer = Vec::new();
    'connected: while read.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        loop {
            match protocol::take(&mut buffer) {
                Ok(Some(message)) => shared.deliver(message),
                Ok(None) => break,
                Err(protocol::Malformed) => break 'connected,
            }
        }
    }
    shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    closing.send_replace(true);
    // No listener is no fault.
    shared.events.send(Event::Lost).ok();
}

impl Shared {
    fn deliver(&self, message: Message) {
        match message {
            Message::Reply { id, reply } => {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(caller) = waiting.as_mut().and_then(|waiting| waiting.remove(&id)) {
                    // A caller that no longer waits is no fault.
                    caller.send(reply).ok();
                }
            }
            Message::Changed(status) => {
                self.events.send(Event::Changed(status)).ok();
            }
        }
    }
}
