//! kubectl debug: a container that looks into a pod that runs, and a copy of a pod to be looked into.

use super::{apply, field, field_becomes, lab, shell};
use skiff_tests::Lab;

fn lab_with_pod() -> Option<Lab> {
    let lab = lab(&[])?;
    if !shell::import(&lab) {
        return None;
    }
    apply(
        &lab,
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"box\"}, \"spec\": {\
         \"terminationGracePeriodSeconds\": 0, \"containers\": [{\"name\": \"main\", \"image\": \"shell\", \
         \"imagePullPolicy\": \"Never\", \"command\": [\"sleep\", \"1234\"]}]}}",
    );
    field_becomes(&lab, &["pod", "box"], "{.status.phase}", "Running");
    Some(lab)
}

/// Runs kubectl at a terminal.
fn at_terminal(lab: &Lab, command: &str) -> String {
    lab.run("script", &["-qec", command, "/dev/null"]).out
}

#[test]
fn a_running_pod_is_debugged() {
    let Some(mut lab) = lab_with_pod() else { return };
    let debug = "kubectl debug -it box --image=shell --image-pull-policy=Never";
    let seen = at_terminal(&lab, &format!("{debug} -c see --target=main -- sh -c 'sleep 1; ps; tty; exit 3'"));
    assert!(seen.contains("sleep 1234") && seen.contains("/dev/pts/0"), "{seen}");
    let status = "{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}";
    field_becomes(&lab, &["pod", "box"], status, "3");
    assert!(lab.kubectl(&["logs", "box", "-c", "see"]).ok().contains("sleep 1234"));
    // One that goes on, seen by all that looks at pods.
    let words = ["debug", "box", "--image=shell", "--image-pull-policy=Never", "-c", "stay", "--", "sleep", "4321"];
    lab.kubectl(&words).ok();
    let running = "{.status.ephemeralContainerStatuses[1].state.running.startedAt}";
    let started = || field(&lab, &["pod", "box"], running);
    skiff_tests::eventually("it runs", std::time::Duration::from_secs(20), || {
        if started().is_empty() { Err(field(&lab, &["pod", "box"], "{.status}")) } else { Ok(()) }
    });
    let before = started();
    assert!(lab.kubectl(&["exec", "box", "-c", "stay", "--", "ps"]).ok().contains("sleep 4321"));
    assert!(lab.kubectl(&["get", "pod", "box"]).ok().contains("1/1     Running   0"));
    assert!(lab.kubectl(&["describe", "pod", "box"]).ok().contains("Ephemeral Containers:\n  see:"));
    let refused = lab.kubectl(&["debug", "box", "--image=shell", "-c", "other", "--target=none"]);
    assert!(refused.err.contains("targetContainerName: Not found: \"none\""), "{}", refused.err);
    // The server goes and comes back: it still runs, and what had ended is not run again.
    lab.stop_server("KILL");
    lab.start_server().unwrap();
    assert_eq!(field(&lab, &["pod", "box"], running), before);
    assert_eq!(field(&lab, &["pod", "box"], status), "3");
    assert!(lab.kubectl(&["exec", "box", "-c", "stay", "--", "ps"]).ok().contains("sleep 4321"));
    lab.kubectl(&["delete", "pod", "box", "--timeout=20s"]).ok();
}

#[test]
fn a_pod_is_copied_to_be_debugged() {
    let Some(lab) = lab_with_pod() else { return };
    let copied = "kubectl debug box -it --profile=general --image=shell --image-pull-policy=Never --copy-to=copy -c see -- \
         sh -c 'until ps | grep -q \"sleep 123[4]\"; do usleep 50000; done; ps; echo seen'";
    let seen = at_terminal(&lab, copied);
    assert!(seen.contains("sleep 1234") && seen.contains("seen"), "the copy's containers share processes: {seen}");
    let changed = ["debug", "box", "--copy-to=other", "--container=main", "--", "sh", "-c", "echo instead; sleep 99"];
    lab.kubectl(&changed).ok();
    field_becomes(&lab, &["pod", "other"], "{.status.phase}", "Running");
    skiff_tests::eventually("its log", std::time::Duration::from_secs(20), || {
        let log = lab.kubectl(&["logs", "other"]);
        if log.out == "instead\n" { Ok(()) } else { Err(format!("{log:?}")) }
    });
    let node = "kubectl debug node/lab -it --profile=general --image=shell --image-pull-policy=Never -- \
         sh -c 'sleep 1; ls /host; ps | grep -c .'";
    let seen = at_terminal(&lab, node);
    assert!(seen.contains("etc") && seen.contains("proc"), "{seen}");
    lab.kubectl(&["delete", "pod", "--all", "--timeout=20s"]).ok();
}
