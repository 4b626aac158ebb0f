//! The one thread that writes.
//!
//! Flow: take what is queued → judge each transaction on the latest state → have the backend keep all of it at once →
//! publish the new snapshot → answer → tell watchers. While the backend works, the next group gathers.
//!
//! When the backend fails, nothing of the group happened as far as anyone can see. From then on writes are refused; a
//! write that comes after a pause makes the committer open the backend anew and put back into it what readers see, and
//! if that works the store is whole again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::backend::{Backend, Batch, Head, Kept};
use crate::backup::Backups;
use crate::folder::Folder;
use crate::plan::Plan;
use crate::shared::Shared;
use crate::snapshot::{Snapshot, State};
use crate::tree::Tree;
use crate::{BackendError, Committed, Durability, Entry, Op, TransactError};

/// How many transactions are made durable together at most.
const GROUP: usize = 1024;
/// How many bytes of values are made durable together, if there is more than one transaction.
const GROUP_BYTES: usize = 4 << 20;
/// How long writes are refused before the backend is tried again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What a transaction ended in.
pub(crate) type Outcome = Result<Committed, TransactError>;

/// What the committer is asked to do.
pub(crate) enum Job {
    /// Commit transactions, each on its own.
    Transact(Vec<Vec<Op>>, oneshot::Sender<Vec<Outcome>>),
    /// Finish.
    Close(oneshot::Sender<Result<(), BackendError>>),
}

/// The thread's state.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) backups: Backups,
    pub(crate) state: State,
    pub(crate) head: Head,
    pub(crate) failure: Option<Failure>,
    /// Held until the thread ends.
    pub(crate) _folder: Folder,
}

/// The backend does not work.
pub(crate) struct Failure {
    cause: Arc<BackendError>,
    retry_at: Instant,
    pause: Duration,
}

/// Transactions to be committed, and where to answer.
type Request = (Vec<Vec<Op>>, oneshot::Sender<Vec<Outcome>>);
/// What transactions ended in, and where to say so.
type Answer = (Vec<Outcome>, oneshot::Sender<Vec<Outcome>>);

/// What came out of the queue together.
#[derive(Default)]
struct Group {
    jobs: Vec<Request>,
    close: Option<oneshot::Sender<Result<(), BackendError>>>,
}

