//! The node agent stops and starts again.

use std::sync::Arc;

use kube::api::DeleteParams;

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
