//! Starts one container: image, environment, mounts, process, postStart hook.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, SecurityContext};
use skiff_image::Image;
use skiff_runtime::{
    Capabilities, ContainerSpec, Fault, Limits, Log, MASKED_PATHS, READONLY_PATHS, Sandbox, Seccomp, StartError, User,
};
use tokio_util::sync::CancellationToken;

use super::{error::LaunchError, files, hooks, pull, shared::Shared};
use crate::{
    pod::{
        self, env, ephemeral,
        fields::Addresses,
        identity::identity,
        links, refusal,
        resources::{self, Numbers, Qos},
    },
    volumes::{mounts, set::VolumeSet},
};

/// What a start needs.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) name: String,
    pub(crate) attempt: u32,
    pub(crate) sandbox: Sandbox,
    pub(crate) addresses: Addresses,
    pub(crate) volumes: Arc<VolumeSet>,
    pub(crate) cancel: CancellationToken,
}

/// A container that runs.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) started_at: Timestamp,
    pub(crate) image: (String, String),
    pub(crate) stop_signal: Option<String>,
    /// Its postStart hook, if it failed: the container has to be ended.
    pub(crate) hook: Option<String>,
}

/// Keys of the notes that containers carry through a restart of the server.
pub(crate) const IMAGE: &str = "image";
pub(crate) const IMAGE_ID: &str = "image-id";
pub(crate) const STOP_SIGNAL: &str = "stop-signal";

impl Launch {
    /// Does it. Events are told on the way.
    pub(crate) async fn run(self) -> Result<Launched, LaunchError> {
        let Some(container) = pod::container(&self.pod, &self.name) else { return Err(LaunchError::Cancelled) };
        let container = &*container;
        self.refuse(container)?;
        let image = pull::image(&self.shared, &self.pod, container, &self.cancel).await?;
        if self.cancel.is_cancelled() {
            return Err(LaunchError::Cancelled);
        }
        let spec = match self.spec(container, &image).await {
            Ok(spec) => spec,
            Err(error) => {
                self.shared.container_warning(&self.pod, &self.name, "Failed", format!("Error: {error}"));
                return Err(error);
            }
        };
        let notes = spec.annotations.clone();
        let note = |key: &str| notes.get(key).cloned();
        let started_at = self.start(spec).await?;
        let hook = self.post_start(container).await;
        let image = (note(IMAGE).unwrap_or_default(), note(IMAGE_ID).unwrap_or_default());
        Ok(Launched { started_at, image, stop_signal: note(STOP_SIGNAL), hook })
    }

    /// What belongs to the pod was looked at with the pod; what came later was not.
    fn refuse(&self, container: &Container) -> Result<(), LaunchError> {
        let list = ephemeral::all(&self.pod).iter().position(|own| own.name == container.name);
        let first = list.and_then(|at| {
            let path = format!("spec.ephemeralContainers[{at}]");
            refusal::of_container(container, &path).into_iter().next()
        });
        let Some(first) = first else { return Ok(()) };
        self.shared.container_warning(&self.pod, &self.name, "Unsupported", first.to_string());
        Err(LaunchError::Refused(first))
    }

    async fn start(&self, spec: ContainerSpec) -> Result<Timestamp, LaunchError> {
        let Ok(_permit) = self.shared.starts.acquire().await else { return Err(LaunchError::Cancelled) };
        let tell = |reason, message: &str| self.shared.container_normal(&self.pod, &self.name, reason, message);
        tell("Created", "Container created");
        match self.sandbox.start(spec).await {
            Ok(started) => {
                tell("Started", "Container started");
                Ok(started.started_at)
            }
            Err(error) => {
                let error = match error {
                    StartError::Fault(fault @ Fault::NoTarget { .. }) => LaunchError::Target(fault),
                    StartError::Fault(fault) => LaunchError::Start(fault.to_string()),
                    StartError::Sandbox(error) => LaunchError::Sandbox(error),
                };
                self.shared.container_warning(&self.pod, &self.name, "Failed", format!("Error: {error}"));
                Err(error)
            }
        }
    }

