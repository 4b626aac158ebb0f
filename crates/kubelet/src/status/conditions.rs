//! A pod's conditions.

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::PodCondition, apimachinery::pkg::apis::meta::v1::Time};

use super::build::{Phase, View, whole};
use crate::{
    pod,
    sync::{resize::Trouble, state::Role},
};

/// Changed resources that the node does not give.
const PENDING: &str = "PodResizePending";
/// Changed resources that are on their way.
const IN_PROGRESS: &str = "PodResizeInProgress";
/// The conditions that there are only while there is trouble.
pub(super) const PASSING: [&str; 2] = [PENDING, IN_PROGRESS];

struct Verdict {
    ok: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Verdict {
    fn yes() -> Self {
        Self { ok: true, reason: None, message: None }
    }

    fn no(reason: &'static str, message: impl Into<Option<String>>) -> Self {
        Self { ok: false, reason: Some(reason), message: message.into() }
    }
}

/// All conditions that the kubelet owns, in Kubernetes' order.
pub(super) fn build(view: &View<'_>, phase: Phase, now: Timestamp) -> Vec<PodCondition> {
    let containers = containers_ready(view, phase);
    let ready = ready(view, phase, &containers);
    let sandbox = Verdict { ok: view.sandbox, reason: None, message: None };
    let list = [
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialized(view, phase)),
        ("Ready", ready),
        ("ContainersReady", containers),
        ("PodScheduled", Verdict::yes()),
    ];
    let resize = view.resize.map(|trouble| match trouble {
        Trouble::Infeasible(message) => (PENDING, "Infeasible", message),
        Trouble::Failed(message) => (IN_PROGRESS, "Error", message),
    });
    let resize = resize.map(|(type_, reason, message)| {
        (type_, Verdict { ok: true, reason: Some(reason), message: Some(message.clone()) })
    });
    list.into_iter().chain(resize).map(|(type_, verdict)| condition(view, type_, verdict, now)).collect()
}

fn condition(view: &View<'_>, type_: &str, verdict: Verdict, now: Timestamp) -> PodCondition {
    let status = if verdict.ok { "True" } else { "False" };
    let known = view.before.or(view.pod.status.as_ref()).and_then(|status| status.conditions.as_ref());
    let before = known.and_then(|list| list.iter().find(|had| had.type_ == type_ && had.status == status));
    let since = before.and_then(|had| had.last_transition_time.clone()).unwrap_or_else(|| Time(whole(now)));
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message,
        last_transition_time: Some(since),
        last_probe_time: None,
        observed_generation: view.pod.metadata.generation,
    }
}

fn initialized(view: &View<'_>, phase: Phase) -> Verdict {
    if phase == Phase::Succeeded {
        return Verdict { ok: true, reason: Some("PodCompleted"), message: None };
    }
    if view.tracks.iter().any(|track| track.is(Role::App) && track.run.is_some()) {
        return Verdict::yes();
    }
    let open =
        view.tracks.iter().filter(|track| track.is(Role::Init) && track.ended().is_none_or(|ended| ended.code != 0));
    let open: Vec<&str> = open.map(|track| track.name.as_str()).collect();
    if open.is_empty() {
        return Verdict::yes();
    }
    if phase == Phase::Failed {
        return Verdict::no("PodFailed", None);
    }
    Verdict::no("ContainersNotInitialized", format!("containers with incomplete status: [{}]", open.join(" ")))
}

fn containers_ready(view: &View<'_>, phase: Phase) -> Verdict {
    match phase {
        Phase::Succeeded => return Verdict::no("PodCompleted", None),
        Phase::Failed => return Verdict::no("PodFailed", None),
        Phase::Pending | Phase::Running => {}
    }
    let app = || view.tracks.iter().filter(|track| track.is(Role::App));
    let unready: Vec<&str> =
        app().filter(|track| !(track.ready && track.is_running())).map(|track| track.name.as_str()).collect();
    if unready.is_empty() {
        return Verdict::yes();
    }
    Verdict::no("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" ")))
}

fn ready(view: &View<'_>, phase: Phase, containers: &Verdict) -> Verdict {
    if !containers.ok {
        return Verdict { ok: false, reason: containers.reason, message: containers.message.clone() };
    }
    let held = view.pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let mut missing = Vec::new();
    for gate in pod::spec(view.pod).readiness_gates.iter().flatten() {
        match held.iter().find(|condition| condition.type_ == gate.condition_type) {
            None => missing.push(format!(
                "corresponding condition of pod readiness gate {:?} does not exist.",
                gate.condition_type
            )),
            Some(condition) if condition.status != "True" => missing.push(format!(
                "the status of pod readiness gate {:?} is not \"True\", but {}",
                gate.condition_type, condition.status
            )),
            Some(_) => {}
        }
    }
    debug_assert!(matches!(phase, Phase::Pending | Phase::Running));
    if missing.is_empty() { Verdict::yes() } else { Verdict::no("ReadinessGatesNotReady", missing.join(", ")) }
}
