//! What is known about each container of a pod.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, ResourceRequirements};

use crate::pod::{self, backoff::Backoff, ephemeral};

/// Why a container does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) reason: &'static str,
    pub(crate) message: Option<String>,
}

impl Waiting {
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { reason, message: None }
    }

    pub(crate) fn because(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: Some(message.into()) }
    }
}

/// How one attempt of a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) attempt: u32,
    pub(crate) code: i32,
    pub(crate) reason: String,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
}

/// The newest attempt of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Running { attempt: u32, started_at: Timestamp },
    Ended(Ended),
}

impl Run {
    pub(crate) fn attempt(&self) -> u32 {
        match self {
            Self::Running { attempt, .. } => *attempt,
            Self::Ended(ended) => ended.attempt,
        }
    }
}

/// A pull that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PullFailure {
    pub(crate) at: Timestamp,
    /// `ErrImagePull` or another reason that a pull fails for.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It prepares the pod for the others.
    Init,
    /// The pod is there for it.
    App,
    /// It was put in later, to look at the others: it runs once, and nothing depends on it.
    Ephemeral,
}

/// One container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Track {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The newest attempt; none before the first.
    pub(crate) run: Option<Run>,
    /// The attempt before it.
    pub(crate) previous: Option<Ended>,
    /// Why it does not run, where there is more to say than how it ended.
    pub(crate) waiting: Option<Waiting>,
    /// Not to be tried before that time, unless something changes.
    pub(crate) hold: Option<Timestamp>,
    pub(crate) pull: Option<PullFailure>,
    pub(crate) restarts: Backoff,
    pub(crate) pulls: Backoff,
    /// The image as the container runs it: its name and its id.
    pub(crate) image: Option<(String, String)>,
    /// The resources that it has.
    pub(crate) resources: Option<ResourceRequirements>,
    pub(crate) ready: bool,
    pub(crate) started: bool,
    /// It is being started just now.
    pub(crate) launching: bool,
    /// What is known is about a sandbox that is no more: in a new one, init containers run again.
    pub(crate) stale: bool,
}

impl Track {
    pub(crate) fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            run: None,
            previous: None,
            waiting: None,
            hold: None,
            pull: None,
            restarts: Backoff::default(),
            pulls: Backoff::default(),
            image: None,
            resources: None,
            ready: false,
            started: false,
            launching: false,
            stale: false,
        }
    }

    pub(crate) fn is(&self, role: Role) -> bool {
        self.role == role
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.run, Some(Run::Running { .. }))
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        match &self.run {
            Some(Run::Ended(ended)) => Some(ended),
            _ => None,
        }
    }

    /// The number of the next attempt.
    pub(crate) fn next_attempt(&self) -> u32 {
        self.run.as_ref().map_or(0, |run| run.attempt() + 1)
    }

    /// Notes that a new attempt runs.
    pub(crate) fn begin(&mut self, attempt: u32, started_at: Timestamp) {
        if let Some(Run::Ended(ended)) = self.run.take() {
            self.previous = Some(ended);
        }
        self.run = Some(Run::Running { attempt, started_at });
        self.waiting = None;
        self.hold = None;
        self.pull = None;
        self.stale = false;
    }

    /// Notes how an attempt ended. That it began may never have been heard: a short one is over before.
    pub(crate) fn end(&mut self, ended: Ended) {
        self.stale = false;
        if let Some(Run::Ended(before)) = self.run.take()
            && before.attempt != ended.attempt
        {
            self.previous = Some(before);
        }
        self.run = Some(Run::Ended(ended));
        self.ready = false;
        self.started = false;
    }
}

/// The containers of a pod: init containers first, ephemeral ones last, each list in the order of the spec.
pub(crate) fn tracks(pod: &Pod) -> Vec<Track> {
    let init = pod::init_containers(pod).iter().map(|container| Track::new(&container.name, Role::Init));
    let app = pod::spec(pod).containers.iter().map(|container| Track::new(&container.name, Role::App));
    let ephemeral = ephemeral::all(pod).iter().map(|container| Track::new(&container.name, Role::Ephemeral));
    init.chain(app).chain(ephemeral).collect()
}

/// What the pod's status in the API still knows of containers that an earlier server ran.
pub(crate) fn remembered(pod: &Pod) -> BTreeMap<&str, &ContainerStatus> {
    let Some(status) = &pod.status else { return BTreeMap::new() };
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().map(|status| (status.name.as_str(), status)).collect()
}

/// Fills in what only the API remembers: earlier attempts, readiness, images.
pub(crate) fn recall(tracks: &mut [Track], pod: &Pod) {
    let remembered = remembered(pod);
    for track in tracks {
        let Some(status) = remembered.get(track.name.as_str()) else { continue };
        let same = track.run.as_ref().is_some_and(|run| i64::from(run.attempt()) == i64::from(status.restart_count));
        if track.is_running() && same {
            track.ready = status.ready;
            track.started = status.started == Some(true);
            track.resources = status.resources.clone();
        }
        if track.image.is_none() && !status.image_id.is_empty() {
            track.image = Some((status.image.clone(), status.image_id.clone()));
        }
        let waits = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
        if track.run.is_none() {
            let state = if waits { &status.last_state } else { &status.state };
            let runs = status.state.as_ref().and_then(|state| state.running.as_ref());
            let lost = runs.map(|runs| lost(attempt_of(status.restart_count), runs.started_at.as_ref().map(|t| t.0)));
            track.run = ended(state, status.restart_count).or(lost).map(Run::Ended);
        }
        if track.previous.is_none() && !waits {
            track.previous = ended(&status.last_state, status.restart_count.saturating_sub(1));
        }
    }
}

fn attempt_of(restarts: i32) -> u32 {
    u32::try_from(restarts).unwrap_or_default()
}

fn ended(state: &Option<ContainerState>, restarts: i32) -> Option<Ended> {
    let terminated = state.as_ref()?.terminated.clone()?;
    Some(Ended {
        attempt: attempt_of(restarts),
        code: terminated.exit_code,
        reason: terminated.reason.unwrap_or_default(),
        message: terminated.message,
        started_at: terminated.started_at.map(|time| time.0),
        finished_at: terminated.finished_at?.0,
    })
}

/// The end of a container whose supervisor is gone: nobody knows how it was.
pub(crate) fn lost(attempt: u32, started_at: Option<Timestamp>) -> Ended {
    Ended {
        attempt,
        code: 137,
        reason: "ContainerStatusUnknown".to_owned(),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        started_at,
        finished_at: Timestamp::now(),
    }
}
