//! Which container starts when.

use serde_json::json;

use super::*;
use crate::sync::state::{PullFailure, tracks};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn pod(policy: &str, init: &[&str], app: &[&str]) -> Pod {
    let list = |names: &[&str]| names.iter().map(|name| json!({"name": name, "image": "img"})).collect::<Vec<_>>();
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(app)}}))
    .unwrap()
}

fn ended(attempt: u32, code: i32, finished: i64) -> Ended {
    Ended {
        attempt,
        code,
        reason: "Error".to_owned(),
        message: None,
        started_at: Some(at(0)),
        finished_at: at(finished),
    }
}

#[test]
fn init_containers_run_one_after_the_other_and_before_all_others() {
    let pod = pod("Always", &["i", "j"], &["a", "b"]);
    let mut tracks = tracks(&pod);
    assert_eq!(plan(&pod, &tracks, at(0)).start, Some(0));
    tracks[0].begin(0, at(0));
    assert_eq!(plan(&pod, &tracks, at(0)), Plan::default());
    tracks[0].end(ended(0, 0, 1));
    assert_eq!(plan(&pod, &tracks, at(1)).start, Some(1));
    tracks[1].end(ended(0, 0, 2));
    assert_eq!(plan(&pod, &tracks, at(2)).start, Some(2));
    tracks[2].begin(0, at(2));
    assert_eq!(plan(&pod, &tracks, at(2)).start, Some(3));
    tracks[3].begin(0, at(2));
    assert_eq!(plan(&pod, &tracks, at(2)), Plan::default());
}

#[test]
fn ephemeral_containers_run_once_and_are_nothing_to_the_pod() {
    let mut pod = pod("Never", &["i"], &["a"]);
    let list = json!([{"name": "e", "image": "img"}, {"name": "t", "image": "img", "targetContainerName": "a"}]);
    pod.spec.as_mut().unwrap().ephemeral_containers = serde_json::from_value(list).unwrap();
    let mut tracks = tracks(&pod);
    let wait = Waiting::because("CreateContainerConfigError", "unable to find target container a");
    tracks[0].begin(0, at(0));
    let got = plan(&pod, &tracks, at(0));
    assert_eq!((got.start, got.waiting), (Some(2), vec![(3, wait)]), "an init container that runs is no hindrance");
    tracks[2].begin(0, at(0));
    tracks[0].end(ended(0, 0, 1));
    assert_eq!(plan(&pod, &tracks, at(1)).start, Some(1), "the pod's own come first");
    tracks[1].begin(0, at(1));
    assert_eq!(plan(&pod, &tracks, at(1)).start, Some(3), "what it looks at runs");
    tracks[3].begin(0, at(1));
    tracks[3].end(ended(0, 1, 2));
    assert_eq!(plan(&pod, &tracks, at(1000)), Plan::default(), "it is not started again");
    tracks[1].end(ended(0, 0, 3));
    assert!(plan(&pod, &tracks, at(4)).finished, "although one still looks on");
    tracks[2].end(ended(0, 1, 4));
    tracks.iter_mut().for_each(|track| track.stale = true);
    assert!(plan(&pod, &tracks, at(5)).start.is_none_or(|at| at < 2), "not in a new sandbox either");
}

#[test]
fn a_failed_init_container_ends_a_pod_that_is_never_restarted() {
    for (policy, finished, start) in [("Never", true, None), ("OnFailure", false, Some(0)), ("Always", false, Some(0))]
    {
        let pod = pod(policy, &["i"], &["a"]);
        let mut tracks = tracks(&pod);
        tracks[0].end(ended(0, 1, 0));
        let got = plan(&pod, &tracks, at(0));
        assert_eq!((got.finished, got.start), (finished, start), "{policy}");
    }
}

