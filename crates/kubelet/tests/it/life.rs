//! Pods that do what they should.

use std::{sync::Arc, time::Duration};

use futures::{AsyncBufReadExt as _, StreamExt as _};
use kube::api::{DeleteParams, LogParams};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use crate::world::{World, container, is_ready, phase, state};

pub(crate) async fn a_pod_runs_and_knows_itself(world: Arc<World>) {
    let spec = json!({"terminationGracePeriodSeconds": 1, "hostname": "me", "containers": [{"name": "main",
        "args": ["echo $POD $FROM $(hostname) $KUBERNETES_SERVICE_HOST; cat /etc/hosts /etc/resolv.conf; id -u; echo end; sleep 1000"],
        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "securityContext": {"runAsUser": 1000}}]});
    world.create("knows", spec).await;
    let pod = world.until_ready("knows").await;
    let status = pod.status.clone().unwrap();
    let ip = status.pod_ip.clone().unwrap();
    assert!(ip.starts_with("10.1.0."), "{ip}");
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert!(status.host_ip.is_some() && status.start_time.is_some());
    let main = container(&pod, 0).unwrap();
    assert_eq!(main.image, "docker.io/library/box:latest");
    assert!(!main.image_id.is_empty() && main.ready && main.started == Some(true) && main.restart_count == 0);
    let log = world.until_log("knows", "end\n").await;
    assert!(log.starts_with(&format!("{ip} image me 10.96.0.1\n")), "{log}");
    assert!(log.contains(&format!("{ip}\tme\n")), "{log}");
    assert!(log.contains("search default.svc.cluster.local svc.cluster.local cluster.local"), "{log}");
    assert!(log.contains("nameserver 10.96.0.10\noptions ndots:5\n1000\n"), "{log}");
    for event in
        ["Pulled: Container image \"box\" already present", "Created: Container created", "Started: Container started"]
    {
        world.until_event("knows", event).await;
    }
    world.delete("knows").await;
}

pub(crate) async fn init_containers_come_first(world: Arc<World>) {
    let mount = json!([{"name": "shared", "mountPath": "/shared"}]);
    let spec = json!({"terminationGracePeriodSeconds": 1, "volumes": [{"name": "shared", "emptyDir": {}}],
        "initContainers": [
            {"name": "one", "args": ["echo one >> /shared/order"], "volumeMounts": mount},
            {"name": "two", "args": ["echo two >> /shared/order"], "volumeMounts": mount}],
        "containers": [
            {"name": "main", "args": ["cat /shared/order; sleep 1000"], "volumeMounts": mount},
            {"name": "side", "args": ["sleep 1000"]}]});
    world.create("init", spec).await;
    let pod = world.until_ready("init").await;
    let init = pod.status.as_ref().unwrap().init_container_statuses.clone().unwrap();
    let reason = |at: usize| init[at].state.clone().unwrap().terminated.unwrap().reason;
    assert_eq!((reason(0).as_deref(), reason(1).as_deref()), (Some("Completed"), Some("Completed")));
    assert!(init.iter().all(|status| status.ready));
    let params = LogParams { container: Some("main".into()), follow: true, ..LogParams::default() };
    let lines: Vec<_> = world.api().log_stream("init", &params).await.unwrap().lines().take(2).collect().await;
    assert_eq!(lines.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["one", "two"]);
    world.delete("init").await;
}

pub(crate) async fn a_pod_that_ends_is_over(world: Arc<World>) {
    let over = |code: i32| {
        json!({"restartPolicy": "Never", "containers": [{"name": "main",
            "args": [format!("echo said; echo last > /dev/termination-log; exit {code}")]}]})
    };
    for (name, code, wanted, reason) in [("well", 0, "Succeeded", "Completed"), ("badly", 3, "Failed", "Error")] {
        world.create(name, over(code)).await;
        let pod = world.until(name, |pod| phase(pod) == wanted).await;
        let ended = state(&pod).unwrap().terminated.clone().unwrap();
        assert_eq!((ended.exit_code, ended.reason.as_deref()), (code, Some(reason)));
        assert_eq!(ended.message.as_deref(), Some("last\n"));
        assert!(ended.started_at.is_some() && ended.finished_at.is_some());
        assert!(!is_ready(&pod));
        assert_eq!(world.logs(name).await, "said\n", "logs stay as long as the pod");
        world.delete(name).await;
    }
}

