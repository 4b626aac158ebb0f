//! Pods that cannot do what they should, and say why.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::world::{World, container, phase, state, waiting};

pub(crate) async fn a_crash_loop_backs_off(world: Arc<World>) {
    world.script("crash", "echo oh; exit 5").await;
    let pod = world.until("crash", |pod| waiting(pod).is_some_and(|(reason, _)| reason == "CrashLoopBackOff")).await;
    let (_, message) = waiting(&pod).unwrap();
    let uid = pod.metadata.uid.clone().unwrap();
    assert_eq!(message, format!("back-off 10s restarting failed container=main pod=crash_default({uid})"));
    let main = container(&pod, 0).unwrap();
    assert_eq!(main.restart_count, 1);
    assert_eq!(main.last_state.clone().unwrap().terminated.unwrap().exit_code, 5);
    assert_eq!(phase(&pod), "Running");
    world
        .until_event(
            "crash",
            &format!("BackOff: Back-off restarting failed container main in pod crash_default({uid})"),
        )
        .await;
    assert_eq!(world.logs("crash").await, "oh\n");
    world.delete("crash").await;
}

pub(crate) async fn an_image_that_is_not_there(world: Arc<World>) {
    let one = |image: &str, policy: &str| json!({"containers": [{"name": "main", "image": image, "imagePullPolicy": policy}]});
    world.create("no-image", one("localhost:1/nope:v1", "IfNotPresent")).await;
    world.create("never", one("nope:v1", "Never")).await;
    world.create("badname", one("Not A Name", "IfNotPresent")).await;
    let reason = |wanted: &'static str| move |pod: &_| waiting(pod).is_some_and(|(reason, _)| reason == wanted);
    world.until("no-image", reason("ErrImagePull")).await;
    let pod = world.until("no-image", reason("ImagePullBackOff")).await;
    let (_, message) = waiting(&pod).unwrap();
    assert!(
        message.starts_with("Back-off pulling image \"localhost:1/nope:v1\": ErrImagePull: failed to pull"),
        "{message}"
    );
    assert_eq!(phase(&pod), "Pending");
    world
        .until_event("no-image", "Failed: Failed to pull image \"localhost:1/nope:v1\": failed to pull and unpack")
        .await;
    world.until_event("no-image", "Failed: Error: ErrImagePull").await;
    world.until_event("no-image", "BackOff: Back-off pulling image \"localhost:1/nope:v1\"").await;
    let pod = world.until("never", reason("ErrImageNeverPull")).await;
    assert_eq!(waiting(&pod).unwrap().1, "Container image \"nope:v1\" is not present with pull policy of Never");
    let pod = world.until("badname", reason("InvalidImageName")).await;
    let message = waiting(&pod).unwrap().1;
    assert!(
        message.starts_with("Failed to apply default image tag \"Not A Name\": couldn't parse image name"),
        "{message}"
    );
    for name in ["no-image", "never", "badname"] {
        world.delete(name).await;
    }
}

pub(crate) async fn a_program_that_is_not_there(world: Arc<World>) {
    world.create("no-program", json!({"containers": [{"name": "main", "command": ["nope"]}]})).await;
    let pod =
        world.until("no-program", |pod| waiting(pod).is_some_and(|(reason, _)| reason == "CrashLoopBackOff")).await;
    let last = container(&pod, 0).unwrap().last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (128, Some("StartError")));
    let message = last.message.unwrap();
    assert!(message.ends_with("exec: \"nope\": executable file not found in $PATH"), "{message}");
    world.until_event("no-program", "Failed: Error: ").await;
    world.delete("no-program").await;
}

pub(crate) async fn what_is_missing_is_waited_for(world: Arc<World>) {
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "args": ["echo $PW; sleep 1000"],
        "env": [{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "late", "key": "pw"}}}]}]});
    world.create("patient", spec).await;
    let pod = world
        .until("patient", |pod| waiting(pod).is_some_and(|(reason, _)| reason == "CreateContainerConfigError"))
        .await;
    assert_eq!(waiting(&pod).unwrap().1, "secret \"late\" not found");
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "late"}, "stringData": {"pw": "hunter2"}})).unwrap();
    let api: Api<Secret> = Api::namespaced(world.cluster.client(), "default");
    let begun = std::time::Instant::now();
    api.create(&PostParams::default(), &secret).await.unwrap();
    world.until_ready("patient").await;
    assert!(begun.elapsed().as_secs() < 5, "its coming was noticed, not polled for");
    world.until_log("patient", "hunter2\n").await;
    world.delete("patient").await;
}

pub(crate) async fn what_is_not_supported_is_named(world: Arc<World>) {
    let spec = json!({"setHostnameAsFQDN": true, "containers": [{"name": "main"}]});
    world.create("shares", spec).await;
    let pod = world.until("shares", |pod| waiting(pod).is_some_and(|(_, message)| !message.is_empty())).await;
    let wanted = ("CreateContainerConfigError", "spec.setHostnameAsFQDN: true is not supported by skiff");
    assert_eq!(waiting(&pod).unwrap(), wanted);
    let spec = json!({"containers": [{"name": "main", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        "volumes": [{"name": "v", "nfs": {"server": "192.0.2.1", "path": "/"}}]});
    world.create("nfs", spec).await;
    let pod = world.until("nfs", |pod| waiting(pod).is_some_and(|(_, message)| !message.is_empty())).await;
    assert_eq!(waiting(&pod).unwrap().1, "volumes of kind nfs are not supported by skiff");
    for name in ["shares", "nfs"] {
        world.delete(name).await;
    }
}

pub(crate) async fn a_deadline_ends_a_pod(world: Arc<World>) {
    let spec =
        json!({"activeDeadlineSeconds": 2, "terminationGracePeriodSeconds": 1, "containers": [{"name": "main"}]});
    world.create("deadline", spec).await;
    let pod = world
        .until("deadline", |pod| phase(pod) == "Failed" && state(pod).is_some_and(|s| s.terminated.is_some()))
        .await;
    assert_eq!(pod.status.as_ref().unwrap().reason.as_deref(), Some("DeadlineExceeded"));
    world.delete("deadline").await;
}
