//! Ends one container: preStop hook, stop signal, and when its time is over, SIGKILL.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{core::v1::Pod, discovery::v1::EndpointSlice};
use nix::sys::signal::Signal;
use skiff_client::Informer;
use skiff_runtime::Sandbox;
use tokio::{sync::watch, time::Instant};

use super::{hooks, shared::Shared};
use crate::pod;

/// What a container has at least to end by itself when a preStop hook has used up its time.
const LEAST: Duration = Duration::from_secs(2);

/// How long a container that is still led to by Services is let work on after its pod was deleted.
const DRAINING: Duration = Duration::from_secs(1);
/// What the service proxy may need to act on what the API says.
const LEAD: Duration = Duration::from_millis(20);

/// What ending a container needs.
pub(crate) struct Stop {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) name: String,
    pub(crate) sandbox: Sandbox,
    pub(crate) address: String,
    pub(crate) signal: Option<String>,
    /// When its time is over; may become earlier on the way.
    pub(crate) deadline: watch::Receiver<Instant>,
    /// What the event says.
    pub(crate) message: String,
}

impl Stop {
    /// Does it; returns when the container has ended.
    pub(crate) async fn run(mut self) {
        self.shared.container_normal(&self.pod, &self.name, "Killing", self.message.clone());
        let hooked = self.pre_stop().await;
        if self.may_linger() {
            self.leave_service().await;
        }
        let mut until = *self.deadline.borrow();
        if hooked && self.may_linger() {
            until = until.max(Instant::now() + LEAST);
        }
        let signal = number(self.signal.as_deref().unwrap_or("SIGTERM"));
        if until > Instant::now() && self.sandbox.kill(&self.name, signal).await.is_ok() && self.ended_by(until).await {
            return;
        }
        // It may have ended meanwhile.
        let _ = self.sandbox.kill(&self.name, Signal::SIGKILL as i32).await;
        let _ = self.sandbox.wait(&self.name).await;
    }

    /// A grace period of zero means at once; any other leaves time for an end of its own.
    fn may_linger(&self) -> bool {
        pod::spec(&self.pod).termination_grace_period_seconds != Some(0)
            && self.pod.metadata.deletion_grace_period_seconds != Some(0)
    }

    /// Waits until no Service leads to a deleted pod any more: it would still be sent connections, and refuse them.
    /// (Users of Kubernetes put a preStop hook that sleeps in its place.)
    async fn leave_service(&self) {
        let served = |slices: &Informer<EndpointSlice>| {
            let all = slices.list_in(self.pod.metadata.namespace.as_deref().unwrap_or_default());
            all.iter().flat_map(|slice| slice.endpoints.iter().flatten()).any(|endpoint| {
                let led_to = endpoint
                    .conditions
                    .as_ref()
                    .is_some_and(|conditions| conditions.ready == Some(true) && conditions.terminating != Some(true));
                led_to && endpoint.target_ref.as_ref().is_some_and(|pod| pod.uid == self.pod.metadata.uid)
            })
        };
        let slices = &self.shared.slices;
        if self.pod.metadata.deletion_timestamp.is_none() || !served(slices) {
            return;
        }
        let _ = tokio::time::timeout(DRAINING, slices.until(|slices| !served(slices))).await;
        tokio::time::sleep(LEAD).await;
    }

    /// Runs the hook, if there is one.
    async fn pre_stop(&mut self) -> bool {
        let pod = Arc::clone(&self.pod);
        let Some(container) = pod::container(&pod, &self.name) else { return false };
        let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let Some(hook) = hook else { return false };
        let mut deadline = self.deadline.clone();
        let hook = hooks::run(&self.sandbox, &container, &self.address, hook);
        let failure = tokio::select! {
            result = hook => result.err().map(|error| error.to_string()),
            () = passed(&mut deadline) => Some("the grace period is over".to_owned()),
            _ = self.sandbox.wait(&self.name) => None,
        };
        if let Some(failure) = failure {
            let message = format!("PreStopHook failed: {failure}");
            self.shared.container_warning(&self.pod, &self.name, "FailedPreStopHook", message);
        }
        true
    }

    /// Whether the container ends before `until`, or the deadline if that becomes earlier.
    async fn ended_by(&mut self, until: Instant) -> bool {
        let mut deadline = self.deadline.clone();
        let sooner = async {
            loop {
                if deadline.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                if *deadline.borrow() < until {
                    return passed(&mut deadline).await;
                }
            }
        };
        tokio::select! {
            _ = self.sandbox.wait(&self.name) => true,
            () = tokio::time::sleep_until(until) => false,
            () = sooner => false,
        }
    }
}

/// Waits until the deadline, wherever it moves.
async fn passed(deadline: &mut watch::Receiver<Instant>) {
    loop {
        let until = *deadline.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep_until(until) => return,
            changed = deadline.changed() => if changed.is_err() {
                return tokio::time::sleep_until(until).await;
            },
        }
    }
}

/// A signal's number from how an image or a pod writes it: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`.
pub(crate) fn number(text: &str) -> i32 {
    const RTMIN: i32 = 34;
    let upper = text.trim().to_uppercase();
    if let Ok(number) = upper.parse() {
        return number;
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return RTMIN + offset.trim_start_matches('+').parse::<i32>().unwrap_or(0);
    }
    format!("SIG{name}").parse::<Signal>().map_or(Signal::SIGTERM as i32, |signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_in_every_spelling() {
        for (text, wanted) in [
            ("SIGTERM", 15),
            ("TERM", 15),
            ("sigquit", 3),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("SIGRTMIN", 34),
            ("WHAT", 15),
        ] {
            assert_eq!(number(text), wanted, "{text}");
        }
    }
}
