//! The node agent stops and starts again.

use std::sync::Arc;

use kube::api::{DeleteParams, Patch, PatchParams};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use crate::world::{World, container, is_ready};

pub(crate) async fn running_pods_are_taken_over(world: Arc<World>) {
    world.script("stays", "echo up; sleep 1000").await;
    world.script("goes", "echo up; sleep 1000").await;
    let before = world.until_ready("stays").await;
    world.until_ready("goes").await;
    let started = |pod: &k8s_openapi::api::core::v1::Pod| {
        container(pod, 0).unwrap().state.clone().unwrap().running.unwrap().started_at
    };
    world.stop().await;
    world.api().delete("goes", &DeleteParams::default().grace_period(0)).await.unwrap();
    world.start().await;
    let after = world.pods.get("default", "stays").unwrap();
    assert!(is_ready(&after));
    assert_eq!(started(&after), started(&before));
    assert_eq!(container(&after, 0).unwrap().restart_count, 0);
    assert_eq!(
        after.metadata.resource_version, before.metadata.resource_version,
        "nothing changed, so nothing was written"
    );
    assert_eq!(world.logs("stays").await, "up\n");
    world.delete("stays").await;
}

pub(crate) async fn a_lost_sandbox_is_made_again(world: Arc<World>) {
    let spec = json!({"terminationGracePeriodSeconds": 1,
        "initContainers": [{"name": "first", "args": ["true"]}], "containers": [{"name": "main"}]});
    world.create("lost", spec).await;
    let pod = world.until_ready("lost").await;
    kill(supervisor(pod.metadata.uid.as_deref().unwrap()), Signal::SIGKILL).unwrap();
    let again = |pod: &k8s_openapi::api::core::v1::Pod| {
        is_ready(pod) && container(pod, 0).is_some_and(|main| main.restart_count == 1)
    };
    let pod = world.until("lost", again).await;
    let init = pod.status.as_ref().unwrap().init_container_statuses.clone().unwrap();
    assert_eq!(init[0].restart_count, 1, "init containers run in every sandbox");
    let last = container(&pod, 0).unwrap().last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (137, Some("ContainerStatusUnknown")));
    world.until_event("lost", "SandboxChanged: Pod sandbox changed, it will be killed and re-created.").await;
    world.delete("lost").await;
}

fn supervisor(uid: &str) -> Pid {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = |pid: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("supervisor") && line.contains(uid)
    };
    Pid::from_raw(pids.find(ours).unwrap())
}

pub(crate) async fn a_changed_image_restarts_its_container(world: Arc<World>) {
    world.script("changed", "echo up; sleep 1000").await;
    world.until_ready("changed").await;
    let patch = json!({"spec": {"containers": [{"name": "main", "image": "docker.io/library/box"}]}});
    world.api().patch("changed", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    let again = |pod: &k8s_openapi::api::core::v1::Pod| {
        is_ready(pod) && container(pod, 0).is_some_and(|main| main.restart_count == 1)
    };
    world.until("changed", again).await;
    world.until_event("changed", "Killing: Container main definition changed, will be restarted").await;
    world.delete("changed").await;
}
