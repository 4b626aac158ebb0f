//! What this kubelet does not do, said before anything is started: a field that would silently have
//! no effect is worse than a pod that says why it waits.

use k8s_openapi::api::core::v1::{Container, Lifecycle, Pod, PodSecurityContext, Probe, SecurityContext, VolumeMount};
use thiserror::Error;

/// A field that asks for something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {value} is not supported by skiff")]
pub(crate) struct Refusal {
    field: String,
    value: String,
}

/// What is accepted though it is not enforced: said in an Event, so that nobody relies on it.
pub(crate) fn warnings(pod: &Pod) -> Vec<String> {
    let spec = super::spec(pod);
    let mut found = Vec::new();
    for volume in spec.volumes.iter().flatten() {
        let on_disk = |medium: Option<&str>| medium.unwrap_or_default().is_empty();
        let dir = volume.empty_dir.as_ref();
        if dir.is_some_and(|dir| dir.size_limit.is_some() && on_disk(dir.medium.as_deref())) {
            found.push(format!("the sizeLimit of volume {:?} is not enforced: it is on disk", volume.name));
        }
    }
    for container in spec.containers.iter().chain(super::init_containers(pod)) {
        let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        if limits.is_some_and(|limits| limits.contains_key("ephemeral-storage")) {
            found.push(format!("the ephemeral-storage limit of container {:?} is not enforced", container.name));
        }
    }
    found
}

struct Finder {
    found: Vec<Refusal>,
}

impl Finder {
    fn no(&mut self, asked: bool, field: impl Into<String>, value: impl Into<String>) {
        if asked {
            self.found.push(Refusal { field: field.into(), value: value.into() });
        }
    }

    /// Refuses `value` unless it is absent or one of `known`.
    fn only(&mut self, value: Option<&str>, known: &[&str], field: impl Into<String>) {
        if let Some(value) = value.filter(|value| !value.is_empty() && !known.contains(value)) {
            self.no(true, field, format!("{value:?}"));
        }
    }
}

/// Everything in `pod` that is not implemented, first of all the first.
pub(crate) fn refusals(pod: &Pod) -> Vec<Refusal> {
    let spec = super::spec(pod);
    let mut finder = Finder { found: Vec::new() };
    let truth = |value: Option<bool>| value == Some(true);
    finder.no(spec.host_users == Some(false), "spec.hostUsers", "false");
    finder.no(truth(spec.set_hostname_as_fqdn), "spec.setHostnameAsFQDN", "true");
    finder.no(spec.hostname_override.is_some(), "spec.hostnameOverride", "a value");
    finder.no(spec.resources.is_some(), "spec.resources", "a pod-level resource list");
    finder.no(spec.resource_claims.iter().flatten().next().is_some(), "spec.resourceClaims", "a claim");
    finder.no(spec.runtime_class_name.is_some(), "spec.runtimeClassName", "a value");
    finder.only(spec.os.as_ref().map(|os| os.name.as_str()), &["linux"], "spec.os.name");
    if let Some(context) = &spec.security_context {
        pod_security(context, &mut finder);
    }
    for (at, container) in super::init_containers(pod).iter().enumerate() {
        let path = format!("spec.initContainers[{at}]");
        finder.only(container.restart_policy.as_deref(), &[], format!("{path}.restartPolicy"));
        one(container, &path, &mut finder);
    }
    for (at, container) in spec.containers.iter().enumerate() {
        let path = format!("spec.containers[{at}]");
        finder.only(container.restart_policy.as_deref(), &[], format!("{path}.restartPolicy"));
        one(container, &path, &mut finder);
    }
    finder.found
}

/// Everything in a container at `path` that is not implemented.
pub(crate) fn of_container(container: &Container, path: &str) -> Vec<Refusal> {
    let mut finder = Finder { found: Vec::new() };
    finder.only(container.restart_policy.as_deref(), &[], format!("{path}.restartPolicy"));
    one(container, path, &mut finder);
    finder.found
}

fn pod_security(context: &PodSecurityContext, finder: &mut Finder) {
    let path = "spec.securityContext";
    finder.no(context.se_linux_options.is_some(), format!("{path}.seLinuxOptions"), "a value");
    finder.no(context.windows_options.is_some(), format!("{path}.windowsOptions"), "a value");
    finder.only(context.supplemental_groups_policy.as_deref(), &["Merge"], format!("{path}.supplementalGroupsPolicy"));
    let app_armor = context.app_armor_profile.as_ref().map(|profile| profile.type_.as_str());
    finder.only(app_armor, &["Unconfined"], format!("{path}.appArmorProfile.type"));
    let seccomp = context.seccomp_profile.as_ref().map(|profile| profile.type_.as_str());
    finder.only(seccomp, &["RuntimeDefault", "Unconfined"], format!("{path}.seccompProfile.type"));
}