    async fn post_start(&self, container: &Container) -> Option<String> {
        let hook = container.lifecycle.as_ref()?.post_start.as_ref()?;
        let address = self.addresses.pod.first().map_or("", String::as_str);
        let error = hooks::run(&self.sandbox, container, address, hook).await.err()?;
        let message = format!("PostStartHook failed: {error}");
        self.shared.container_warning(&self.pod, &self.name, "FailedPostStartHook", message);
        Some(error.to_string())
    }

    async fn environment(&self, container: &Container) -> Result<Vec<(String, String)>, LaunchError> {
        let namespace = pod::namespace(&self.pod);
        let mut objects = BTreeMap::new();
        for reference in env::references(container) {
            let payload = self.shared.sources.get(namespace, &reference).await?;
            objects.insert(reference, payload);
        }
        let wants_links = pod::spec(&self.pod).enable_service_links != Some(false);
        let mut services = self.shared.services.list_in(namespace);
        if namespace != "default" {
            services.extend(self.shared.services.get("default", "kubernetes"));
        }
        let services = services.iter().map(|service| &**service);
        let around = env::Surroundings {
            objects: &objects,
            services: links::variables(services.filter(|service| links::concerns(service, namespace, wants_links))),
            addresses: &self.addresses,
            allocatable: &self.shared.allocatable,
        };
        Ok(env::environment(&self.pod, container, &around)?)
    }

    /// Everything that the runtime has to know.
    async fn spec(&self, container: &Container, image: &Image) -> Result<ContainerSpec, LaunchError> {
        let (pod, config) = (&*self.pod, &*self.shared.config);
        let uid = pod::uid(pod);
        let own = self.environment(container).await?;
        let argv = env::argv(container, &image.config.entrypoint, &image.config.cmd, &own);
        let identity = identity(pod, container, &image.config.user)?;
        let inputs = mounts::Inputs {
            container,
            paths: &self.volumes.paths(uid),
            ours: &|name| self.volumes.is_ours(name),
            env: &own,
            pins: config.pod_dir(uid).join("sub-paths").join(&container.name),
        };
        let mut all_mounts = files::mounts(config, pod, container, self.attempt)?;
        all_mounts.extend(mounts::mounts(&inputs)?);
        let security = Security::of(pod, container);
        let stop_signal = container
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.stop_signal.clone())
            .or_else(|| image.config.stop_signal.clone());
        let cwd = container.working_dir.clone().filter(|cwd| !cwd.is_empty());
        let cwd = cwd.unwrap_or_else(|| image.config.working_dir.clone());
        Ok(ContainerSpec {
            name: container.name.clone(),
            attempt: self.attempt,
            layers: image.layers.clone(),
            argv,
            env: env::over_image(&image.config.env, own),
            cwd: if cwd.is_empty() { "/".to_owned() } else { cwd },
            user: User { name: identity.user, gid: identity.gid, groups: identity.groups },
            capabilities: security.capabilities,
            privileged: security.privileged,
            readonly_root: security.readonly_root,
            seccomp: security.seccomp,
            no_new_privileges: security.no_new_privileges,
            masked_paths: security.masked,
            readonly_paths: security.readonly,
            mounts: all_mounts,
            processes_of: ephemeral::target(pod, &container.name).map(str::to_owned),
            limits: limits(&resources::of_container(container)),
            oom_score_adj: Qos::of(pod).oom_score_adj(container, self.shared.memory),
            stop_signal: stop_signal.clone(),
            stdin: container.stdin == Some(true),
            tty: container.tty == Some(true),
            log: Some(Log::new(files::log(config, uid, &container.name, self.attempt))),
            annotations: notes(container, image, stop_signal),
        })
    }
}

