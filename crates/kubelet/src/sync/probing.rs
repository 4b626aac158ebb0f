//! The probes of a pod's containers: begun with them, and heeded.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;

use super::{
    state::Run,
    worker::{Mail, Worker},
};
use crate::{
    pod,
    probes::{
        Purpose,
        run::{Report, Target, probe, run},
    },
};

impl Worker {
    /// Begins the probes of a container that runs: the startup probe, or all others.
    pub(super) fn probe(&mut self, name: &str) {
        let pod = Arc::clone(&self.pod);
        let (Some(container), Some(sandbox)) = (pod::container(&pod, name), self.sandbox.clone()) else { return };
        let container = &*container;
        let address = self.addresses.first().cloned().unwrap_or_default();
        let post = self.post.clone();
        let Some(track) = self.track(name) else { return };
        let Some(Run::Running { attempt, started_at }) = track.run.clone() else { return };
        if probe(container, Purpose::Startup).is_none() {
            track.started = true;
        }
        let purposes: &[Purpose] =
            if track.started { &[Purpose::Liveness, Purpose::Readiness] } else { &[Purpose::Startup] };
        if track.started && probe(container, Purpose::Readiness).is_none() {
            track.ready = true;
        }
        let age = Timestamp::now().duration_since(started_at).try_into().unwrap_or_default();
        let known_ready = track.ready;
        let target = Target { sandbox, container: container.clone(), address };
        let begin = |purpose: &Purpose| {
            probe(container, *purpose)?;
            let before = match purpose {
                Purpose::Readiness => Some(known_ready),
                Purpose::Liveness => Some(true),
                Purpose::Startup => None,
            };
            let (post, name) = (post.clone(), name.to_owned());
            let report = move |report| {
                // The worker ends before its probes do.
                let _ = post.send(Mail::Probe { container: name.clone(), attempt, report });
                std::future::ready(())
            };
            Some(AbortOnDropHandle::new(tokio::spawn(run(target.clone(), *purpose, age, before, report))))
        };
        let running: Vec<_> = purposes.iter().filter_map(begin).collect();
        self.probes.insert(name.to_owned(), running);
    }

    /// Takes note of what a probe found.
    pub(super) fn probed(&mut self, name: &str, attempt: u32, report: Report) {
        let Report { purpose, verdict, failure } = report;
        let Some(track) = self.track(name) else { return };
        if !matches!(track.run, Some(Run::Running { attempt: own, .. }) if own == attempt) {
            return;
        }
        match (purpose, verdict) {
            (Purpose::Readiness, Some(ready)) => track.ready = ready,
            (Purpose::Startup, Some(true)) => track.started = true,
            _ => {}
        }
        if let Some(failure) = failure {
            let message = format!("{purpose} probe failed: {failure}");
            self.shared.container_warning(&self.pod, name, "Unhealthy", message);
        }
        match (purpose, verdict) {
            (Purpose::Startup, Some(true)) => self.probe(name),
            (Purpose::Startup | Purpose::Liveness, Some(false)) => {
                let kind = purpose.to_string().to_lowercase();
                let own = pod::container(&self.pod, name);
                let own = own.as_deref().and_then(|container| probe(container, purpose));
                let grace = own.and_then(|probe| probe.termination_grace_period_seconds);
                self.stop(name, format!("Container {name} failed {kind} probe, will be restarted"), grace);
            }
            _ => {}
        }
    }
}
