//! The status of a pod, as the Kubernetes API describes it.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
        ContainerStatus, HostIP, Pod, PodIP, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::conditions;
use crate::{
    pod::{self, RestartPolicy, resources::Qos},
    sync::{
        resize::Trouble,
        state::{Ended, Role, Run, Track, Waiting},
    },
};

/// What a status is computed from.
pub(crate) struct View<'v> {
    pub(crate) pod: &'v Pod,
    pub(crate) tracks: &'v [Track],
    pub(crate) host_ip: String,
    /// Empty before the network is there.
    pub(crate) pod_ips: &'v [String],
    pub(crate) start_time: Timestamp,
    /// The sandbox and its network are there.
    pub(crate) sandbox: bool,
    /// The pod is being, or has been, ended for good.
    pub(crate) terminal: bool,
    /// Why it was ended by the node, if it was: a reason and a message.
    pub(crate) verdict: Option<(&'static str, String)>,
    /// Why resources are not yet what they are to be.
    pub(crate) resize: Option<&'v Trouble>,
    /// The conditions written before; times of what has not changed are taken from there.
    pub(crate) before: Option<&'v PodStatus>,
}

/// The phase of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

/// Computes the status at `now`.
pub(crate) fn build(view: &View<'_>, now: Timestamp) -> PodStatus {
    let phase = phase(view);
    let statuses = |role: Role| {
        let list = view.tracks.iter().filter(|track| track.is(role)).map(|track| container_status(view, track));
        list.collect::<Vec<_>>()
    };
    let (init, app, ephemeral) = (statuses(Role::Init), statuses(Role::App), statuses(Role::Ephemeral));
    let conditions = conditions::build(view, phase, now);
    let (reason, message) =
        view.verdict.clone().map_or((None, None), |(reason, message)| (Some(reason.to_owned()), Some(message)));
    PodStatus {
        phase: Some(phase.as_str().to_owned()),
        conditions: Some(conditions),
        container_statuses: Some(app),
        init_container_statuses: (!init.is_empty()).then_some(init),
        ephemeral_container_statuses: (!ephemeral.is_empty()).then_some(ephemeral),
        host_ip: Some(view.host_ip.clone()),
        host_ips: Some(vec![HostIP { ip: view.host_ip.clone() }]),
        pod_ip: view.pod_ips.first().cloned(),
        pod_ips: (!view.pod_ips.is_empty()).then(|| view.pod_ips.iter().map(|ip| PodIP { ip: ip.clone() }).collect()),
        start_time: Some(Time(whole(view.start_time))),
        qos_class: Some(Qos::of(view.pod).as_str().to_owned()),
        observed_generation: view.pod.metadata.generation,
        reason,
        message,
        ..PodStatus::default()
    }
}

/// Kubernetes' times have no fractions of seconds.
pub(super) fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The phase, from the containers' states.
pub(crate) fn phase(view: &View<'_>) -> Phase {
    if view.verdict.is_some() {
        return Phase::Failed;
    }
    let policy = RestartPolicy::of(view.pod);
    let app = || view.tracks.iter().filter(|track| track.is(Role::App));
    let begun = app().any(|track| track.run.is_some());
    if !begun {
        for track in view.tracks.iter().filter(|track| track.is(Role::Init)) {
            match track.ended() {
                Some(ended) if ended.code == 0 => {}
                Some(_) if policy == RestartPolicy::Never => return Phase::Failed,
                _ if view.terminal => return Phase::Failed,
                _ => return Phase::Pending,
            }
        }
    }
    let waiting = app().filter(|track| track.run.is_none()).count();
    let running = app().filter(|track| track.is_running()).count();
    let ended = || app().filter_map(Track::ended);
    let all_well = ended().all(|ended| ended.code == 0);
    if running > 0 {
        return if waiting > 0 { Phase::Pending } else { Phase::Running };
    }
    if view.terminal {
        return if waiting == 0 && all_well { Phase::Succeeded } else { Phase::Failed };
    }
    if waiting > 0 {
        return Phase::Pending;
    }
    match policy {
        RestartPolicy::Always => Phase::Running,
        _ if all_well => Phase::Succeeded,
        RestartPolicy::OnFailure => Phase::Running,
        RestartPolicy::Never => Phase::Failed,
    }
}

