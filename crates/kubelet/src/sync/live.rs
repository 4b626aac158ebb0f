//! A pod that is to run: its sandbox, its volumes, its containers and their probes.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use skiff_runtime::{ContainerStatus, State};

use super::{
    error::{LaunchError, SetupError},
    files,
    launch::{IMAGE, IMAGE_ID, Launch, Launched, STOP_SIGNAL},
    plan::{Plan, plan},
    setup::{self, Ready},
    state::{self, Ended, PullFailure, Role, Run, Track, Waiting},
    worker::{Done, Step, Worker},
};
use crate::{
    pod::{self, backoff::Backoff, env, ephemeral, fields::Addresses, refusal},
    volumes::set::{Failure, VolumeSet},
};

/// How long what cannot be configured is left alone, unless something changes.
const HOLD: SignedDuration = SignedDuration::from_secs(10);

impl Worker {
    /// Looks once at what the pod asks for and says what it will not get.
    pub(super) fn admit(&mut self) {
        if pod::ended(&self.pod) || self.tracks.iter().any(|track| track.run.is_some()) {
            return;
        }
        for warning in refusal::warnings(&self.pod) {
            self.shared.warning(&self.pod, "NotEnforced", warning);
        }
    }

    /// Does what is next.
    pub(super) fn act(&mut self, now: Timestamp) {
        self.wake = None;
        let deleted = self.gone || self.pod.metadata.deletion_timestamp.is_some();
        if deleted || pod::ended(&self.pod) {
            self.end();
        }
        if self.ending.is_some() {
            return self.act_ending(now);
        }
        if self.is_refused() {
            return;
        }
        self.check_deadline(now);
        self.resize(now);
        let plan = plan(&self.pod, &self.tracks, now);
        if (plan.finished || self.verdict.is_some()) && self.launching.is_none() {
            self.end();
            return self.act_ending(now);
        }
        self.show_waiting(&plan);
        if let Some(wake) = plan.wake {
            self.look_again(wake);
        }
        if plan.start.is_some() || self.tracks.iter().any(|track| track.is_running()) {
            self.prepare(now);
        }
        if let Some(at) = plan.start {
            self.launch(at, now);
        }
    }

    /// A pod that asks for what is not there waits, and says for what.
    fn is_refused(&mut self) -> bool {
        let Some(first) = refusal::refusals(&self.pod).into_iter().next() else { return false };
        let waiting = Waiting::because("CreateContainerConfigError", first.to_string());
        if self.tracks.iter().any(|track| track.waiting.as_ref() != Some(&waiting)) {
            self.shared.warning(&self.pod, "Unsupported", first.to_string());
        }
        for track in &mut self.tracks {
            track.waiting = Some(waiting.clone());
        }
        true
    }

    fn check_deadline(&mut self, now: Timestamp) {
        let Some(seconds) = pod::spec(&self.pod).active_deadline_seconds else { return };
        let due = self.start_time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        if due > now {
            return self.look_again(due);
        }
        let message = "Pod was active on the node longer than the specified deadline";
        if self.verdict.is_none() {
            self.shared.normal(&self.pod, "DeadlineExceeded", message);
            self.verdict = Some(("DeadlineExceeded", message.to_owned()));
        }
    }

    /// Shows what containers wait for, and tells when that is new.
    fn show_waiting(&mut self, plan: &Plan) {
        for (at, waiting) in &plan.waiting {
            let track = &mut self.tracks[*at];
            if track.waiting.as_ref() == Some(waiting) {
                continue;
            }
            let (name, reason) = (track.name.clone(), waiting.reason);
            track.waiting = Some(waiting.clone());
            match reason {
                "CrashLoopBackOff" => {
                    let message =
                        format!("Back-off restarting failed container {name} in pod {}", pod::full_name(&self.pod));
                    self.shared.container_warning(&self.pod, &name, "BackOff", message);
                }
                "ImagePullBackOff" => {
                    let image = pod::container(&self.pod, &name).and_then(|container| container.image.clone());
                    let message = format!("Back-off pulling image {:?}", image.unwrap_or_default());
                    self.shared.container_normal(&self.pod, &name, "BackOff", message);
                    self.shared.container_warning(&self.pod, &name, "Failed", "Error: ImagePullBackOff");
                }
                _ => {}
            }
        }
    }