fn notes(container: &Container, image: &Image, stop_signal: Option<String>) -> BTreeMap<String, String> {
    let asked = container.image.clone().unwrap_or_default();
    let name = image.names.first().cloned().unwrap_or_else(|| asked.clone());
    // An image may have several names: the one that was asked for is the one to show.
    let full = asked.parse::<skiff_image::Reference>().map(|reference| reference.to_string());
    let name = full.ok().filter(|full| image.names.contains(full)).unwrap_or(name);
    let list = [(IMAGE, Some(name)), (IMAGE_ID, Some(image.image_id())), (STOP_SIGNAL, stop_signal)];
    list.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// Numbers as the runtime takes them.
pub(crate) fn limits(numbers: &Numbers) -> Limits {
    Limits {
        cpu_shares: Some(numbers.cpu_shares),
        cpu_quota: numbers.cpu_quota,
        cpu_period: numbers.cpu_quota.map(|_| 100_000),
        memory: numbers.memory,
        pids: None,
    }
}

/// What a container may do.
#[derive(Debug, PartialEq, Eq)]
struct Security {
    capabilities: Capabilities,
    privileged: bool,
    readonly_root: bool,
    seccomp: Seccomp,
    no_new_privileges: bool,
    masked: Vec<PathBuf>,
    readonly: Vec<PathBuf>,
}

impl Security {
    fn of(pod: &Pod, container: &Container) -> Self {
        let none = SecurityContext::default();
        let own = container.security_context.as_ref().unwrap_or(&none);
        let of_pod = pod::spec(pod).security_context.as_ref();
        let seccomp = own.seccomp_profile.as_ref().or(of_pod.and_then(|pod| pod.seccomp_profile.as_ref()));
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
        let unmasked = own.proc_mount.as_deref() == Some("Unmasked");
        let list = |names: Option<&Vec<String>>| names.cloned().unwrap_or_default();
        let capabilities = own.capabilities.as_ref();
        Self {
            capabilities: Capabilities {
                add: list(capabilities.and_then(|own| own.add.as_ref())),
                drop: list(capabilities.and_then(|own| own.drop.as_ref())),
            },
            privileged: own.privileged == Some(true),
            readonly_root: own.read_only_root_filesystem == Some(true),
            seccomp: match seccomp.map(|profile| profile.type_.as_str()) {
                Some("Unconfined") => Seccomp::Unconfined,
                _ => Seccomp::Default,
            },
            no_new_privileges: own.allow_privilege_escalation == Some(false),
            masked: if unmasked { Vec::new() } else { paths(MASKED_PATHS) },
            readonly: if unmasked { Vec::new() } else { paths(READONLY_PATHS) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_contexts_are_read() {
        let pod: Pod = serde_json::from_value(serde_json::json!({"metadata": {}, "spec": {
            "securityContext": {"seccompProfile": {"type": "Unconfined"}},
            "containers": [{"name": "a"}, {"name": "b", "securityContext": {
                "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}, "readOnlyRootFilesystem": true,
                "allowPrivilegeEscalation": false, "procMount": "Unmasked",
                "seccompProfile": {"type": "RuntimeDefault"}}}]}}))
        .unwrap();
        let plain = Security::of(&pod, &pod::spec(&pod).containers[0]);
        assert_eq!(plain.seccomp, Seccomp::Unconfined);
        assert!(!plain.privileged && !plain.readonly_root && !plain.no_new_privileges);
        assert_eq!(plain.masked.len(), MASKED_PATHS.len());
        let strict = Security::of(&pod, &pod::spec(&pod).containers[1]);
        assert_eq!(strict.seccomp, Seccomp::Default);
        assert!(strict.readonly_root && strict.no_new_privileges && strict.masked.is_empty());
        let wanted = Capabilities { add: vec!["NET_ADMIN".to_owned()], drop: vec!["ALL".to_owned()] };
        assert_eq!(strict.capabilities, wanted);
    }
}
