//! UDP: bursts of questions in, bursts of answers out.
//!
//! A burst is answered on the spot, in one go. What has to wait for others goes on in a task of its own.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use skiff_linux::datagrams::{BURST, Inbox, Outbox, Peer};
use tokio::{io::Interest, net::UdpSocket};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{handler::Handler, long, plain::Plain};

/// What serves one socket.
pub(crate) struct Datagrams {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) handler: Handler,
    pub(crate) stop: CancellationToken,
    /// Answers that wait for others.
    pub(crate) waiting: TaskTracker,
}

type Answering = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

impl Datagrams {
    /// Answers until `stop`.
    ///
    /// # Errors
    /// A socket that breaks.
    pub(crate) async fn serve(self) -> io::Result<()> {
        let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
        while let Some(ready) = self.stop.run_until_cancelled(self.socket.readable()).await {
            ready?;
            let more = self.receive(&mut inbox)?;
            self.answer(&inbox, &mut outbox);
            let sent = self.socket.async_io(Interest::WRITABLE, || outbox.send(self.socket.as_fd()));
            if let Some(sent) = self.stop.run_until_cancelled(sent).await {
                sent?;
            }
            if more {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Takes a burst; whether more may wait.
    fn receive(&self, inbox: &mut Inbox) -> io::Result<bool> {
        let taken = self.socket.try_io(Interest::READABLE, || {
            // A burst that is not full has emptied the socket: no second call is needed to learn that.
            let full = inbox.receive(self.socket.as_fd())? == BURST;
            if full { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        match taken {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionAborted) => {
                Err(error)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read from a DNS socket");
                Ok(true)
            }
        }
    }

    fn answer(&self, inbox: &Inbox, outbox: &mut Outbox) {
        let index = self.handler.index();
        let view = self.handler.view(&index);
        for (packet, peer) in inbox.iter() {
            let Some(from) = peer.address().filter(can_be_answered) else { continue };
            let source = from.ip().to_canonical();
            let plain = Plain::read(packet);
            let answered = plain.and_then(|plain| outbox.push(peer, |out| plain.answer(view, source, out)));
            if answered.is_none() {
                self.answer_unusual(packet, peer, from, outbox);
            }
        }
    }

    /// The long way: at once where nobody else has to be asked.
    fn answer_unusual(&self, packet: &[u8], peer: &Peer, from: SocketAddr, outbox: &mut Outbox) {
        let mut answering: Answering = Box::pin(long::answer(self.handler.clone(), packet.to_vec(), from));
        let mut context = Context::from_waker(Waker::noop());
        // A question that makes us panic costs its own answer and nobody else's.
        match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(&mut context))) {
            Ok(Poll::Ready(Some(answer))) => {
                outbox.push(peer, |out| {
                    out.extend(answer);
                    Some(())
                });
            }
            Ok(Poll::Ready(None)) | Err(_) => {}
            Ok(Poll::Pending) => self.answer_later(answering, from),
        }
    }

    fn answer_later(&self, answering: Answering, to: SocketAddr) {
        let socket = Arc::clone(&self.socket);
        let sent = async move {
            let Some(answer) = answering.await else { return };
            if let Err(error) = socket.send_to(&answer, to).await {
                tracing::debug!(%error, client = %to, "a DNS answer could not be sent");
            }
        };
        self.waiting.spawn(self.stop.clone().run_until_cancelled_owned(sent));
    }
}

/// Answers to other addresses would go astray.
fn can_be_answered(from: &SocketAddr) -> bool {
    let somewhere = match from.ip() {
        IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified(),
    };
    somewhere && from.port() != 0
}