pub(crate) async fn deletion_is_gentle(world: Arc<World>) {
    let spec = json!({"terminationGracePeriodSeconds": 20, "volumes": [{"name": "v", "hostPath": {"path": "/tmp"}}],
        "containers": [{"name": "main",
        "args": ["trap 'echo term; exit 7' TERM; echo up; while true; do usleep 20000; done"],
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "echo hook > /proc/1/fd/1"]}}}}]});
    world.create("gentle", spec).await;
    world.until_ready("gentle").await;
    let params = LogParams { follow: true, ..LogParams::default() };
    let log = world.api().log_stream("gentle", &params).await.unwrap();
    let mut lines = log.lines();
    assert_eq!(lines.next().await.unwrap().unwrap(), "up");
    let begun = std::time::Instant::now();
    world.api().delete("gentle", &DeleteParams::default()).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap(), "hook");
    assert_eq!(lines.next().await.unwrap().unwrap(), "term");
    world.until_gone("gentle").await;
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody waited for the grace period to end");
    world.until_event("gentle", "Killing: Stopping container main").await;
}

pub(crate) async fn a_forced_deletion_takes_everything_away(world: Arc<World>) {
    world.script("forced", "trap '' TERM; echo up; while true; do usleep 20000; done").await;
    world.until_ready("forced").await;
    let now = DeleteParams::default().grace_period(0);
    world.api().delete("forced", &now).await.unwrap();
    world.until_gone("forced").await;
    // That its processes and files go too is proved when the world ends.
}

pub(crate) async fn readiness_and_liveness_are_probed(world: Arc<World>) {
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "main", "args": ["httpd -f -p 8080 -h /www"],
         "ports": [{"name": "web", "containerPort": 8080}],
         "startupProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 30},
         "readinessProbe": {"httpGet": {"port": "web", "path": "/index.html"}, "periodSeconds": 1},
         "livenessProbe": {"exec": {"command": ["cat", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1,
                           "initialDelaySeconds": 2}}]});
    world.create("probed", spec).await;
    world.until_ready("probed").await;
    let pod = world.until("probed", |pod| container(pod, 0).is_some_and(|main| main.restart_count > 0)).await;
    let last = container(&pod, 0).unwrap().last_state.clone().unwrap().terminated.unwrap();
    assert_eq!(last.exit_code, 137, "it does not heed SIGTERM: {last:?}");
    world.until_event("probed", "Unhealthy: Liveness probe failed: cat: can't open '/tmp/alive'").await;
    world.until_event("probed", "Killing: Container main failed liveness probe, will be restarted").await;
    world.delete("probed").await;
}

pub(crate) async fn a_killed_process_is_started_again(world: Arc<World>) {
    world.script("killed", "echo up; sleep 1000").await;
    let pod = world.until_ready("killed").await;
    let uid = pod.metadata.uid.clone().unwrap();
    let process = processes_with(&uid).pop().unwrap();
    kill(process, Signal::SIGKILL).unwrap();
    let pod = world.until("killed", |pod| container(pod, 0).is_some_and(|c| c.restart_count == 1 && c.ready)).await;
    let last = container(&pod, 0).unwrap().last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (137, Some("Error")));
    world.delete("killed").await;
}

/// Processes whose control group is the pod's.
fn processes_with(uid: &str) -> Vec<Pid> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let own = |pid: &i32| {
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        groups.contains(uid) && !command.contains("supervisor")
    };
    pids.filter(own).map(Pid::from_raw).collect()
}

pub(crate) async fn logs_are_followed_to_the_end(world: Arc<World>) {
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main",
        "args": ["for i in $(seq 100); do echo line $i; usleep 5000; done"]}]});
    world.create("followed", spec).await;
    world.until("followed", |pod| state(pod).is_some_and(|state| state.waiting.is_none())).await;
    let params = LogParams { follow: true, ..LogParams::default() };
    let lines: Vec<_> = world.api().log_stream("followed", &params).await.unwrap().lines().collect().await;
    let lines: Vec<String> = lines.into_iter().map(Result::unwrap).collect();
    let wanted: Vec<String> = (1..=100).map(|number| format!("line {number}")).collect();
    assert_eq!(lines, wanted);
    world.delete("followed").await;
}
