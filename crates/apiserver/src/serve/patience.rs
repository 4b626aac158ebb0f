//! Clients that do not read. What is written to one waits for it to read; a stream that has more to say all the time
//! would wait, and hold on to what it says, for as long as the connection lives. So whoever carries such a stream, a
//! connection of HTTP/1.1 or one stream of HTTP/2, drops it when nothing has been taken off it for too long.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::Stream;
use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

tokio::task_local! {
    /// What carries the answer that is being made.
    static CARRIER: Arc<Carrier>;
}

/// Whether what was handed over has been taken off.
#[derive(Default)]
struct Carrier {
    /// How many pieces were handed over, and how often the next one was asked for: odd while one lies there.
    steps: AtomicU64,
}

impl Carrier {
    /// The number of the piece that lies there.
    fn waiting(&self) -> Option<u64> {
        Some(self.steps.load(Ordering::Relaxed)).filter(|steps| steps % 2 == 1)
    }

    fn asked(&self) {
        if self.waiting().is_some() {
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn handed(&self) {
        if self.waiting().is_none() {
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A stream that its carrier may be dropped for. Must be made where the answer is.
pub(crate) struct Watched<S> {
    stream: S,
    carrier: Option<Arc<Carrier>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S) -> Self {
        // A call within the process has none: who makes it reads at its own pace.
        Self { stream, carrier: CARRIER.try_with(Arc::clone).ok() }
    }
}

impl<S: Stream + Unpin> Stream for Watched<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if let Some(carrier) = &self.carrier {
            carrier.asked();
        }
        let next = ready!(Pin::new(&mut self.stream).poll_next(context));
        if let Some(carrier) = &self.carrier
            && next.is_some()
        {
            carrier.handed();
        }
        Poll::Ready(next)
    }
}

/// Does the work of a carrier until it is done, or until something has waited in it for as long as `patience`; `None` then.
pub(super) async fn patiently<F: Future>(work: F, patience: Duration) -> Option<F::Output> {
    let carrier = Arc::new(Carrier::default());
    let mut work = pin!(CARRIER.scope(Arc::clone(&carrier), work));
    let mut since: Option<(u64, Pin<Box<Sleep>>)> = None;
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        let Some(piece) = carrier.waiting() else {
            since = None;
            return Poll::Pending;
        };
        let (_, until) = match since.take().filter(|(known, _)| *known == piece) {
            Some(same) => since.insert(same),
            None => since.insert((piece, Box::pin(sleep(patience)))),
        };
        ready!(until.as_mut().poll(context));
        tracing::debug!("a client takes nothing off its watch; it is cut off");
        Poll::Ready(None)
    })
    .await
}

/// Runs the streams of HTTP/2.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatientExecutor {
    pub(super) patience: Duration,
}

impl<F> Executor<F> for PatientExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, work: F) {
        tokio::spawn(patiently(work, self.patience));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt as _, stream};

    const PATIENCE: Duration = Duration::from_millis(400);

    fn endless() -> Watched<stream::Repeat<u8>> {
        Watched::new(stream::repeat(1))
    }

    #[tokio::test]
    async fn what_is_not_taken_off_is_dropped() {
        let stuck = patiently(
            async {
                endless().next().await;
                std::future::pending::<()>().await;
            },
            PATIENCE,
        );
        let start = std::time::Instant::now();
        assert_eq!(stuck.await, None);
        assert!(start.elapsed() >= PATIENCE);
    }

    #[tokio::test]
    async fn who_reads_slowly_or_waits_is_not() {
        let slow = patiently(
            async {
                let mut stream = endless();
                for _ in 0..6 {
                    stream.next().await;
                    sleep(PATIENCE / 4).await;
                }
            },
            PATIENCE,
        );
        assert_eq!(slow.await, Some(()));
        let idle = patiently(
            async {
                let mut stream = Watched::new(stream::iter([1]).chain(stream::pending()));
                stream.next().await;
                tokio::select! { _ = stream.next() => {}, () = sleep(PATIENCE * 2) => {} }
                sleep(PATIENCE * 2).await;
            },
            PATIENCE,
        );
        assert_eq!(idle.await, Some(()), "nothing is there to be taken off");
    }
}
