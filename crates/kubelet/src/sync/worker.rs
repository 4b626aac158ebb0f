//! One pod's worker: it waits for whatever may change its pod, and does what the plan says.
//!
//! ```text
//! API change, supervisor event, probe result, volume change, finished task, deadline
//!        └──▶ note it ──▶ plan (pure) ──▶ start tasks, write status ──▶ wait
//! ```
//!
//! Nothing in here blocks: all that takes time is a task whose end is one more event.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use skiff_runtime::{ContainerStatus, Event, Sandbox};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    ending::Ending,
    error::{LaunchError, SetupError},
    launch::Launched,
    resize::{Resized, Trouble},
    setup::Ready,
    shared::{Shared, Snapshot},
    state::{self, Track},
};
use crate::{
    pod,
    probes::run::Report,
    sources::{Reference, Source},
    status::{View, Writer, build},
    volumes::set::{Failure, VolumeSet},
};

/// What reaches a worker from outside.
#[derive(Debug)]
pub(crate) enum Mail {
    /// The pod as it is now.
    Pod(Arc<Pod>),
    /// The pod is no longer in the API.
    Gone,
    /// What a probe of an attempt of a container found.
    Probe { container: String, attempt: u32, report: Report },
}

/// The end of a task.
pub(super) enum Done {
    Sandbox(Result<Ready, SetupError>),
    Volumes(Result<Option<Timestamp>, Failure>),
    Launched {
        container: String,
        attempt: u32,
        result: Result<Launched, LaunchError>,
    },
    Stopped {
        container: String,
    },
    Statuses(Vec<ContainerStatus>),
    Dismantled(Result<(), SetupError>),
    /// What a lost sandbox left is gone.
    Cleared(Result<(), SetupError>),
    Erased(Result<(), SetupError>),
    Deleted,
    Resized(Resized),
}

/// Something that is made once, and again after a while if it could not be made.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) busy: bool,
    pub(super) done: bool,
    pub(super) again: bool,
    failures: u32,
    retry_at: Option<Timestamp>,
}

impl Step {
    /// Whether to begin now; else when to look again.
    pub(super) fn due(&self, now: Timestamp) -> Result<bool, Timestamp> {
        match self.retry_at {
            _ if self.busy || (self.done && !self.again) => Ok(false),
            Some(at) if at > now && !self.again => Err(at),
            _ => Ok(true),
        }
    }

    pub(super) fn begin(&mut self) {
        (self.busy, self.again) = (true, false);
    }

    pub(super) fn succeed(&mut self) {
        (self.busy, self.done, self.failures, self.retry_at) = (false, true, 0, None);
    }

    /// Notes a failure; returns how many there were in a row.
    pub(super) fn fail(&mut self, now: Timestamp) -> u32 {
        self.busy = false;
        self.failures += 1;
        let pause = SignedDuration::from_millis(500 << (self.failures - 1).min(8));
        self.retry_at = now.saturating_add(pause).ok();
        self.failures
    }
}

/// The worker of one pod.
pub(crate) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) pod: Arc<Pod>,
    pub(super) tracks: Vec<Track>,
    pub(super) start_time: Timestamp,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) addresses: Vec<String>,
    pub(super) volumes: Option<Arc<VolumeSet>>,
    pub(super) connected: Step,
    pub(super) filled: Step,
    pub(super) renew_at: Option<Timestamp>,
    /// The container that is being started.
    pub(super) launching: Option<String>,
    pub(super) cancel: CancellationToken,
    /// The containers that are being ended.
    pub(super) stopping: HashSet<String>,
    pub(super) stop_signals: BTreeMap<String, String>,
    pub(super) deadline: watch::Sender<Instant>,
    pub(super) ending: Option<Ending>,
    pub(super) verdict: Option<(&'static str, String)>,
    pub(super) tasks: JoinSet<Done>,
    pub(super) probes: BTreeMap<String, Vec<AbortOnDropHandle<()>>>,
    pub(super) wake: Option<Timestamp>,
    /// Control groups are being changed just now.
    pub(super) resizing: bool,
    pub(super) resize_at: Option<Timestamp>,
    pub(super) trouble: Option<Trouble>,
    pub(super) gone: bool,
    pub(super) writer: Writer,
    pub(super) post: mpsc::UnboundedSender<Mail>,
    mail: mpsc::UnboundedReceiver<Mail>,
    events: Option<broadcast::Receiver<Event>>,
    pub(super) changes: BoxStream<'static, ()>,
    /// What environments refer to and lack, watched until it is there.
    pub(super) awaited: BTreeMap<Reference, Arc<Source>>,
    snapshot: watch::Sender<Arc<Snapshot>>,
}

