//! The server ends, by signal or by SIGKILL: pods and their traffic go on, and the next one adopts them.

use super::{answered_by_all, deploy, field, lab};

fn survives(signal: &str) {
    let Some(mut lab) = lab(&[]) else { return };
    deploy(&lab, "web", 2);
    lab.kubectl(&["expose", "deployment/web", "--port", "8888"]).ok();
    let ip = field(&lab, &["service", "web"], "{.spec.clusterIP}");
    let url = format!("{ip}:8888");
    answered_by_all(&lab, &url, 2);
    let identity = "{.items[*].status.containerStatuses[*].containerID}";
    let before = field(&lab, &["pods"], identity);
    lab.stop_server(signal);
    answered_by_all(&lab, &url, 2);
    lab.start_server().map_err(|error| format!("{error:?}")).unwrap();
    assert_eq!(field(&lab, &["pods"], identity), before, "the same containers");
    answered_by_all(&lab, &url, 2);
    lab.kubectl(&["scale", "deployment/web", "--replicas=3"]).ok();
    answered_by_all(&lab, &url, 3);
    assert_eq!(field(&lab, &["pods"], "{.items[0].status.containerStatuses[0].restartCount}"), "0");
}

#[test]
fn pods_outlive_a_server_that_is_asked_to_stop() {
    survives("TERM");
}

#[test]
fn pods_outlive_a_server_that_is_killed() {
    survives("KILL");
}
