//! Containers that are put into a pod that runs already: but for the one they look at, they are like any other.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};

/// The pod's ephemeral containers.
pub(crate) fn all(pod: &Pod) -> &[EphemeralContainer] {
    super::spec(pod).ephemeral_containers.as_deref().unwrap_or_default()
}

/// The container whose processes the ephemeral container `name` is to see.
pub(crate) fn target<'p>(pod: &'p Pod, name: &str) -> Option<&'p str> {
    let own = all(pod).iter().find(|own| own.name == name)?;
    own.target_container_name.as_deref().filter(|target| !target.is_empty())
}

/// It as a container.
pub(crate) fn as_container(own: &EphemeralContainer) -> Container {
    let own = own.clone();
    Container {
        args: own.args,
        command: own.command,
        env: own.env,
        env_from: own.env_from,
        image: own.image,
        image_pull_policy: own.image_pull_policy,
        lifecycle: own.lifecycle,
        liveness_probe: own.liveness_probe,
        name: own.name,
        ports: own.ports,
        readiness_probe: own.readiness_probe,
        resize_policy: own.resize_policy,
        resources: own.resources,
        restart_policy: own.restart_policy,
        restart_policy_rules: own.restart_policy_rules,
        security_context: own.security_context,
        startup_probe: own.startup_probe,
        stdin: own.stdin,
        stdin_once: own.stdin_once,
        termination_message_path: own.termination_message_path,
        termination_message_policy: own.termination_message_policy,
        tty: own.tty,
        volume_devices: own.volume_devices,
        volume_mounts: own.volume_mounts,
        working_dir: own.working_dir,
    }
}
