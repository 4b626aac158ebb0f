//! What nodes and pods use and how components are, as kubectl shows it; and changed resources of a pod that runs.

use std::time::Duration;

use skiff_tests::{Lab, eventually};

use super::{apply, field, field_becomes, lab, shell};

fn shell_lab() -> Option<Lab> {
    let lab = lab(&[])?;
    shell::import(&lab).then_some(lab)
}

fn run(lab: &Lab, name: &str, containers: &str) {
    apply(
        lab,
        &format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": {name:?}, \"labels\": {{\"app\": {name:?}}}}}, \
             \"spec\": {{\"terminationGracePeriodSeconds\": 0, \"containers\": [{containers}]}}}}"
        ),
    );
    field_becomes(lab, &["pod", name], "{.status.phase}", "Running");
}

fn container(name: &str, script: &str, more: &str) -> String {
    format!(
        "{{\"name\": {name:?}, \"image\": \"shell\", \"imagePullPolicy\": \"Never\", \
         \"command\": [\"sh\", \"-c\", {script:?}]{more}}}"
    )
}

/// The number that a figure such as `12m` or `3Mi` begins with.
fn number(text: &str) -> u64 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{text:?}"))
}

#[test]
fn usage_is_shown() {
    let Some(lab) = shell_lab() else { return };
    let busy = container("busy", "while :; do :; done", ", \"resources\": {\"limits\": {\"cpu\": \"200m\"}}");
    run(&lab, "two", &format!("{busy}, {}", container("idle", "sleep 100000", "")));
    let line = |args: &[&str], start: &str| -> Result<Vec<String>, String> {
        let shown = lab.kubectl(args);
        let mut lines = shown.out.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        lines.find(|words| words.join(" ").starts_with(start)).ok_or(format!("{shown:?}"))
    };
    eventually("the busy container is seen to be busy", Duration::from_secs(20), || {
        let words = line(&["top", "pods"], "two")?;
        if number(&words[1]) > 20 { Ok(()) } else { Err(format!("{words:?}")) }
    });
    let busy = line(&["top", "pods", "--containers"], "two busy").unwrap();
    assert!(busy[2].ends_with('m') && number(&busy[2]) < 400, "{busy:?}");
    let idle = line(&["top", "pod", "two", "--containers"], "two idle").unwrap();
    assert!(number(&idle[2]) < 20, "{idle:?}");
    assert!(idle[3].ends_with("Mi"), "{idle:?}");
    let node = line(&["top", "nodes"], "lab").unwrap();
    assert!(node[2].ends_with('%') && node[4].ends_with('%') && number(&node[3]) > 10, "{node:?}");
    assert!(lab.kubectl(&["top", "pods", "-l", "app=none"]).err.contains("No resources found"));
    assert!(lab.kubectl(&["get", "pods.metrics.k8s.io"]).ok().starts_with("NAME   CPU"), "a table");
    let raw = lab.kubectl(&["get", "--raw", "/api/v1/nodes/lab/proxy/stats/summary"]).ok();
    assert!(raw.contains("usageCoreNanoSeconds"), "{raw}");
    let skiff = lab.skiff(&["get", "pods"]).ok();
    assert!(skiff.contains("Running"), "pods are still the core group's: {skiff}");
    let components = lab.kubectl(&["get", "componentstatuses"]);
    assert!(components.err.contains("v1 ComponentStatus is deprecated in v1.19+"), "{}", components.err);
    for name in ["controller-manager", "etcd-0", "scheduler"] {
        let line = components.out.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), [name, "Healthy", "ok"], "{}", components.out);
    }
    assert!(!field(&lab, &["apiservice", "v1beta1.metrics.k8s.io"], "{.spec.version}").is_empty());
}

#[test]
fn one_stream_of_a_log_is_shown() {
    let Some(lab) = shell_lab() else { return };
    run(&lab, "both", &container("c", "echo out; echo err >&2; sleep 100000", ""));
    let raw = |query: &str| lab.kubectl(&["get", "--raw", &format!("/api/v1/namespaces/default/pods/both/log{query}")]);
    eventually("both lines are there", Duration::from_secs(20), || {
        let all = raw("").ok();
        if all.lines().count() == 2 { Ok(()) } else { Err(all) }
    });
    assert_eq!((raw("?stream=Stdout").ok(), raw("?stream=Stderr").ok()), ("out\n".to_owned(), "err\n".to_owned()));
    assert_eq!(raw("?stream=All&tailLines=5").ok().lines().count(), 2);
    assert!(raw("?stream=Stdout&tailLines=5").err.contains("mutually exclusive"));
}

#[test]
fn resources_of_a_running_pod_are_changed() {
    let Some(lab) = shell_lab() else { return };
    let amounts = |cpu: &str, memory: &str| {
        format!("{{\"requests\": {{\"cpu\": {cpu:?}, \"memory\": \"16Mi\"}}, \"limits\": {{\"memory\": {memory:?}}}}}")
    };
    let first = format!(", \"resources\": {}", amounts("20m", "32Mi"));
    run(&lab, "sized", &container("c", "sleep 100000", &first));
    let resize = |cpu: &str, memory: &str| {
        let patch =
            format!("{{\"spec\": {{\"containers\": [{{\"name\": \"c\", \"resources\": {}}}]}}}}", amounts(cpu, memory));
        lab.kubectl(&["patch", "pod", "sized", "--subresource=resize", "--patch", &patch])
    };
    let limit = || {
        let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
        lab.kubectl(&["exec", "sized", "--", "sh", "-c", script]).ok()
    };
    let status = |path: &str| format!("{{.status.containerStatuses[0].{path}}}");
    let becomes = |memory: &str| field_becomes(&lab, &["pod", "sized"], &status("resources.limits.memory"), memory);
    becomes("32Mi");
    assert_eq!(limit().trim(), (32 << 20).to_string());
    for (memory, bytes) in [("64Mi", 64 << 20), ("48Mi", 48 << 20)] {
        resize("30m", memory).ok();
        becomes(memory);
        assert_eq!(limit().trim(), bytes.to_string());
    }
    assert_eq!(field(&lab, &["pod", "sized"], &status("allocatedResources.cpu")), "30m");
    let pending = "{.status.conditions[?(@.type==\"PodResizePending\")].reason}";
    resize("1000", "56Mi").ok();
    field_becomes(&lab, &["pod", "sized"], pending, "Infeasible");
    assert_eq!(limit().trim(), (48 << 20).to_string());
    resize("30m", "48Mi").ok();
    field_becomes(&lab, &["pod", "sized"], pending, "");
    assert_eq!(field(&lab, &["pod", "sized"], &status("restartCount")), "0");
    let removed = resize("30m", "").err;
    assert!(removed.contains("quantities must match"), "{removed}");
}
