//! What to do next about a pod's containers: a pure function of what is known and of the time.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::state::{Ended, Role, Track, Waiting};
use crate::pod::{self, RestartPolicy, backoff::go_seconds, ephemeral};

/// How long a failed pull is shown as such before it is shown as backing off.
const SHOW_PULL_ERROR: SignedDuration = SignedDuration::from_secs(1);

/// What to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The container to start now, by its place in the list of tracks.
    pub(crate) start: Option<usize>,
    /// When to look again even if nothing happens.
    pub(crate) wake: Option<Timestamp>,
    /// What containers that are not started wait for.
    pub(crate) waiting: Vec<(usize, Waiting)>,
    /// All is over, and nothing is to be started again.
    pub(crate) finished: bool,
}

/// Decides.
pub(crate) fn plan(pod: &Pod, tracks: &[Track], now: Timestamp) -> Plan {
    let mut plan = own(pod, tracks, now);
    if !plan.finished {
        look_in(pod, &mut plan, tracks, now);
    }
    plan
}

/// Ephemeral containers are started where the others leave room, once each.
fn look_in(pod: &Pod, plan: &mut Plan, tracks: &[Track], now: Timestamp) {
    let fresh = |track: &Track| track.is(Role::Ephemeral) && track.run.is_none();
    for (at, track) in tracks.iter().enumerate().filter(|(_, track)| fresh(track)) {
        let target = ephemeral::target(pod, &track.name);
        match target.filter(|target| !tracks.iter().any(|track| track.name == *target && track.is_running())) {
            Some(target) => {
                let message = format!("unable to find target container {target}");
                plan.waiting.push((at, Waiting::because("CreateContainerConfigError", message)));
            }
            None => consider(pod, plan, tracks, at, None, now),
        }
    }
}

/// What is next for the containers that make the pod.
fn own(pod: &Pod, tracks: &[Track], now: Timestamp) -> Plan {
    let policy = RestartPolicy::of(pod);
    let mut plan = Plan::default();
    let init_policy = if policy == RestartPolicy::Never { RestartPolicy::Never } else { RestartPolicy::OnFailure };
    let open = |track: &Track| track.stale || track.ended().is_none_or(|ended| ended.code != 0);
    let first = tracks.iter().position(|track| track.is(Role::Init) && open(track));
    if let Some(at) = first
        && !tracks.iter().any(|track| track.is(Role::App) && track.run.is_some() && !track.stale)
    {
        match need(&tracks[at], init_policy) {
            Need::Nothing if tracks[at].stale && !tracks[at].is_running() => {
                consider(pod, &mut plan, tracks, at, None, now);
            }
            Need::Nothing if !tracks[at].is_running() => plan.finished = true,
            Need::Nothing => {}
            Need::Start(after) => consider(pod, &mut plan, tracks, at, after, now),
        }
        return plan;
    }
    for (at, track) in tracks.iter().enumerate().filter(|(_, track)| track.is(Role::App)) {
        match need(track, policy) {
            Need::Nothing => {}
            Need::Start(after) => consider(pod, &mut plan, tracks, at, after, now),
        }
    }
    let over = |track: &Track| track.ended().is_some_and(|ended| !policy.again(ended.code));
    plan.finished = tracks.iter().filter(|track| track.is(Role::App)).all(over);
    plan
}

enum Need<'t> {
    Nothing,
    Start(Option<&'t Ended>),
}

fn need(track: &Track, policy: RestartPolicy) -> Need<'_> {
    if track.is_running() {
        return Need::Nothing;
    }
    match track.ended() {
        None => Need::Start(None),
        Some(ended) if policy.again(ended.code) => Need::Start(Some(ended)),
        Some(_) => Need::Nothing,
    }
}

/// Starts the container at `at`, unless it has to wait or another goes first.
fn consider(pod: &Pod, plan: &mut Plan, tracks: &[Track], at: usize, after: Option<&Ended>, now: Timestamp) {
    let track = &tracks[at];
    if track.launching {
        return;
    }
    let mut wait = |until: Timestamp, waiting: Waiting| {
        plan.wake = Some(plan.wake.map_or(until, |wake| wake.min(until)));
        plan.waiting.push((at, waiting));
    };
    if let Some(until) = after.and_then(|ended| track.restarts.until(ended.finished_at, now)) {
        let message = format!(
            "back-off {} restarting failed container={} pod={}",
            go_seconds(track.restarts.pause()),
            track.name,
            pod::full_name(pod)
        );
        return wait(until, Waiting::because("CrashLoopBackOff", message));
    }
    if let Some(pull) = &track.pull {
        let shown_until = pull.at.saturating_add(SHOW_PULL_ERROR).unwrap_or(pull.at);
        if now < shown_until {
            return wait(shown_until, Waiting::because(pull.reason, pull.message.clone()));
        }
        if let Some(until) = track.pulls.until(pull.at, now) {
            let image = pod::container(pod, &track.name).and_then(|container| container.image.clone());
            let message =
                format!("Back-off pulling image {:?}: {}: {}", image.unwrap_or_default(), pull.reason, pull.message);
            return wait(until, Waiting::because("ImagePullBackOff", message));
        }
    }
    if let (Some(until), Some(waiting)) = (track.hold.filter(|until| *until > now), &track.waiting) {
        return wait(until, waiting.clone());
    }
    plan.start.get_or_insert(at);
}

#[cfg(test)]
mod tests;
