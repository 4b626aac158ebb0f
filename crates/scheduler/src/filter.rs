//! May a pod run on a node? Each filter answers with the reason that users know from
//! kube-scheduler's `FailedScheduling` events. Pure.

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint};
use kube::ResourceExt as _;
use skiff_api::toleration::tolerates;

use crate::{index::Place, resources::Amounts};

/// A port of the host that a pod wants for itself: address, protocol, number.
pub(crate) type HostPort = (String, String, i32);

/// Why a node is no place for a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    Unschedulable,
    Taint(String),
    Selector,
    Ports,
    TooManyPods,
    Insufficient(String),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unschedulable => f.write_str("node(s) were unschedulable"),
            Self::Taint(taint) => write!(f, "node(s) had untolerated taint(s) {{{taint}}}"),
            Self::Selector => f.write_str("node(s) didn't match Pod's node affinity/selector"),
            Self::Ports => f.write_str("node(s) didn't have free ports for the requested pod ports"),
            Self::TooManyPods => f.write_str("Too many pods"),
            Self::Insufficient(name) => write!(f, "Insufficient {name}"),
        }
    }
}

/// Every reason that speaks against the node; none: it will do.
pub(crate) fn reasons(pod: &Pod, asked: &Amounts, place: &Place) -> Vec<Reason> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let refusal =
        schedulable(spec, &place.node).or_else(|| taint(spec, &place.node)).or_else(|| selector(spec, &place.node));
    if let Some(reason) = refusal.or_else(|| ports(pod, place)) {
        return vec![reason];
    }
    room(asked, place)
}

fn schedulable(spec: &PodSpec, node: &Node) -> Option<Reason> {
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let taint =
        Taint { key: "node.kubernetes.io/unschedulable".into(), effect: "NoSchedule".into(), ..Taint::default() };
    (cordoned && !is_tolerated(spec, &taint)).then_some(Reason::Unschedulable)
}

fn taint(spec: &PodSpec, node: &Node) -> Option<Reason> {
    let taints = node.spec.as_ref()?.taints.as_ref()?;
    let hard = taints.iter().filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
    let refused = hard.into_iter().find(|taint| !is_tolerated(spec, taint))?;
    let value = refused.value.as_ref().map_or(String::new(), |value| format!(": {value}"));
    Some(Reason::Taint(format!("{}{value}", refused.key)))
}

fn is_tolerated(spec: &PodSpec, taint: &Taint) -> bool {
    spec.tolerations.iter().flatten().any(|toleration| tolerates(toleration, taint))
}

fn selector(spec: &PodSpec, node: &Node) -> Option<Reason> {
    let labels = node.labels();
    let simple = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let required = spec.affinity.as_ref().and_then(|affinity| {
        affinity.node_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
    });
    let affine = required.is_none_or(|selector| selector.node_selector_terms.iter().any(|term| term_fits(term, node)));
    (!simple || !affine).then_some(Reason::Selector)
}

/// Whether a term picks the node; an empty term picks none.
pub(crate) fn term_fits(term: &NodeSelectorTerm, node: &Node) -> bool {
    let (by_label, by_field) = (term.match_expressions.as_deref(), term.match_fields.as_deref());
    let (by_label, by_field) = (by_label.unwrap_or_default(), by_field.unwrap_or_default());
    let name = node.name_any();
    (!by_label.is_empty() || !by_field.is_empty())
        && by_label.iter().all(|rule| rule_fits(rule, node.labels().get(&rule.key).map(String::as_str)))
        && by_field.iter().all(|rule| rule_fits(rule, (rule.key == "metadata.name").then_some(name.as_str())))
}

fn rule_fits(rule: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = rule.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|one| one == value));
    let compared = || {
        let number: i64 = value?.parse().ok()?;
        Some(number.cmp(&values.first()?.parse().ok()?))
    };
    match rule.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared() == Some(std::cmp::Ordering::Greater),
        "Lt" => compared() == Some(std::cmp::Ordering::Less),
        _ => false,
    }
}

/// The host ports that a pod asks for; a pod in the host's network takes all its ports there.
pub(crate) fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let containers = pod.spec.iter().flat_map(|spec| spec.containers.iter());
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let wanted = ports.filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        Some((port.host_ip.clone().unwrap_or_default(), protocol, number))
    });
    wanted.collect()
}

fn ports(pod: &Pod, place: &Place) -> Option<Reason> {
    let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
    let clash = |a: &HostPort, b: &HostPort| a.1 == b.1 && a.2 == b.2 && (any(&a.0) || any(&b.0) || a.0 == b.0);
    let taken = host_ports(pod).iter().any(|wanted| place.ports.iter().any(|held| clash(wanted, held)));
    taken.then_some(Reason::Ports)
}

fn room(asked: &Amounts, place: &Place) -> Vec<Reason> {
    let offered = |name: &str| place.offered.get(name).copied().unwrap_or_default();
    let limit = usize::try_from(offered("pods")).unwrap_or(usize::MAX);
    let full = (place.pods >= limit).then_some(Reason::TooManyPods);
    let short = asked.iter().filter(|(name, amount)| {
        let taken = place.asked.get(*name).copied().unwrap_or_default();
        **amount > 0 && **amount > offered(name) - taken
    });
    full.into_iter().chain(short.map(|(name, _)| Reason::Insufficient(name.clone()))).collect()
}
