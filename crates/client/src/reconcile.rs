//! The loop of every controller: take a key, bring the world closer to it, retry on failure.

use std::{fmt::Display, future::Future, hash::Hash, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Queue;

/// When to look at a key again after success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// When something about it changes.
    OnChange,
    /// After a while, even if nothing changes.
    After(Duration),
}

/// Runs `work` for the keys of `queue`, `workers` at a time, until `stop`.
/// An error is logged under `name` and the key is tried again with back-off.
pub async fn reconcile<K, F, Fut, E>(
    name: &'static str,
    queue: Queue<K>,
    workers: usize,
    stop: CancellationToken,
    work: F,
) where
    K: Clone + Eq + Hash + std::fmt::Debug + Send + Sync + 'static,
    F: Fn(K) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Next, E>> + Send,
    E: Display + Send,
{
    let mut tasks = JoinSet::new();
    for _ in 0..workers.max(1) {
        let (queue, stop, work) = (queue.clone(), stop.clone(), work.clone());
        tasks.spawn(async move {
            while let Some(key) = stop.run_until_cancelled(queue.next()).await {
                match work(key.clone()).await {
                    Ok(next) => {
                        queue.succeeded(&key);
                        if let Next::After(delay) = next {
                            queue.add_after(key.clone(), delay);
                        }
                    }
                    Err(error) => {
                        let delay = queue.retry(key.clone());
                        tracing::debug!(component = name, ?key, %error, ?delay, "will be tried again");
                    }
                }
                queue.done(&key);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}