    /// Begins to make the sandbox and to fill the volumes, whichever is missing.
    fn prepare(&mut self, now: Timestamp) {
        match self.connected.due(now) {
            Ok(true) => {
                self.connected.begin();
                let (shared, pod) = (Arc::clone(&self.shared), Arc::clone(&self.pod));
                match self.sandbox.clone() {
                    None => self.tasks.spawn(async move { Done::Sandbox(setup::sandbox(shared, pod).await) }),
                    Some(sandbox) => self.tasks.spawn(async move {
                        let addresses = setup::connect(&shared, &pod, &sandbox).await;
                        Done::Sandbox(addresses.map(|addresses| (sandbox, addresses)))
                    }),
                };
            }
            Ok(false) => {}
            Err(at) => self.look_again(at),
        }
        if let Some(renew_at) = self.renew_at {
            if renew_at <= now {
                self.filled.again = true;
            } else {
                self.look_again(renew_at);
            }
        }
        match self.filled.due(now) {
            Ok(true) => self.fill(now),
            Ok(false) => {}
            Err(at) => self.look_again(at),
        }
    }

    fn fill(&mut self, now: Timestamp) {
        let volumes = match &self.volumes {
            Some(volumes) => Arc::clone(volumes),
            None => match VolumeSet::new(self.shared.for_volumes(), &self.pod) {
                Ok(volumes) => {
                    self.changes = volumes.changes();
                    let volumes = Arc::new(volumes);
                    self.volumes = Some(Arc::clone(&volumes));
                    volumes
                }
                Err(error) => {
                    let waiting = Waiting::because("CreateContainerConfigError", error.to_string());
                    self.tracks.iter_mut().for_each(|track| track.waiting = Some(waiting.clone()));
                    self.shared.warning(&self.pod, "FailedMount", error.to_string());
                    self.filled.fail(now);
                    return;
                }
            },
        };
        self.filled.begin();
        self.renew_at = None;
        let pod = Arc::clone(&self.pod);
        self.tasks.spawn(async move { Done::Volumes(volumes.settle(&pod).await) });
    }

    pub(super) fn made(&mut self, result: Result<Ready, SetupError>, now: Timestamp) {
        match result {
            Ok((sandbox, addresses)) => {
                self.connected.succeed();
                self.addresses = addresses;
                if self.sandbox.is_none() {
                    self.take(sandbox);
                }
            }
            Err(error) => {
                self.connected.fail(now);
                self.shared.warning(
                    &self.pod,
                    "FailedCreatePodSandBox",
                    format!("Failed to create pod sandbox: {error}"),
                );
            }
        }
    }

    pub(super) fn filled(&mut self, result: Result<Option<Timestamp>, Failure>, now: Timestamp) {
        match result {
            Ok(renew_at) => {
                self.filled.succeed();
                self.renew_at = renew_at;
            }
            Err(Failure { volume, error }) => {
                // What is missing often comes a moment later: the first failure is not worth an event.
                if self.filled.fail(now) > 1 {
                    let message = format!("MountVolume.SetUp failed for volume {volume:?} : {error}");
                    self.shared.warning(&self.pod, "FailedMount", message);
                }
            }
        }
    }

