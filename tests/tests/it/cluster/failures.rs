//! Failures of pods under load: no request fails while others answer.

use std::{process::Stdio, time::Duration};

use super::{answered_by_all, deploy, field, lab};

/// Asks `url` again and again in the lab until a file appears; prints how many failed.
const LOAD: &str = r#"ok=0; bad=0; while [ ! -e "$2" ]; do
  if curl -sS -o /dev/null --max-time 3 "$1" 2>>"$2.err"; then ok=$((ok+1)); else bad=$((bad+1)); fi; done; echo "$ok $bad""#;

#[test]
fn a_killed_pod_is_replaced_and_no_request_fails() {
    let Some(lab) = lab(&[]) else { return };
    deploy(&lab, "web", 3);
    lab.kubectl(&["expose", "deployment/web", "--port", "8888"]).ok();
    let ip = field(&lab, &["service", "web"], "{.spec.clusterIP}");
    let url = format!("http://{ip}:8888/");
    answered_by_all(&lab, &url, 3);
    let stop = lab.folder().join("stop");
    let mut load = lab.inside("sh");
    load.args(["-c", LOAD, "load", &url, &stop.display().to_string()]);
    let load = load.stdout(Stdio::piped()).spawn().unwrap();

    let victim = field(&lab, &["pods", "-l", "app=web"], "{.items[0].metadata.name}");
    lab.kubectl(&["delete", "pod", &victim, "--wait=false"]).ok();
    skiff_tests::eventually("a replacement", Duration::from_secs(10), || {
        let names = field(&lab, &["pods", "-l", "app=web"], "{.items[*].metadata.name}");
        let gone = !names.contains(&victim) && names.split(' ').count() == 3;
        if gone { Ok(()) } else { Err(names) }
    });
    answered_by_all(&lab, &url, 3);
    std::fs::write(&stop, "").unwrap();
    let counted = String::from_utf8(load.wait_with_output().unwrap().stdout).unwrap();
    let errors = std::fs::read_to_string(lab.folder().join("stop.err")).unwrap_or_default();
    let (good, bad) = counted.trim().split_once(' ').unwrap();
    assert!(good.parse::<u32>().unwrap() > 20, "{counted}");
    assert_eq!(bad, "0", "{errors}");
}

#[test]
fn a_container_that_is_killed_starts_again() {
    let Some(lab) = lab(&[]) else { return };
    lab.kubectl(&["run", "one", "--image=httpenv"]).ok();
    lab.kubectl(&["wait", "--for=condition=Ready", "pod/one", "--timeout=10s"]).ok();
    let name = lab.cgroup();
    let script = format!("cat $(find /sys/fs/cgroup -path '*{name}*' -name cgroup.procs) | sort -u | head -1");
    let pid = lab.run("sh", &["-c", &script]).ok();
    lab.run("kill", &["-9", pid.trim()]).ok();
    super::field_becomes(&lab, &["pod", "one"], "{.status.containerStatuses[0].restartCount}", "1");
    let last = field(&lab, &["pod", "one"], "{.status.containerStatuses[0].lastState.terminated.exitCode}");
    assert_eq!(last, "137");
}
