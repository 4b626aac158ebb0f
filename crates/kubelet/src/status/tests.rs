//! Phases, states and conditions, by table.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::json;

use super::{
    View, build,
    build::{Phase, phase},
};
use crate::sync::state::{Ended, Track, Waiting, tracks};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn pod(policy: &str, init: &[&str], app: &[&str]) -> Pod {
    let list = |names: &[&str]| names.iter().map(|name| json!({"name": name, "image": "img"})).collect::<Vec<_>>();
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 3},
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(app)}}))
    .unwrap()
}

fn ended(code: i32) -> Ended {
    Ended {
        attempt: 0,
        code,
        reason: if code == 0 { "Completed" } else { "Error" }.to_owned(),
        message: None,
        started_at: Some(at(0)),
        finished_at: at(1),
    }
}

fn view<'v>(pod: &'v Pod, tracks: &'v [Track], terminal: bool) -> View<'v> {
    View {
        pod,
        tracks,
        host_ip: "192.0.2.1".to_owned(),
        pod_ips: &[],
        start_time: at(0),
        sandbox: true,
        terminal,
        verdict: None,
        resize: None,
        before: None,
    }
}

fn set(track: &mut Track, state: &str) {
    match state {
        "new" => {}
        "running" => {
            track.begin(0, at(0));
            track.ready = true;
        }
        "ok" => track.end(ended(0)),
        "bad" => track.end(ended(1)),
        "looping" => {
            track.end(ended(1));
            track.waiting = Some(Waiting::new("CrashLoopBackOff"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn phases_follow_the_containers() {
    use Phase::{Failed, Pending, Running, Succeeded};
    type Case = (&'static str, &'static [&'static str], &'static [&'static str], bool, Phase);
    let table: &[Case] = &[
        ("Always", &[], &["new"], false, Pending),
        ("Always", &[], &["running"], false, Running),
        ("Always", &[], &["running", "new"], false, Pending),
        ("Always", &[], &["running", "looping"], false, Running),
        ("Always", &[], &["ok"], false, Running),
        ("Always", &[], &["looping"], false, Running),
        ("OnFailure", &[], &["ok"], false, Succeeded),
        ("OnFailure", &[], &["bad"], false, Running),
        ("Never", &[], &["ok", "ok"], false, Succeeded),
        ("Never", &[], &["ok", "bad"], false, Failed),
        ("Never", &[], &["running", "bad"], false, Running),
        ("Always", &["running"], &["new"], false, Pending),
        ("Always", &["bad"], &["new"], false, Pending),
        ("Never", &["bad"], &["new"], false, Failed),
        ("Always", &["ok"], &["running"], false, Running),
        ("Always", &[], &["ok"], true, Succeeded),
        ("Always", &[], &["bad"], true, Failed),
        ("Always", &[], &["new"], true, Failed),
    ];
    for (policy, init, app, terminal, wanted) in table {
        let names = |list: &[&str], prefix: &str| (0..list.len()).map(|at| format!("{prefix}{at}")).collect::<Vec<_>>();
        let (init_names, app_names) = (names(init, "i"), names(app, "a"));
        let borrow = |list: &[String]| list.iter().map(String::as_str).map(str::to_owned).collect::<Vec<_>>();
        let (init_names, app_names) = (borrow(&init_names), borrow(&app_names));
        let init_refs: Vec<&str> = init_names.iter().map(String::as_str).collect();
        let app_refs: Vec<&str> = app_names.iter().map(String::as_str).collect();
        let pod = pod(policy, &init_refs, &app_refs);
        let mut tracks = tracks(&pod);
        for (track, state) in tracks.iter_mut().zip(init.iter().chain(*app)) {
            set(track, state);
        }
        assert_eq!(phase(&view(&pod, &tracks, *terminal)), *wanted, "{policy} {init:?} {app:?} {terminal}");
    }
}

fn condition(status: &PodStatus, type_: &str) -> (String, Option<String>, Option<String>) {
    let found = status.conditions.as_ref().unwrap().iter().find(|condition| condition.type_ == type_).unwrap();
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

#[test]
fn conditions_say_what_is_missing() {
    let pod = pod("Always", &["i"], &["a", "b"]);
    let mut tracks = tracks(&pod);
    let status = build(&view(&pod, &tracks, false), at(0));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        condition(&status, "Initialized"),
        ("False".to_owned(), text("ContainersNotInitialized"), text("containers with incomplete status: [i]"))
    );
    let unready = ("False".to_owned(), text("ContainersNotReady"), text("containers with unready status: [a b]"));
    assert_eq!(condition(&status, "Ready"), unready);
    assert_eq!(condition(&status, "ContainersReady"), unready);
    let state = status.container_statuses.as_ref().unwrap()[0].state.clone().unwrap();
    assert_eq!(state.waiting.unwrap().reason.as_deref(), Some("PodInitializing"));

    set(&mut tracks[0], "ok");
    set(&mut tracks[1], "running");
    set(&mut tracks[2], "running");
    let status = build(&view(&pod, &tracks, false), at(9));
    for type_ in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] {
        assert_eq!(condition(&status, type_), ("True".to_owned(), None, None), "{type_}");
    }
    assert_eq!(status.observed_generation, Some(3));
    let later = build(&View { before: Some(&status), ..view(&pod, &tracks, false) }, at(60));
    assert_eq!(later, status, "nothing changed, so no time does");
}

#[test]
fn a_crash_loop_shows_its_last_end() {
    let pod = pod("Always", &[], &["a"]);
    let mut tracks = tracks(&pod);
    set(&mut tracks[0], "looping");
    let status = build(&view(&pod, &tracks, false), at(2));
    let container = &status.container_statuses.unwrap()[0];
    assert_eq!(container.state.clone().unwrap().waiting.unwrap().reason.as_deref(), Some("CrashLoopBackOff"));
    let last = container.last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (1, Some("Error")));
    assert_eq!(last.container_id.as_deref(), Some("skiff://u/a/0"));
    assert!(!container.ready);
}

#[test]
fn a_completed_pod_is_not_ready() {
    let pod = pod("Never", &[], &["a"]);
    let mut tracks = tracks(&pod);
    set(&mut tracks[0], "ok");
    let status = build(&view(&pod, &tracks, true), at(2));
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    assert_eq!(condition(&status, "Ready"), ("False".to_owned(), Some("PodCompleted".to_owned()), None));
    assert_eq!(condition(&status, "Initialized"), ("True".to_owned(), Some("PodCompleted".to_owned()), None));
}

#[test]
fn readiness_gates_hold_a_pod_back() {
    let mut pod = pod("Always", &[], &["a"]);
    pod.spec.as_mut().unwrap().readiness_gates =
        Some(vec![k8s_openapi::api::core::v1::PodReadinessGate { condition_type: "x/y".to_owned() }]);
    let mut tracks = tracks(&pod);
    set(&mut tracks[0], "running");
    let status = build(&view(&pod, &tracks, false), at(0));
    let (ready, reason, message) = condition(&status, "Ready");
    assert_eq!((ready.as_str(), reason.as_deref()), ("False", Some("ReadinessGatesNotReady")));
    assert_eq!(message.as_deref(), Some("corresponding condition of pod readiness gate \"x/y\" does not exist."));
    assert_eq!(condition(&status, "ContainersReady").0, "True");
}