fn one(container: &Container, path: &str, finder: &mut Finder) {
    let none = container.volume_devices.iter().flatten().next().is_none();
    finder.no(!none, format!("{path}.volumeDevices"), "a block device");
    let rules = container.restart_policy_rules.iter().flatten().next().is_some();
    finder.no(rules, format!("{path}.restartPolicyRules"), "a rule");
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    for name in limits.into_iter().flatten().map(|(name, _)| name) {
        finder.only(Some(name), &["cpu", "memory", "ephemeral-storage"], format!("{path}.resources.limits"));
    }
    let claims = container.resources.as_ref().and_then(|resources| resources.claims.as_ref());
    finder.no(claims.into_iter().flatten().next().is_some(), format!("{path}.resources.claims"), "a claim");
    for port in container.ports.iter().flatten() {
        finder.no(port.host_port.is_some_and(|port| port != 0), format!("{path}.ports.hostPort"), "a port of the host");
    }
    for variable in container.env.iter().flatten() {
        let file = variable.value_from.as_ref().is_some_and(|source| source.file_key_ref.is_some());
        finder.no(file, format!("{path}.env.valueFrom.fileKeyRef"), "a file");
    }
    if let Some(context) = &container.security_context {
        container_security(context, &format!("{path}.securityContext"), finder);
    }
    if let Some(lifecycle) = &container.lifecycle {
        hooks(lifecycle, &format!("{path}.lifecycle"), finder);
    }
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    for (name, probe) in probes {
        finder.no(
            probe.as_ref().is_some_and(|probe: &Probe| probe.grpc.is_some()),
            format!("{path}.{name}.grpc"),
            "a gRPC probe",
        );
    }
    for mount in container.volume_mounts.iter().flatten() {
        volume_mount(mount, path, finder);
    }
}

fn container_security(context: &SecurityContext, path: &str, finder: &mut Finder) {
    finder.no(context.se_linux_options.is_some(), format!("{path}.seLinuxOptions"), "a value");
    finder.no(context.windows_options.is_some(), format!("{path}.windowsOptions"), "a value");
    finder.only(context.proc_mount.as_deref(), &["Default", "Unmasked"], format!("{path}.procMount"));
    let app_armor = context.app_armor_profile.as_ref().map(|profile| profile.type_.as_str());
    finder.only(app_armor, &["Unconfined"], format!("{path}.appArmorProfile.type"));
    let seccomp = context.seccomp_profile.as_ref().map(|profile| profile.type_.as_str());
    finder.only(seccomp, &["RuntimeDefault", "Unconfined"], format!("{path}.seccompProfile.type"));
}

fn hooks(lifecycle: &Lifecycle, path: &str, finder: &mut Finder) {
    for (name, hook) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        let tcp = hook.as_ref().is_some_and(|hook| hook.tcp_socket.is_some());
        finder.no(tcp, format!("{path}.{name}.tcpSocket"), "a TCP hook");
    }
}

fn volume_mount(mount: &VolumeMount, path: &str, finder: &mut Finder) {
    let recursive = mount.recursive_read_only.as_deref();
    finder.only(recursive, &["Disabled", "IfPossible", "Enabled"], format!("{path}.volumeMounts.recursiveReadOnly"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spec: serde_json::Value) -> Vec<String> {
        let pod = serde_json::from_value(serde_json::json!({"metadata": {}, "spec": spec})).unwrap();
        refusals(&pod).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_ordinary_pod_is_accepted() {
        let spec = serde_json::json!({
            "shareProcessNamespace": true, "hostUsers": true, "os": {"name": "linux"},
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 1},
            "containers": [{"name": "c", "ports": [{"containerPort": 80}], "stdin": false,
                "livenessProbe": {"httpGet": {"port": 80}}, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]});
        assert!(of(spec).is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let spec = serde_json::json!({
            "initContainers": [{"name": "i", "restartPolicy": "Always"}],
            "containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}],
                "livenessProbe": {"grpc": {"port": 80}},
                "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}},
                "resources": {"limits": {"example.com/gpu": "1"}}}]});
        let wanted = [
            "spec.initContainers[0].restartPolicy: \"Always\" is not supported by skiff",
            "spec.containers[0].resources.limits: \"example.com/gpu\" is not supported by skiff",
            "spec.containers[0].ports.hostPort: a port of the host is not supported by skiff",
            "spec.containers[0].securityContext.seccompProfile.type: \"Localhost\" is not supported by skiff",
            "spec.containers[0].livenessProbe.grpc: a gRPC probe is not supported by skiff",
        ];
        assert_eq!(of(spec), wanted);
    }
}
