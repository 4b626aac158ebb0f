//! Pure knowledge about pods: what their fields mean on a node. No clock, no I/O.

pub(crate) mod backoff;
pub(crate) mod env;
pub(crate) mod ephemeral;
pub(crate) mod expand;
pub(crate) mod fields;
pub(crate) mod hosts;
pub(crate) mod identity;
pub(crate) mod links;
pub(crate) mod refusal;
pub(crate) mod resolv;
pub(crate) mod resources;

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

static NO_SPEC: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);

/// The pod's spec; the API server lets no pod through without one.
pub(crate) fn spec(pod: &Pod) -> &PodSpec {
    pod.spec.as_ref().unwrap_or(&NO_SPEC)
}

/// The init containers, in order.
pub(crate) fn init_containers(pod: &Pod) -> &[Container] {
    spec(pod).init_containers.as_deref().unwrap_or_default()
}

/// The container of that name, of any sort.
pub(crate) fn container<'a>(pod: &'a Pod, name: &str) -> Option<Cow<'a, Container>> {
    let own = init_containers(pod).iter().chain(&spec(pod).containers).find(|container| container.name == name);
    let ephemeral = || ephemeral::all(pod).iter().find(|own| own.name == name).map(ephemeral::as_container);
    own.map(Cow::Borrowed).or_else(|| ephemeral().map(Cow::Owned))
}

pub(crate) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

pub(crate) fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

pub(crate) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// How Kubernetes writes a pod in messages: `name_namespace(uid)`.
pub(crate) fn full_name(pod: &Pod) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

/// What the pod calls itself: `spec.hostname` or its name, cut to what a hostname may hold.
pub(crate) fn hostname(pod: &Pod) -> String {
    let spec = spec(pod);
    let wanted = spec.hostname.as_deref().filter(|name| !name.is_empty()).unwrap_or_else(|| name(pod));
    wanted.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

pub(crate) fn host_network(pod: &Pod) -> bool {
    spec(pod).host_network == Some(true)
}

/// When a container that ended runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    pub(crate) fn of(pod: &Pod) -> Self {
        match spec(pod).restart_policy.as_deref() {
            Some("OnFailure") => Self::OnFailure,
            Some("Never") => Self::Never,
            _ => Self::Always,
        }
    }

    /// Whether a container that ended with `exit_code` runs again.
    pub(crate) fn again(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// Whether the pod has ended for good, as its status in the API says.
pub(crate) fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