    /// Starts a container, if all it needs is there.
    fn launch(&mut self, at: usize, now: Timestamp) {
        if self.launching.is_some() || !self.connected.done || !self.filled.done {
            return;
        }
        // Whoever ends a container waits for its newest attempt: no newer one may begin meanwhile.
        if self.stopping.contains(&self.tracks[at].name) {
            return;
        }
        let (Some(sandbox), Some(volumes)) = (self.sandbox.clone(), self.volumes.clone()) else { return };
        let track = &mut self.tracks[at];
        if let Some(ended) = track.ended() {
            let failed = ended.finished_at;
            track.restarts.advance(failed, now);
        }
        if let Some(pull) = &track.pull {
            let failed = pull.at;
            track.pulls.advance(failed, now);
        }
        track.launching = true;
        track.resources = pod::container(&self.pod, &track.name).and_then(|container| container.resources.clone());
        let (name, attempt) = (track.name.clone(), track.next_attempt());
        self.launching = Some(name.clone());
        let launch = Launch {
            shared: Arc::clone(&self.shared),
            pod: Arc::clone(&self.pod),
            name: name.clone(),
            attempt,
            sandbox,
            addresses: self.all_addresses(),
            volumes,
            cancel: self.cancel.clone(),
        };
        self.tasks.spawn(async move { Done::Launched { container: name, attempt, result: launch.run().await } });
    }

    fn all_addresses(&self) -> Addresses {
        Addresses { pod: self.addresses.clone(), host: vec![self.shared.config.node_ip.to_string()] }
    }

    pub(super) fn launched(&mut self, name: &str, attempt: u32, result: Result<Launched, LaunchError>, now: Timestamp) {
        self.launching = None;
        let Some(track) = self.track(name) else { return };
        track.launching = false;
        match result {
            Ok(launched) => {
                track.image = Some(launched.image);
                track.pulls = Backoff::default();
                // A short one may have ended before we heard that it began.
                if track.run.as_ref().is_none_or(|run| run.attempt() < attempt) {
                    track.begin(attempt, launched.started_at);
                }
                if let Some(signal) = launched.stop_signal {
                    self.stop_signals.insert(name.to_owned(), signal);
                }
                self.awaited.clear();
                self.forget(name, attempt);
                match launched.hook {
                    Some(_) => self.stop(name, format!("Container {name} failed postStart hook"), None),
                    None => self.probe(name),
                }
            }
            Err(LaunchError::Start(message)) => {
                let ended = Ended {
                    attempt,
                    code: 128,
                    reason: "StartError".to_owned(),
                    message: Some(message),
                    started_at: None,
                    finished_at: now,
                };
                track.end(ended);
                self.forget(name, attempt);
            }
            Err(LaunchError::Cancelled) => {}
            Err(LaunchError::Image { reason: reason @ "ErrImagePull", message }) => {
                if track.pulls.pause().is_zero() {
                    track.pulls.advance(now, now);
                }
                track.waiting = Some(Waiting::because(reason, message.clone()));
                track.pull = Some(PullFailure { at: now, reason, message });
            }
            Err(error) => {
                track.waiting = Some(error.waiting());
                track.hold = now.saturating_add(HOLD).ok();
                if let LaunchError::Env(_) = error {
                    self.await_references(name);
                }
            }
        }
    }

    /// Has the worker wake when what the container's environment lacks may be there.
    fn await_references(&mut self, name: &str) {
        let pod = Arc::clone(&self.pod);
        let Some(container) = pod::container(&pod, name) else { return };
        for reference in env::references(&container) {
            if !self.awaited.contains_key(&reference) {
                let source = self.shared.sources.watch(pod::namespace(&pod), &reference);
                let changes = source.appearances();
                self.awaited.insert(reference, source);
                let others = std::mem::replace(&mut self.changes, stream::pending().boxed());
                self.changes = stream::select(others, changes).boxed();
            }
        }
    }

