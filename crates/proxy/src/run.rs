//! The component at work: two informers in, one thread that programs the kernel, a report out.

use std::{
    collections::BTreeSet,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use skiff_client::{Informers, Subscription};
use skiff_linux::nft::{Kernel, Listener, Monitor, Op, Tables as _};
use tokio::{
    sync::{mpsc::UnboundedReceiver, mpsc::UnboundedSender, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error,
    apply::{Event, Programmer, Round},
    chain::AFFINITY,
    plan::Answering,
    sweep,
};

/// What is in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Programmed {
    /// How many transactions were committed; 0 until the first.
    pub transactions: u64,
    /// How many of them built the whole table anew.
    pub rebuilds: u64,
    /// How many services are known.
    pub services: usize,
    /// How many elements they have in the table.
    pub elements: usize,
    /// How long the last transaction took, from plan to commit.
    pub took: Duration,
}

/// The running component.
#[derive(Debug)]
pub struct Handle {
    programmed: watch::Receiver<Programmed>,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Handle {
    /// What is in the kernel, now and from now on.
    #[must_use]
    pub fn programmed(&self) -> watch::Receiver<Programmed> {
        self.programmed.clone()
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// When it ended otherwise than by being told to.
    pub async fn finished(self) -> Result<(), Error> {
        self.task.await.unwrap_or(Err(Error::Ended))
    }
}

/// Programs services until `stop`. The table stays.
///
/// # Errors
/// When it could not be started.
pub async fn run(informers: &Informers, config: Config, stop: CancellationToken) -> Result<(), Error> {
    start(informers, config, stop)?.finished().await
}

/// Starts to program services, in the calling thread's network namespace. Must be called within a runtime.
///
/// # Errors
/// When the kernel cannot be talked to.
pub fn start(informers: &Informers, config: Config, stop: CancellationToken) -> Result<Handle, Error> {
    let kernel = Kernel::open(&config.table)?;
    let (report, programmed) = watch::channel(Programmed::default());
    let (events, inbox) = mpsc::channel();
    let (monitors, fresh_monitors) = tokio::sync::mpsc::unbounded_channel();
    let worker =
        Worker { programmer: Programmer::new(kernel, config.settings), inbox, monitors, report, table: config.table };
    thread::Builder::new().name("services".to_owned()).spawn(move || worker.run()).map_err(Error::Thread)?;
    let sources = Sources {
        services: informers.of::<Service>().subscribe(),
        slices: informers.of::<EndpointSlice>().subscribe(),
        monitors: fresh_monitors,
        _informers: informers.clone(),
        events,
    };
    Ok(Handle { programmed, task: tokio::spawn(sources.forward(stop)) })
}

/// Whether the table is there.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn exists(table: &str) -> Result<bool, Error> {
    Ok(Kernel::open(table)?.exists()?)
}

/// Deletes the table with all its rules; fine if there is none.
///
/// # Errors
/// When the kernel refuses.
pub fn remove(table: &str) -> Result<(), Error> {
    Ok(Kernel::open(table)?.commit(&[Op::AddTable, Op::DeleteTable])?)
}

/// Everything that is waited for.
struct Sources {
    services: Subscription<Service>,
    slices: Subscription<EndpointSlice>,
    monitors: UnboundedReceiver<Monitor>,
    events: Sender<Event>,
    /// The watches end with the last of these.
    _informers: Informers,
}

impl Sources {
    async fn forward(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut listener: Option<Listener> = None;
        // When to listen again: somebody who fights us for the table must not keep us busy.
        let mut listen = Instant::now();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some(delta) = self.services.recv() => Event::Service(delta),
                Some(delta) = self.slices.recv() => Event::Slice(delta),
                fresh = self.monitors.recv() => {
                    listener = Some(Listener::new(fresh.ok_or(Error::Ended)?)?);
                    continue;
                }
                touched = foreign(&mut listener, listen) => {
                    touched?;
                    // The table is about to be rebuilt: a fresh monitor comes when it is.
                    listener = None;
                    listen = Instant::now() + TRUCE;
                    tracing::warn!("somebody else changed the table of service rules; building it anew");
                    Event::Foreign
                }
            };
            self.events.send(event).map_err(|_| Error::Ended)?;
        }
    }
}

/// Between two rebuilds that somebody else's changes ask for.
const TRUCE: Duration = Duration::from_millis(250);

/// Waits, from `listen` on, until somebody else changed our table.
async fn foreign(listener: &mut Option<Listener>, listen: Instant) -> Result<(), Error> {
    let Some(listener) = listener else { return std::future::pending().await };
    tokio::time::sleep_until(listen).await;
    Ok(listener.changed().await?)
}

/// The thread that talks to the kernel.
struct Worker {
    programmer: Programmer<Kernel>,
    inbox: Receiver<Event>,
    monitors: UnboundedSender<Monitor>,
    report: watch::Sender<Programmed>,
    table: String,
}

const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(10);

impl Worker {
    fn run(mut self) {
        let mut retry: Option<Duration> = None;
        while self.wait(retry) {
            retry = match self.programmer.round() {
                Ok(round) => {
                    self.done(&round);
                    self.programmer.is_stale().then_some(FIRST_RETRY)
                }
                Err(error) => {
                    let delay = retry.map_or(FIRST_RETRY, |delay| (delay * 2).min(LAST_RETRY));
                    tracing::error!(%error, ?delay, "services could not be programmed; trying again");
                    Some(delay)
                }
            };
        }
    }

    /// Takes in everything that waits, after waiting for the first; whether to go on.
    fn wait(&mut self, retry: Option<Duration>) -> bool {
        let first = match retry {
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(delay) => self.inbox.recv_timeout(delay),
        };
        match first {
            Ok(event) => self.programmer.take(event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while let Ok(event) = self.inbox.try_recv() {
            self.programmer.take(event);
        }
        true
    }

    fn done(&mut self, round: &Round) {
        let (services, elements) = (self.programmer.planner().services(), self.programmer.planner().elements());
        // First: whoever hears of the rebuild may count on its being watched over.
        if round.rebuilt {
            self.watch();
        }
        if let Some(took) = round.took {
            self.report.send_modify(|report| {
                let transactions = report.transactions + 1;
                let rebuilds = report.rebuilds + u64::from(round.rebuilt);
                *report = Programmed { transactions, rebuilds, services, elements, took };
            });
            tracing::debug!(services, elements, ?took, rebuilt = round.rebuilt, "services programmed");
        }
        free(&round.answering);
    }

    /// Listens only after a rebuild: to tell a listener of each element costs more than to add it.
    fn watch(&mut self) {
        let port = self.programmer.target().port();
        match Monitor::open(&self.table, port, AFFINITY) {
            // The other side is gone only when we are to stop.
            Ok(monitor) => drop(self.monitors.send(monitor)),
            Err(error) => tracing::warn!(%error, "changes of service rules by others will not be noticed"),
        }
        if !self.programmer.target().exists().unwrap_or(true) {
            self.programmer.take(Event::Foreign);
        }
    }
}

fn free(answering: &Answering) {
    match sweep::sweep(answering) {
        Ok(0) => {}
        Ok(count) => tracing::debug!(count, "UDP clients were freed from endpoints that are gone"),
        Err(error) => {
            let frontends: BTreeSet<String> = answering.keys().map(|f| format!("{}:{}", f.ip, f.port)).collect();
            tracing::warn!(%error, ?frontends, "UDP clients may be stuck with endpoints that are gone");
        }
    }
}