fn container_status(view: &View<'_>, track: &Track) -> ContainerStatus {
    let container = pod::container(view.pod, &track.name);
    let container = container.as_deref();
    let asked = container.and_then(|container| container.image.clone()).unwrap_or_default();
    let (image, image_id) = track.image.clone().unwrap_or((asked, String::new()));
    let (state, last) = states(view, track);
    let asked_for = || container.and_then(|container| container.resources.clone());
    let held = track.resources.clone().filter(|_| track.is_running()).or_else(asked_for);
    let finished_well = track.ended().is_some_and(|ended| ended.code == 0);
    ContainerStatus {
        name: track.name.clone(),
        image,
        image_id,
        container_id: track.run.as_ref().map(|run| container_id(view.pod, track, run.attempt())),
        ready: match track.role {
            Role::Init => finished_well,
            Role::App => track.ready && track.is_running(),
            Role::Ephemeral => false,
        },
        started: (!track.is(Role::Ephemeral)).then_some(track.started && track.is_running()),
        restart_count: track.run.as_ref().map_or(0, |run| i32::try_from(run.attempt()).unwrap_or(i32::MAX)),
        state: Some(state),
        last_state: last,
        allocated_resources: held.as_ref().and_then(|held| held.requests.clone()),
        resources: held,
        volume_mounts: container.and_then(mounts),
        ..ContainerStatus::default()
    }
}

fn mounts(container: &Container) -> Option<Vec<k8s_openapi::api::core::v1::VolumeMountStatus>> {
    use k8s_openapi::api::core::v1::VolumeMountStatus;
    let mounts = container.volume_mounts.as_ref()?;
    let status = |mount: &k8s_openapi::api::core::v1::VolumeMount| VolumeMountStatus {
        mount_path: mount.mount_path.clone(),
        name: mount.name.clone(),
        read_only: mount.read_only.filter(|read_only| *read_only),
        recursive_read_only: mount.read_only.filter(|read_only| *read_only).map(|_| "Disabled".to_owned()),
        ..VolumeMountStatus::default()
    };
    Some(mounts.iter().map(status).collect())
}

/// The state shown now, and the one before it.
fn states(view: &View<'_>, track: &Track) -> (ContainerState, Option<ContainerState>) {
    let terminated = |ended: &Ended| terminated(view.pod, track, ended);
    let previous = track.previous.as_ref().map(terminated);
    match (&track.run, &track.waiting) {
        (Some(Run::Running { started_at, .. }), _) => {
            let running = ContainerStateRunning { started_at: Some(Time(whole(*started_at))) };
            (ContainerState { running: Some(running), ..ContainerState::default() }, previous)
        }
        (Some(Run::Ended(ended)), Some(reason)) if !view.terminal => (waiting(reason), Some(terminated(ended))),
        (Some(Run::Ended(ended)), _) => (terminated(ended), previous),
        (None, Some(reason)) => (waiting(reason), previous),
        (None, None) => (waiting(&default_waiting(view.pod)), previous),
    }
}

/// What a container waits for that has not been tried yet.
fn default_waiting(pod: &Pod) -> Waiting {
    Waiting::new(if pod::init_containers(pod).is_empty() { "ContainerCreating" } else { "PodInitializing" })
}

fn waiting(waiting: &Waiting) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(waiting.reason.to_owned()), message: waiting.message.clone() };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn terminated(pod: &Pod, track: &Track, ended: &Ended) -> ContainerState {
    let terminated = ContainerStateTerminated {
        container_id: Some(container_id(pod, track, ended.attempt)),
        exit_code: ended.code,
        // No container runtime of Kubernetes's reports it: the exit code, 128 more than the signal, says it.
        signal: None,
        reason: Some(ended.reason.clone()),
        message: ended.message.clone(),
        started_at: Some(Time(whole(ended.started_at.unwrap_or(Timestamp::UNIX_EPOCH)))),
        finished_at: Some(Time(whole(ended.finished_at))),
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// A container's id: unique over all pods and attempts, and made from what people know it by.
fn container_id(pod: &Pod, track: &Track, attempt: u32) -> String {
    format!("skiff://{}/{}/{attempt}", pod::uid(pod), track.name)
}
