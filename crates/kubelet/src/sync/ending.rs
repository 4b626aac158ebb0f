//! The end of a pod: its containers are ended, its status is written, its sandbox taken away; and
//! when it is deleted, its files and its object too.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Preconditions},
};
use tokio::time::Instant;

use super::{
    error::SetupError,
    setup,
    stop::Stop,
    worker::{Done, Step, Worker},
};
use crate::pod;

/// What a pod that was removed from the API by force has left to end.
const FORCED: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// How far the end has come. Each step has to be done before the next begins.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The API has been told, or need not be, that the pod is being deleted.
    deleted: bool,
    /// No container runs any more, and none will.
    still: bool,
    dismantle: Step,
    erase: Step,
    remove: Step,
}

impl Ending {
    /// No container runs any more, and none will.
    pub(super) fn is_still(&self) -> bool {
        self.still
    }
}

impl Worker {
    /// Whether the pod is to be deleted, or is.
    fn is_deleted(&self) -> bool {
        self.gone || self.pod.metadata.deletion_timestamp.is_some()
    }

    /// Whether the pod had ended before this server looked at it, so that its status stays as it is.
    pub(super) fn is_past(&self, written: bool) -> bool {
        pod::ended(&self.pod) && !written && self.tracks.iter().all(|track| !track.is_running())
    }

    /// Begins the end, if it has not begun.
    pub(super) fn end(&mut self) {
        if self.ending.is_none() {
            self.cancel.cancel();
            self.ending = Some(Ending::default());
        }
    }

    /// Brings the end closer.
    pub(super) fn act_ending(&mut self, now: Timestamp) {
        let deleted = self.is_deleted();
        if deleted && self.ending.as_ref().is_some_and(|ending| !ending.deleted) {
            self.shorten();
        }
        let launching = self.launching.is_some() || self.connected.busy;
        let running: Vec<String> =
            self.tracks.iter().filter(|track| track.is_running()).map(|track| track.name.clone()).collect();
        for name in &running {
            self.stop(name, format!("Stopping container {name}"), None);
        }
        if !running.is_empty() || launching {
            return;
        }
        let Some(ending) = &mut self.ending else { return };
        ending.deleted |= deleted;
        ending.still = true;
        self.probes.clear();
        self.take_away(now, deleted);
    }

    /// The grace period begins to run with the deletion, and a second deletion may cut it short.
    fn shorten(&mut self) {
        let seconds = pod::spec(&self.pod).termination_grace_period_seconds.unwrap_or(30);
        let seconds = self.pod.metadata.deletion_grace_period_seconds.unwrap_or(seconds);
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let due = match &self.pod.metadata.deletion_timestamp {
            // The deletion timestamp says when the grace period ends, without its fraction of a second.
            Some(time) => {
                let ends = time.0.saturating_add(SignedDuration::from_secs(1)).unwrap_or(time.0);
                let ahead: Duration = ends.duration_since(Timestamp::now()).try_into().unwrap_or_default();
                Instant::now() + ahead.min(grace)
            }
            None => Instant::now() + FORCED,
        };
        let due = if self.gone { due.min(Instant::now() + FORCED) } else { due };
        let first = self.stopping.is_empty();
        self.deadline.send_if_modified(|deadline| {
            let changes = first || due + Duration::from_secs(1) < *deadline;
            if changes {
                *deadline = due;
            }
            changes
        });
    }

    /// Ends a container, unless that is going on already. `grace`: other than the pod's.
    pub(super) fn stop(&mut self, name: &str, message: String, grace: Option<i64>) {
        let Some(sandbox) = self.sandbox.clone() else { return };
        if !self.stopping.insert(name.to_owned()) {
            return;
        }
        if !self.is_deleted() {
            let seconds = grace.or(pod::spec(&self.pod).termination_grace_period_seconds).unwrap_or(30);
            let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
            self.deadline.send_replace(Instant::now() + grace);
        }
        let stop = Stop {
            shared: Arc::clone(&self.shared),
            pod: Arc::clone(&self.pod),
            name: name.to_owned(),
            sandbox,
            address: self.addresses.first().cloned().unwrap_or_default(),
            signal: self.stop_signals.get(name).cloned(),
            deadline: self.deadline.subscribe(),
            message,
        };
        let container = name.to_owned();
        self.tasks.spawn(async move {
            stop.run().await;
            Done::Stopped { container }
        });
    }

    fn take_away(&mut self, now: Timestamp, deleted: bool) {
        let uid = pod::uid(&self.pod).to_owned();
        let Some(ending) = &mut self.ending else { return };
        match ending.dismantle.due(now) {
            Ok(true) => {
                ending.dismantle.begin();
                let sandbox = self.sandbox.take();
                self.drop_events();
                let work = setup::dismantle(Arc::clone(&self.shared), uid, sandbox);
                self.tasks.spawn(async move { Done::Dismantled(work.await) });
                return;
            }
            Ok(false) if !ending.dismantle.done => return,
            Ok(false) => {}
            Err(at) => return self.look_again(at),
        }
        if !deleted {
            return;
        }
        match ending.erase.due(now) {
            Ok(true) => {
                ending.erase.begin();
                self.changes = futures::StreamExt::boxed(futures::stream::pending());
                self.volumes = None;
                let work = setup::erase(Arc::clone(&self.shared), uid);
                self.tasks.spawn(async move { Done::Erased(work.await) });
                return;
            }
            Ok(false) if !ending.erase.done => return,
            Ok(false) => {}
            Err(at) => return self.look_again(at),
        }
        if !self.gone && ending.remove.due(now) == Ok(true) {
            ending.remove.begin();
            self.remove();
        }
    }

    /// Removes the pod's object, after its last status was written.
    fn remove(&mut self) {
        self.publish(Timestamp::now());
        let api: Api<Pod> = Api::namespaced(self.shared.client.clone(), pod::namespace(&self.pod));
        let name = pod::name(&self.pod).to_owned();
        let only = Preconditions { uid: self.pod.metadata.uid.clone(), resource_version: None };
        let params =
            DeleteParams { grace_period_seconds: Some(0), preconditions: Some(only), ..DeleteParams::default() };
        let flushed = self.writer.flushed();
        self.tasks.spawn(async move {
            flushed.await;
            let mut pause = FIRST_RETRY;
            loop {
                match api.delete(&name, &params).await {
                    Ok(_) => return Done::Deleted,
                    Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Done::Deleted,
                    Err(error) => tracing::debug!(pod = name, %error, "the pod will be removed from the API again"),
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_RETRY);
            }
        });
    }

    pub(super) fn dismantled(&mut self, result: Result<(), SetupError>, now: Timestamp) {
        let name = pod::full_name(&self.pod);
        if let Some(ending) = &mut self.ending {
            note(&mut ending.dismantle, result, &name, now);
        }
    }

    pub(super) fn erased(&mut self, result: Result<(), SetupError>, now: Timestamp) {
        let name = pod::full_name(&self.pod);
        if let Some(ending) = &mut self.ending {
            note(&mut ending.erase, result, &name, now);
        }
    }

    pub(super) fn deleted(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.remove.succeed();
        }
    }

    /// Whether nothing is left of the pod.
    pub(super) fn is_over(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.erase.done && (self.gone || ending.remove.done))
    }
}

fn note(step: &mut Step, result: Result<(), SetupError>, pod: &str, now: Timestamp) {
    match result {
        Ok(()) => step.succeed(),
        Err(error) => {
            step.fail(now);
            tracing::warn!(pod, %error, "what a pod left will be removed again");
        }
    }
}
