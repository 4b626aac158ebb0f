//! Containers that are put into a pod that runs.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{IMAGE, World, container, is_ready, phase};

fn status<'p>(pod: &'p Pod, name: &str) -> Option<&'p ContainerStatus> {
    let list = pod.status.as_ref()?.ephemeral_container_statuses.as_ref()?;
    list.iter().find(|status| status.name == name)
}

fn runs(pod: &Pod, name: &str) -> bool {
    status(pod, name).and_then(|status| status.state.as_ref()?.running.as_ref()).is_some()
}

fn ended(pod: &Pod, name: &str) -> Option<i32> {
    Some(status(pod, name)?.state.as_ref()?.terminated.as_ref()?.exit_code)
}

async fn look_in(world: &World, pod: &str, container: Value) {
    let mut container = container;
    if container.get("image").is_none() {
        container["image"] = json!(IMAGE);
    }
    let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [container]}}));
    world.api().patch_ephemeral_containers(pod, &PatchParams::default(), &patch).await.unwrap();
}

async fn logs(world: &World, pod: &str, container: &str) -> String {
    let params = kube::api::LogParams { container: Some(container.to_owned()), ..Default::default() };
    world.api().logs(pod, &params).await.unwrap()
}

pub(crate) async fn a_running_pod_is_looked_into(world: Arc<World>) {
    world.script("looked", "sleep 1007").await;
    let before = world.until_ready("looked").await;
    let script = "ps; hostname; exit 3";
    look_in(&world, "looked", json!({"name": "see", "targetContainerName": "main", "args": [script]})).await;
    let pod = world.until("looked", |pod| ended(pod, "see") == Some(3)).await;
    let seen = logs(&world, "looked", "see").await;
    assert!(seen.contains("sleep 1007") && seen.ends_with("looked\n"), "{seen}");
    let see = status(&pod, "see").unwrap();
    assert_eq!((see.ready, see.started, see.restart_count), (false, None, 0));
    assert!(see.container_id.is_some() && see.image_id.contains("sha256"));
    // What cannot be started waits; neither it nor the one that failed is anything to the pod.
    let never = json!({"name": "never", "image": "nowhere", "imagePullPolicy": "Never"});
    look_in(&world, "looked", never).await;
    let waits = |pod: &Pod| {
        let waiting = status(pod, "never").and_then(|status| status.state.as_ref()?.waiting.clone());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("ErrImageNeverPull"))
    };
    world.until("looked", waits).await;
    look_in(&world, "looked", json!({"name": "apart", "args": ["ps; sleep 1008"]})).await;
    let pod = world.until("looked", |pod| runs(pod, "apart")).await;
    assert!(is_ready(&pod) && phase(&pod) == "Running");
    assert_eq!(container(&pod, 0), container(&before, 0));
    assert_eq!(ended(&pod, "see"), Some(3), "it is not started again");
    assert!(!logs(&world, "looked", "apart").await.contains("1007"), "its processes are its own");
    world.until_event("looked", "Started: Container started").await;
    world.delete("looked").await;
}

pub(crate) async fn they_end_with_their_pod(world: Arc<World>) {
    let spec = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "args": ["while [ ! -e /tmp/over ]; do usleep 20000; done"]}]});
    world.create("brief", spec).await;
    world.until_ready("brief").await;
    look_in(&world, "brief", json!({"name": "stays"})).await;
    world.until("brief", |pod| runs(pod, "stays")).await;
    let over = "touch /proc/1/root/tmp/over; sleep 1000";
    look_in(&world, "brief", json!({"name": "ends", "targetContainerName": "main", "args": [over]})).await;
    let pod = world.until("brief", |pod| phase(pod) == "Succeeded" && ended(pod, "stays").is_some()).await;
    assert!(ended(&pod, "ends").is_some());
    world.delete("brief").await;
}

pub(crate) async fn all_containers_of_a_pod_may_share_processes(world: Arc<World>) {
    let spec = json!({"shareProcessNamespace": true, "terminationGracePeriodSeconds": 1, "containers": [
        {"name": "a", "args": ["sleep 1009"]},
        {"name": "main", "args": ["until ps | grep -q 'sleep 100[9]'; do usleep 20000; done; echo seen; sleep 1000"]}]});
    world.create("shared", spec).await;
    world.until_ready("shared").await;
    look_in(&world, "shared", json!({"name": "see", "args": ["ps"]})).await;
    world.until("shared", |pod| ended(pod, "see") == Some(0)).await;
    let seen = logs(&world, "shared", "see").await;
    assert!(seen.contains("sleep 1009"), "{seen}");
    let params = kube::api::LogParams { container: Some("main".to_owned()), ..Default::default() };
    assert_eq!(world.api().logs("shared", &params).await.unwrap(), "seen\n");
    world.delete("shared").await;
}

pub(crate) async fn they_are_taken_over(world: Arc<World>) {
    world.script("adopts", "sleep 1000").await;
    world.until_ready("adopts").await;
    for (name, script) in [("over", "exit 4"), ("on", "echo on; sleep 1000")] {
        look_in(&world, "adopts", json!({"name": name, "targetContainerName": "main", "args": [script]})).await;
    }
    let both = |pod: &Pod| runs(pod, "on") && ended(pod, "over") == Some(4);
    let before = world.until("adopts", both).await;
    world.stop().await;
    world.start().await;
    let after = world.pods.get("default", "adopts").unwrap();
    assert_eq!(after.status, before.status);
    look_in(&world, "adopts", json!({"name": "later", "args": ["exit 0"]})).await;
    let after = world.until("adopts", |pod| ended(pod, "later") == Some(0)).await;
    assert!(both(&after));
    assert_eq!(logs(&world, "adopts", "on").await, "on\n");
    world.delete("adopts").await;
}