/// The end of a worker that others see.
pub(crate) struct Handle {
    pub(crate) uid: String,
    pub(crate) post: mpsc::UnboundedSender<Mail>,
    pub(crate) task: AbortOnDropHandle<()>,
}

/// What an earlier server left of a pod.
#[derive(Default)]
pub(crate) struct Adopted {
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) statuses: Vec<ContainerStatus>,
    /// Listened to before `statuses` were asked for, so that no change is missed.
    pub(crate) events: Option<broadcast::Receiver<Event>>,
    pub(crate) addresses: Vec<String>,
}

/// Starts the worker of `pod`.
pub(crate) fn spawn(shared: Arc<Shared>, pod: Arc<Pod>, adopted: Option<Adopted>) -> Handle {
    let (post, mail) = mpsc::unbounded_channel();
    let uid = pod::uid(&pod).to_owned();
    let worker = Worker::new(shared, pod, adopted, post.clone(), mail);
    Handle { uid, post, task: AbortOnDropHandle::new(tokio::spawn(worker.run())) }
}

impl Worker {
    fn new(
        shared: Arc<Shared>,
        pod: Arc<Pod>,
        adopted: Option<Adopted>,
        post: mpsc::UnboundedSender<Mail>,
        mail: mpsc::UnboundedReceiver<Mail>,
    ) -> Self {
        let known = pod.status.as_ref().and_then(|status| status.start_time.as_ref().map(|time| time.0));
        let (snapshot, entry) = watch::channel(Arc::default());
        let writer = Writer::new(shared.client.clone(), &pod);
        let mut worker = Self {
            tracks: state::tracks(&pod),
            start_time: known.unwrap_or_else(Timestamp::now),
            sandbox: None,
            addresses: Vec::new(),
            volumes: None,
            connected: Step::default(),
            filled: Step::default(),
            renew_at: None,
            launching: None,
            cancel: CancellationToken::new(),
            stopping: HashSet::new(),
            stop_signals: BTreeMap::new(),
            deadline: watch::Sender::new(Instant::now()),
            ending: None,
            verdict: None,
            tasks: JoinSet::new(),
            probes: BTreeMap::new(),
            wake: None,
            resizing: false,
            resize_at: None,
            trouble: None,
            gone: false,
            writer,
            post,
            mail,
            events: None,
            changes: stream::pending().boxed(),
            awaited: BTreeMap::new(),
            snapshot,
            shared,
            pod,
        };
        worker.adopt(adopted.unwrap_or_default());
        worker.show();
        worker.shared.board.post(&worker.pod, entry);
        worker
    }

    /// Takes over what an earlier server left, and what the API remembers of it.
    fn adopt(&mut self, adopted: Adopted) {
        self.addresses = adopted.addresses;
        self.connected.done = adopted.sandbox.is_some() && !self.addresses.is_empty();
        self.events = adopted.events;
        self.sandbox = adopted.sandbox;
        for status in &adopted.statuses {
            self.observe(status);
        }
        state::recall(&mut self.tracks, &self.pod);
        if self.sandbox.is_none() {
            self.tracks.iter_mut().for_each(|track| track.stale = track.run.is_some());
        }
        let running = self.tracks.iter().filter(|track| track.is_running()).map(|track| track.name.clone());
        for name in running.collect::<Vec<_>>() {
            self.probe(&name);
        }
    }

    async fn run(mut self) {
        self.admit();
        loop {
            self.act(Timestamp::now());
            if self.is_over() {
                break;
            }
            self.publish(Timestamp::now());
            self.wait().await;
        }
        self.shared.board.take_off(&self.pod);
    }

    /// Waits for the next event and notes it, with all others that are there already.
    async fn wait(&mut self) {
        tokio::select! {
            mail = self.mail.recv() => if let Some(mail) = mail { self.receive(mail) },
            Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => self.finish(done),
            event = next_event(&mut self.events) => self.hear(event),
            Some(()) = self.changes.next() => self.refill(),
            () = sleep_until(self.wake) => {}
        }
        while let Ok(mail) = self.mail.try_recv() {
            self.receive(mail);
        }
        while let Some(done) = self.tasks.try_join_next() {
            self.finish(done);
        }
    }