impl Committer {
    /// Works until the store is closed or nobody holds it any more.
    pub(crate) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let Some(group) = self.gather(queue) else { break };
            self.work(group.jobs);
            if let Some(reply) = group.close {
                let closed = self.close();
                self.shared.window.close();
                // Everything, the lock included, is let go before anyone is told.
                drop(self);
                let _ = reply.send(closed);
                return;
            }
        }
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store was not closed cleanly; everything acknowledged is safe");
        }
        self.shared.window.close();
    }

    /// Waits for work, and takes what there is; nothing when nobody can ask any more.
    fn gather(&mut self, queue: &Receiver<Job>) -> Option<Group> {
        let first = loop {
            let Some(due) = self.backups.due() else { break queue.recv().ok()? };
            match queue.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(job) => break job,
                Err(RecvTimeoutError::Timeout) => self.backups.start(&Snapshot::of(self.shared.state()), self.head),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        };
        let mut group = Group::default();
        let (mut count, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Transact(transactions, reply) => {
                    count += transactions.len();
                    bytes += transactions.iter().flatten().map(Op::size).sum::<usize>();
                    group.jobs.push((transactions, reply));
                }
                Job::Close(reply) => group.close = Some(reply),
            }
            let full = count >= GROUP || bytes >= GROUP_BYTES || group.close.is_some();
            next = if full { None } else { queue.try_recv().ok() };
        }
        Some(group)
    }

    fn work(&mut self, jobs: Vec<Request>) {
        if jobs.is_empty() {
            return;
        }
        if let Err(cause) = self.heal() {
            for (transactions, reply) in jobs {
                let refused = transactions.iter().map(|_| Err(TransactError::Unavailable(Arc::clone(&cause))));
                let _ = reply.send(refused.collect());
            }
            return;
        }
        let mut plan = Plan::new(self.state.clone(), self.head);
        let outcomes: Vec<_> = jobs
            .into_iter()
            .map(|(transactions, reply)| {
                (transactions.into_iter().map(|ops| plan.transact(ops)).collect::<Vec<_>>(), reply)
            })
            .collect();
        let kept = if plan.seal() { self.backend.commit(&plan.batch) } else { Ok(()) };
        match kept {
            Ok(()) => self.publish(plan, outcomes),
            Err(error) => self.fail(error, outcomes),
        }
    }

    /// Makes what was kept visible and answers.
    fn publish(&mut self, plan: Plan, outcomes: Vec<Answer>) {
        let now = Instant::now();
        self.state = plan.state;
        self.head = plan.batch.head;
        self.shared.set_state(self.state.clone());
        for (outcome, reply) in outcomes {
            // Who does not wait any more need not know.
            let _ = reply.send(outcome);
        }
        if !plan.events.is_empty() {
            self.shared.window.publish(&plan.events, &self.state, now);
        }
        if !plan.batch.changes.is_empty() {
            self.backups.changed(now);
        }
    }

    /// Answers that nothing was done, and refuses writes from now on.
    fn fail(&mut self, error: BackendError, outcomes: Vec<Answer>) {
        tracing::error!(%error, "a write could not be made durable; the store refuses writes until its storage works again");
        let cause = Arc::new(error);
        self.shared.set_failure(Some(Arc::clone(&cause)));
        for (outcome, reply) in outcomes {
            let answers = outcome.into_iter().map(|outcome| match outcome {
                Ok(_) => Err(TransactError::NotDurable(Arc::clone(&cause))),
                refused => refused,
            });
            let _ = reply.send(answers.collect());
        }
        self.failure = Some(Failure { cause, retry_at: Instant::now() + PAUSE.0, pause: PAUSE.0 });
    }

    /// Makes sure that the backend works. The error is why it does not.
    fn heal(&mut self) -> Result<(), Arc<BackendError>> {
        let Some(failure) = &mut self.failure else { return Ok(()) };
        if Instant::now() < failure.retry_at {
            return Err(Arc::clone(&failure.cause));
        }
        match repair(&mut *self.backend, &self.state, self.head) {
            Ok(head) => {
                self.head = head;
                tracing::info!("the storage works again; the store takes writes");
                self.failure = None;
                self.shared.set_failure(None);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the storage still does not work");
                failure.cause = Arc::new(error);
                failure.pause = (failure.pause * 2).min(PAUSE.1);
                failure.retry_at = Instant::now() + failure.pause;
                self.shared.set_failure(Some(Arc::clone(&failure.cause)));
                Err(Arc::clone(&failure.cause))
            }
        }
    }

    /// Gives back the revisions that were reserved and not used, and lets go of the backend.
    fn close(&mut self) -> Result<(), BackendError> {
        if self.failure.is_none() && self.head.reserved > self.state.revision {
            let head = Head { reserved: self.state.revision, revision: self.state.revision, ..self.head };
            self.backend.commit(&Batch { changes: Vec::new(), head })?;
            self.head = head;
        }
        self.backups.finish(&Snapshot::of(self.shared.state()), self.head);
        self.backend.close()
    }
}

/// Opens the backend anew and makes what it keeps equal to what readers see.
fn repair(backend: &mut dyn Backend, state: &State, head: Head) -> Result<Head, BackendError> {
    let mut found = HashMap::new();
    let loaded = backend.reopen().and_then(|()| {
        backend.load(&mut |entry| {
            found.insert(entry.key.clone(), Arc::new(entry));
        })
    });
    match loaded {
        Ok(stale) => {
            let changes = difference(&state.tree, found);
            let head = Head { reserved: head.reserved.max(stale.reserved), revision: state.revision, ..head };
            backend.commit(&Batch { changes, head })?;
            Ok(head)
        }
        Err(error) if error.damage().is_some() => {
            let head = Head { revision: state.revision, ..head };
            let entries: Vec<_> = durable(&state.tree).cloned().collect();
            let aside = backend.rebuild(&entries, head)?;
            tracing::warn!(%error, aside = %aside.display(), "the database was damaged and has been written anew from memory");
            Ok(head)
        }
        Err(error) => Err(error),
    }
}

fn durable(tree: &Tree) -> impl Iterator<Item = &Arc<Entry>> {
    tree.iter().filter(|entry| entry.durability == Durability::Disk)
}

/// The changes that make `found` equal to the durable part of `wanted`.
fn difference(wanted: &Tree, mut found: HashMap<Box<[u8]>, Arc<Entry>>) -> Vec<Kept> {
    let mut changes = Vec::new();
    for entry in durable(wanted) {
        let previous = found.remove(&entry.key);
        if previous.as_deref() != Some(&**entry) {
            changes.push(Kept::Put { entry: Arc::clone(entry), previous });
        }
    }
    changes.extend(found.into_values().map(|previous| Kept::Delete { previous }));
    changes
}
