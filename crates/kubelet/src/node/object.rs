//! The Node object, from the machine's facts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, NodeSystemInfo},
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, Time},
    },
};

use super::facts::{Facts, Pressure};
use crate::config::Config;

/// Memory that pods cannot ask for: what is left free so that the machine goes on.
const RESERVED_MEMORY: u64 = 100 << 20;

/// The Node as it should be. Times of conditions that have not changed are taken from `held`.
pub(crate) fn node(config: &Config, facts: &Facts, pressure: Pressure, held: Option<&Node>, now: Timestamp) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(config.node_name.clone()),
            labels: Some(labels(config, facts)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidr: Some(config.pod_cidr.clone()),
            pod_cidrs: Some(vec![config.pod_cidr.clone()]),
            ..NodeSpec::default()
        }),
        status: Some(NodeStatus {
            capacity: Some(resources(config, facts, 0)),
            allocatable: Some(allocatable(config, facts)),
            conditions: Some(conditions(pressure, held, now)),
            addresses: Some(addresses(config)),
            node_info: Some(info(config, facts)),
            ..NodeStatus::default()
        }),
    }
}

fn labels(config: &Config, facts: &Facts) -> BTreeMap<String, String> {
    [
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/arch", facts.architecture),
        ("kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", facts.architecture),
        ("beta.kubernetes.io/os", "linux"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn resources(config: &Config, facts: &Facts, reserved: u64) -> BTreeMap<String, Quantity> {
    let memory = facts.memory.saturating_sub(reserved) / 1024;
    [
        ("cpu", facts.cpus.to_string()),
        ("memory", format!("{memory}Ki")),
        ("ephemeral-storage", format!("{}Ki", facts.disk / 1024)),
        ("pods", config.max_pods.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), Quantity(value)))
    .into()
}

/// What pods may ask for.
pub(crate) fn allocatable(config: &Config, facts: &Facts) -> BTreeMap<String, Quantity> {
    resources(config, facts, RESERVED_MEMORY)
}

fn addresses(config: &Config) -> Vec<NodeAddress> {
    let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    vec![address("InternalIP", config.node_ip.to_string()), address("Hostname", config.node_name.clone())]
}

fn info(config: &Config, facts: &Facts) -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: facts.architecture.to_owned(),
        boot_id: facts.boot_id.clone(),
        container_runtime_version: format!("skiff://{}", config.version),
        kernel_version: facts.kernel.clone(),
        kube_proxy_version: String::new(),
        kubelet_version: config.kubelet_version.clone(),
        machine_id: facts.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: facts.os_image.clone(),
        swap: None,
        system_uuid: facts.system_uuid.clone(),
    }
}

fn conditions(pressure: Pressure, held: Option<&Node>, now: Timestamp) -> Vec<NodeCondition> {
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let before = held.and_then(|node| node.status.as_ref()?.conditions.as_ref());
    let choose = |bad: bool, when_bad: &'static str, when_good: &'static str| if bad { when_bad } else { when_good };
    let list = [
        (
            "MemoryPressure",
            pressure.memory,
            choose(pressure.memory, "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory"),
            choose(
                pressure.memory,
                "kubelet has insufficient memory available",
                "kubelet has sufficient memory available",
            ),
        ),
        (
            "DiskPressure",
            pressure.disk,
            choose(pressure.disk, "KubeletHasDiskPressure", "KubeletHasNoDiskPressure"),
            choose(pressure.disk, "kubelet has disk pressure", "kubelet has no disk pressure"),
        ),
        (
            "PIDPressure",
            pressure.pids,
            choose(pressure.pids, "KubeletHasInsufficientPID", "KubeletHasSufficientPID"),
            choose(pressure.pids, "kubelet has insufficient PID available", "kubelet has sufficient PID available"),
        ),
        ("Ready", true, "KubeletReady", "kubelet is posting ready status"),
    ];
    let condition = |(type_, yes, reason, message): (&str, bool, &str, &str)| {
        let status = if yes { "True" } else { "False" };
        let had = before.and_then(|list| list.iter().find(|had| had.type_ == type_ && had.status == status));
        let since = had.and_then(|had| had.last_transition_time.clone()).unwrap_or_else(|| now.clone());
        NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(now.clone()),
            last_transition_time: Some(since),
        }
    };
    list.into_iter().map(condition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts { cpus: 2, memory: 2 << 30, disk: 10 << 30, architecture: "amd64", ..Facts::default() }
    }

    #[test]
    fn the_node_says_what_it_has() {
        let config = Config::new("n1", [192, 0, 2, 7].into());
        let node = node(&config, &facts(), Pressure::default(), None, Timestamp::UNIX_EPOCH);
        let status = node.status.unwrap();
        let text = |map: Option<BTreeMap<String, Quantity>>, key: &str| map.unwrap()[key].0.clone();
        assert_eq!(text(status.capacity.clone(), "memory"), "2097152Ki");
        assert_eq!(text(status.allocatable.clone(), "memory"), "1994752Ki");
        assert_eq!(text(status.capacity.clone(), "cpu"), "2");
        assert_eq!(text(status.capacity, "pods"), "110");
        assert_eq!(node.metadata.labels.unwrap()["kubernetes.io/hostname"], "n1");
        assert_eq!(node.spec.unwrap().pod_cidr.as_deref(), Some("10.1.0.0/24"));
        let ready: Vec<_> =
            status.conditions.unwrap().into_iter().map(|condition| (condition.type_, condition.status)).collect();
        let wanted =
            [("MemoryPressure", "False"), ("DiskPressure", "False"), ("PIDPressure", "False"), ("Ready", "True")];
        assert_eq!(ready, wanted.map(|(type_, status)| (type_.to_owned(), status.to_owned())));
    }

    #[test]
    fn times_stay_while_nothing_changes() {
        let config = Config::new("n1", [192, 0, 2, 7].into());
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = node(&config, &facts(), Pressure::default(), None, at(10));
        let second = node(&config, &facts(), Pressure { disk: true, ..Pressure::default() }, Some(&first), at(20));
        let conditions = second.status.unwrap().conditions.unwrap();
        let times: Vec<_> = conditions.into_iter().map(|condition| condition.last_transition_time.unwrap().0).collect();
        assert_eq!(times, [at(10), at(20), at(10), at(10)]);
    }
}