    /// Something that volumes or environments show has changed.
    pub(super) fn refill(&mut self) {
        self.filled.again = true;
        for track in &mut self.tracks {
            track.hold = None;
        }
    }

    fn receive(&mut self, mail: Mail) {
        match mail {
            Mail::Pod(pod) => {
                let meta = |pod: &Pod| (pod.metadata.labels.clone(), pod.metadata.annotations.clone());
                let shown = self.volumes.as_ref().is_some_and(|volumes| volumes.shows_the_pod());
                self.filled.again |= shown && meta(&pod) != meta(&self.pod);
                self.compare_images(&pod);
                self.take_in(&pod);
                self.pod = pod;
            }
            Mail::Gone => self.gone = true,
            Mail::Probe { container, attempt, report } => self.probed(&container, attempt, report),
        }
    }

    fn hear(&mut self, event: Result<Event, broadcast::error::RecvError>) {
        match event {
            Ok(Event::Changed(status)) => self.observe(&status),
            Ok(Event::Lost) | Err(broadcast::error::RecvError::Closed) => self.lose(),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                if let Some(sandbox) = self.sandbox.clone() {
                    self.tasks.spawn(async move { Done::Statuses(sandbox.statuses().await.unwrap_or_default()) });
                }
            }
        }
    }

    fn finish(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let now = Timestamp::now();
        match done {
            Ok(Done::Sandbox(result)) => self.made(result, now),
            Ok(Done::Volumes(result)) => self.filled(result, now),
            Ok(Done::Launched { container, attempt, result }) => self.launched(&container, attempt, result, now),
            Ok(Done::Stopped { container }) => {
                self.stopping.remove(&container);
            }
            Ok(Done::Statuses(statuses)) => statuses.iter().for_each(|status| self.observe(status)),
            Ok(Done::Dismantled(result)) => self.dismantled(result, now),
            Ok(Done::Cleared(result)) => self.cleared(result, now),
            Ok(Done::Erased(result)) => self.erased(result, now),
            Ok(Done::Deleted) => self.deleted(),
            Ok(Done::Resized(resized)) => self.resized(resized, now),
            Err(error) => tracing::error!(pod = pod::full_name(&self.pod), %error, "a task of a pod's worker failed"),
        }
    }

    /// From now on this is the pod's sandbox.
    pub(super) fn take(&mut self, sandbox: Sandbox) {
        self.events = Some(sandbox.events());
        self.sandbox = Some(sandbox);
    }

    pub(super) fn drop_events(&mut self) {
        self.events = None;
    }

    pub(super) fn track(&mut self, name: &str) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.name == name)
    }

    /// Has the worker look again at `at` at the latest.
    pub(super) fn look_again(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    /// Shows the containers to those who read logs or want streams.
    pub(super) fn show(&self) {
        self.snapshot.send_if_modified(|shown| {
            let pid = |sandbox: &Option<Sandbox>| sandbox.as_ref().map(Sandbox::pid);
            let changed = shown.tracks != self.tracks || pid(&shown.sandbox) != pid(&self.sandbox);
            if changed || shown.uid.is_empty() {
                let uid = pod::uid(&self.pod).to_owned();
                *shown = Arc::new(Snapshot { uid, tracks: self.tracks.clone(), sandbox: self.sandbox.clone() });
            }
            changed
        });
    }

    /// Has the status written, if it is ours to say.
    pub(super) fn publish(&self, now: Timestamp) {
        self.show();
        let before = self.writer.wanted();
        if self.gone || self.is_past(before.is_some()) {
            return;
        }
        let view = View {
            pod: &self.pod,
            tracks: &self.tracks,
            host_ip: self.shared.config.node_ip.to_string(),
            pod_ips: &self.addresses,
            start_time: self.start_time,
            sandbox: self.sandbox.is_some() && self.connected.done,
            terminal: self.ending.as_ref().is_some_and(Ending::is_still),
            verdict: self.verdict.clone(),
            resize: self.trouble.as_ref(),
            before: before.as_ref(),
        };
        self.writer.want(build(&view, now));
    }
}

async fn next_event(events: &mut Option<broadcast::Receiver<Event>>) -> Result<Event, broadcast::error::RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Timestamp>) {
    match at {
        Some(at) => {
            let ahead = at.duration_since(Timestamp::now()).try_into().unwrap_or_default();
            tokio::time::sleep(ahead).await;
        }
        None => std::future::pending().await,
    }
}