    /// Takes note of what the supervisor says about a container.
    pub(super) fn observe(&mut self, status: &ContainerStatus) {
        let launching = self.launching.as_deref() == Some(status.name.as_str());
        let (config, pod) = (Arc::clone(&self.shared.config), Arc::clone(&self.pod));
        let Some(track) = self.track(&status.name) else { return };
        let newest = track.run.as_ref().map(Run::attempt);
        if newest.is_some_and(|newest| newest > status.attempt) {
            if let (Some(exit), None) = (status.exit(), &track.previous) {
                track.previous = Some(ended(status.attempt, exit, None));
            }
            return;
        }
        if let Some(image) = status.annotations.get(IMAGE) {
            track.image = Some((image.clone(), status.annotations.get(IMAGE_ID).cloned().unwrap_or_default()));
        }
        match &status.state {
            // Its start is not over before its postStart hook is.
            State::Running { started_at, .. } if !launching && newest != Some(status.attempt) => {
                track.begin(status.attempt, *started_at);
            }
            State::Starting | State::Running { .. } => {}
            State::Exited(_) if newest == Some(status.attempt) && track.ended().is_some() => return,
            State::Exited(exit) => {
                let word = files::last_word(&config, &pod, &status.name, status.attempt, exit.code != 0);
                track.end(ended(status.attempt, exit, word));
                self.probes.remove(&status.name);
            }
        }
        if let Some(signal) = status.annotations.get(STOP_SIGNAL) {
            self.stop_signals.insert(status.name.clone(), signal.clone());
        }
    }

    /// The supervisor died, and every container with it.
    pub(super) fn lose(&mut self) {
        self.drop_events();
        self.probes.clear();
        for track in self.tracks.iter_mut() {
            if let Some(Run::Running { attempt, started_at }) = track.run.clone() {
                track.end(state::lost(attempt, Some(started_at)));
            }
            track.stale = track.run.is_some();
        }
        if self.ending.is_none() {
            self.shared.normal(&self.pod, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
            self.addresses.clear();
            self.connected = Step::default();
            self.connected.begin();
            let work = setup::dismantle(Arc::clone(&self.shared), pod::uid(&self.pod).to_owned(), self.sandbox.take());
            self.tasks.spawn(async move { Done::Cleared(work.await) });
        }
    }

    /// What was left of a lost sandbox is gone: a new one may be made.
    pub(super) fn cleared(&mut self, result: Result<(), SetupError>, now: Timestamp) {
        match result {
            Ok(()) => self.connected = Step::default(),
            Err(error) => {
                self.connected.fail(now);
                tracing::warn!(pod = pod::full_name(&self.pod), %error, "what a lost sandbox left could not be removed");
            }
        }
    }

    /// Lets go of attempts that nobody can ask for any more: all but this one and the one before.
    fn forget(&self, name: &str, attempt: u32) {
        let Some(old) = attempt.checked_sub(2) else { return };
        let (config, uid, name) = (Arc::clone(&self.shared.config), pod::uid(&self.pod).to_owned(), name.to_owned());
        let sandbox = self.sandbox.clone();
        tokio::spawn(async move {
            files::forget(&config, &uid, &name, old);
            if let Some(sandbox) = sandbox {
                // A sandbox that was made anew does not know it.
                let _ = sandbox.forget(&name, old).await;
            }
        });
    }

    /// Ephemeral containers come to pods that run.
    pub(super) fn take_in(&mut self, pod: &Pod) {
        for container in ephemeral::all(pod) {
            if self.track(&container.name).is_none() {
                self.tracks.push(Track::new(&container.name, Role::Ephemeral));
            }
        }
    }

    /// A container whose image was changed is started again, with the new one.
    pub(super) fn compare_images(&mut self, pod: &Pod) {
        let changed = |track: &&mut Track| {
            let image = |pod| pod::container(pod, &track.name).and_then(|container| container.image.clone());
            image(pod) != image(&self.pod)
        };
        let mut running = Vec::new();
        for track in self.tracks.iter_mut().filter(changed) {
            (track.pull, track.hold) = (None, None);
            (track.pulls, track.restarts) = (Backoff::default(), Backoff::default());
            if track.is_running() {
                running.push(track.name.clone());
            }
        }
        for name in running {
            self.stop(&name, format!("Container {name} definition changed, will be restarted"), None);
        }
    }
}

fn ended(attempt: u32, exit: &skiff_runtime::Exit, word: Option<String>) -> Ended {
    Ended {
        attempt,
        code: exit.code,
        reason: exit.reason.to_string(),
        message: word.or_else(|| exit.message.clone()),
        started_at: exit.started_at,
        finished_at: exit.finished_at,
    }
}