#[test]
fn restart_policies_decide_what_runs_again() {
    let table = [
        ("Always", 0, Some(0), false),
        ("Always", 1, Some(0), false),
        ("OnFailure", 0, None, true),
        ("OnFailure", 1, Some(0), false),
        ("Never", 0, None, true),
        ("Never", 1, None, true),
    ];
    for (policy, code, start, finished) in table {
        let pod = pod(policy, &[], &["a"]);
        let mut tracks = tracks(&pod);
        tracks[0].end(ended(0, code, 0));
        let got = plan(&pod, &tracks, at(0));
        assert_eq!((got.start, got.finished), (start, finished), "{policy} {code}");
    }
}

#[test]
fn a_crash_loop_waits_and_says_so() {
    let pod = pod("Always", &[], &["a"]);
    let mut tracks = tracks(&pod);
    tracks[0].end(ended(0, 1, 0));
    tracks[0].restarts.advance(at(0), at(0));
    tracks[0].begin(1, at(0));
    tracks[0].end(ended(1, 1, 5));
    let got = plan(&pod, &tracks, at(6));
    assert_eq!(got.start, None);
    assert_eq!(got.wake, Some(at(15)));
    let message = "back-off 10s restarting failed container=a pod=p_n(u)";
    assert_eq!(got.waiting, [(0, Waiting::because("CrashLoopBackOff", message))]);
    assert_eq!(plan(&pod, &tracks, at(15)).start, Some(0));
}

#[test]
fn a_failed_pull_is_shown_and_then_backs_off() {
    let pod = pod("Always", &[], &["a", "b"]);
    let mut tracks = tracks(&pod);
    tracks[0].pulls.advance(at(0), at(0));
    tracks[0].pull = Some(PullFailure { at: at(0), reason: "ErrImagePull", message: "not found".to_owned() });
    let got = plan(&pod, &tracks, at(0));
    assert_eq!(got.waiting, [(0, Waiting::because("ErrImagePull", "not found"))]);
    assert_eq!((got.wake, got.start), (Some(at(1)), Some(1)), "the other container does not wait");
    let got = plan(&pod, &tracks, at(1));
    let message = "Back-off pulling image \"img\": ErrImagePull: not found";
    assert_eq!(got.waiting, [(0, Waiting::because("ImagePullBackOff", message))]);
    assert_eq!(got.wake, Some(at(10)));
    assert_eq!(plan(&pod, &tracks, at(10)).start, Some(0));
}

#[test]
fn what_cannot_be_configured_is_held_back() {
    let pod = pod("Always", &[], &["a"]);
    let mut tracks = tracks(&pod);
    tracks[0].waiting = Some(Waiting::because("CreateContainerConfigError", "secret \"s\" not found"));
    tracks[0].hold = Some(at(10));
    assert_eq!(plan(&pod, &tracks, at(0)).wake, Some(at(10)));
    assert_eq!(plan(&pod, &tracks, at(10)).start, Some(0));
    tracks[0].hold = None;
    assert_eq!(plan(&pod, &tracks, at(0)).start, Some(0), "something changed");
}

#[test]
fn in_a_new_sandbox_init_containers_run_again() {
    let pod = pod("Always", &["i"], &["a"]);
    let mut tracks = tracks(&pod);
    tracks[0].end(ended(0, 0, 0));
    tracks[1].end(ended(0, 137, 1));
    tracks.iter_mut().for_each(|track| track.stale = true);
    assert_eq!(plan(&pod, &tracks, at(1)).start, Some(0));
    tracks[0].begin(1, at(1));
    assert_eq!(plan(&pod, &tracks, at(1)).start, None, "the init container runs");
    tracks[0].end(ended(1, 0, 2));
    assert_eq!(plan(&pod, &tracks, at(2)).start, Some(1));
}

#[test]
fn an_init_container_that_ended_before_its_start_was_heard_is_not_run_twice() {
    let pod = pod("Always", &["i"], &["a"]);
    let mut tracks = tracks(&pod);
    tracks[0].end(ended(0, 0, 0));
    tracks[1].end(ended(0, 137, 1));
    tracks.iter_mut().for_each(|track| track.stale = true);
    tracks[0].end(ended(1, 0, 2));
    assert_eq!(plan(&pod, &tracks, at(2)).start, Some(1));
}
