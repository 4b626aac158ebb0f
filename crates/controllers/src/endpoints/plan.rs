//! Which addresses serve a Service, and how they are laid out in EndpointSlices and Endpoints. Pure.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::{
            EndpointAddress, EndpointPort as PlainPort, EndpointSubset, ObjectReference, Pod, Service, ServicePort,
        },
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use kube::ResourceExt as _;

use crate::pods;

pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(crate) const CONTROLLER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";
/// A slice holds at most so many endpoints (kube-controller-manager's default).
const SLICE: usize = 100;
/// An Endpoints object holds at most so many addresses (KEP-752).
const ENDPOINTS: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// The pods that count for a Service.
pub(crate) fn selected(service: &Service, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    let Some(selector) = selector(service) else { return Vec::new() };
    pods.iter().filter(|pod| picks(selector, pod)).cloned().collect()
}

/// The Service's selector; `None` where endpoints are made by hand, or by a name.
pub(crate) fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    let spec = service.spec.as_ref()?;
    let external = spec.type_.as_deref() == Some("ExternalName");
    spec.selector.as_ref().filter(|selector| !selector.is_empty() && !external)
}

/// Whether a selector picks a pod.
pub(crate) fn picks(selector: &BTreeMap<String, String>, pod: &Pod) -> bool {
    selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value))
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

fn publishes_unready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true)
}

fn address(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref().filter(|address| !address.is_empty())
}

/// The port's number on this pod; a name is looked up among its containers' ports.
fn target(port: &ServicePort, pod: &Pod) -> Option<i32> {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    match port.target_port.as_ref() {
        None => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let restartable =
                spec.init_containers.iter().flatten().filter(|one| one.restart_policy.as_deref() == Some("Always"));
            let ports = spec.containers.iter().chain(restartable).flat_map(|one| one.ports.iter().flatten());
            let fits = |open: &&k8s_openapi::api::core::v1::ContainerPort| {
                open.name.as_ref() == Some(name) && open.protocol.as_deref().unwrap_or("TCP") == protocol
            };
            ports.into_iter().find(fits).map(|open| open.container_port)
        }
    }
}

/// The ports of a Service as one pod serves them, sorted, so that equal sets compare equal.
fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let all = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let served = all.filter_map(|port| {
        Some(EndpointPort {
            name: Some(port.name.clone().unwrap_or_default()),
            port: Some(target(port, pod)?),
            protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
            app_protocol: port.app_protocol.clone(),
        })
    });
    let mut served: Vec<_> = served.collect();
    served.sort_by(|a, b| (&a.name, a.port, &a.protocol).cmp(&(&b.name, b.port, &b.protocol)));
    served
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    (spec.subdomain.as_deref() == Some(&service.name_any())).then(|| spec.hostname.clone())?
}

fn endpoint(service: &Service, pod: &Pod) -> Option<Endpoint> {
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let serving = pods::is_ready(pod);
    Some(Endpoint {
        addresses: vec![address(pod)?.to_owned()],
        conditions: Some(EndpointConditions {
            ready: Some(publishes_unready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(service, pod),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(reference(pod)),
        ..Endpoint::default()
    })
}

/// What to do so that the slices tell what the pods serve.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    pub(crate) create: Vec<EndpointSlice>,
    pub(crate) update: Vec<EndpointSlice>,
    pub(crate) delete: Vec<EndpointSlice>,
}

/// Keeps endpoints in the slices they are in, fills gaps, and makes new slices only for what is left.
pub(crate) fn slices(service: &Service, selected: &[Arc<Pod>], held: &[Arc<EndpointSlice>]) -> Changes {
    let mut changes = Changes::default();
    let mut wanted = by_ports(service, selected);
    let mut spare: BTreeMap<String, Vec<EndpointSlice>> = BTreeMap::new();
    for slice in held {
        let ports = ports_key(slice.ports.as_deref().unwrap_or_default());
        match wanted.get_mut(&ports) {
            Some((_, missing)) if slice.address_type == "IPv4" => {
                let mut kept = EndpointSlice::clone(slice);
                kept.endpoints.get_or_insert_default().retain_mut(|endpoint| keep(endpoint, missing));
                kept.metadata.labels = Some(labels(service));
                spare.entry(ports).or_default().push(kept);
            }
            _ => changes.delete.push(EndpointSlice::clone(slice)),
        }
    }
    for (key, (ports, missing)) in wanted {
        let mut missing: Vec<Endpoint> = missing.into_values().collect();
        let existing = spare.remove(&key).unwrap_or_default();
        for mut slice in existing {
            let endpoints = slice.endpoints.get_or_insert_default();
            let room = SLICE.saturating_sub(endpoints.len());
            endpoints.extend(missing.drain(..room.min(missing.len())));
            let before = held.iter().find(|one| one.metadata.name == slice.metadata.name);
            if endpoints.is_empty() {
                changes.delete.push(slice);
            } else if before.is_none_or(|before| **before != slice) {
                changes.update.push(slice);
            }
        }
        while !missing.is_empty() {
            let rest = missing.split_off(missing.len().min(SLICE));
            changes.create.push(new_slice(service, ports.clone(), missing));
            missing = rest;
        }
    }
    changes
}

type Wanted = BTreeMap<String, (Vec<EndpointPort>, BTreeMap<Vec<String>, Endpoint>)>;

/// The endpoints by the set of ports that they serve; without pods there is none: no slice says that
/// the Service has no endpoints.
fn by_ports(service: &Service, selected: &[Arc<Pod>]) -> Wanted {
    let mut wanted = Wanted::new();
    for pod in selected.iter().filter(|pod| !pods::is_finished(pod)) {
        let Some(endpoint) = endpoint(service, pod) else { continue };
        let ports = ports(service, pod);
        let group = wanted.entry(ports_key(&ports)).or_insert_with(|| (ports, BTreeMap::new()));
        group.1.insert(endpoint.addresses.clone(), endpoint);
    }
    wanted
}

fn ports_key(ports: &[EndpointPort]) -> String {
    ports
        .iter()
        .map(|port| format!("{:?}/{:?}/{:?}/{:?};", port.name, port.port, port.protocol, port.app_protocol))
        .collect()
}

fn keep(endpoint: &mut Endpoint, missing: &mut BTreeMap<Vec<String>, Endpoint>) -> bool {
    missing.remove(&endpoint.addresses).map(|fresh| *endpoint = fresh).is_some()
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.labels().clone();
    labels.insert(SERVICE_NAME.to_owned(), service.name_any());
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    } else {
        labels.remove(HEADLESS);
    }
    labels
}

fn new_slice(service: &Service, ports: Vec<EndpointPort>, endpoints: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice {
        address_type: "IPv4".to_owned(),
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name_any())),
            namespace: service.namespace(),
            labels: Some(labels(service)),
            owner_references: Some(vec![crate::ownership::reference(service)]),
            ..ObjectMeta::default()
        },
        endpoints: Some(endpoints),
        ports: Some(ports),
    }
}

/// The subsets of the Endpoints object: ready and not ready addresses by set of ports.
pub(crate) fn subsets(service: &Service, selected: &[Arc<Pod>]) -> (Vec<EndpointSubset>, bool) {
    let unready_too = publishes_unready(service);
    let mut groups: BTreeMap<String, EndpointSubset> = BTreeMap::new();
    let mut count = 0;
    for pod in selected.iter().filter(|pod| !pods::is_finished(pod)) {
        let going = pod.metadata.deletion_timestamp.is_some();
        let Some(address) = address(pod).filter(|_| !going || unready_too) else { continue };
        count += 1;
        if count > ENDPOINTS {
            break;
        }
        let ports = ports(service, pod);
        let group = groups.entry(ports_key(&ports)).or_insert_with(|| subset(&ports));
        let list =
            if pods::is_ready(pod) || unready_too { &mut group.addresses } else { &mut group.not_ready_addresses };
        list.get_or_insert_default().push(EndpointAddress {
            ip: address.to_owned(),
            hostname: hostname(service, pod),
            node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            target_ref: Some(reference(pod)),
        });
    }
    let sorted = groups.into_values().map(|mut group| {
        for list in [&mut group.addresses, &mut group.not_ready_addresses].into_iter().flatten() {
            list.sort_by(|a, b| a.ip.cmp(&b.ip));
        }
        group
    });
    (sorted.collect(), count > ENDPOINTS)
}

fn subset(ports: &[EndpointPort]) -> EndpointSubset {
    let plain = ports.iter().map(|port| PlainPort {
        name: port.name.clone().filter(|name| !name.is_empty()),
        port: port.port.unwrap_or_default(),
        protocol: port.protocol.clone(),
        app_protocol: port.app_protocol.clone(),
    });
    EndpointSubset { ports: Some(plain.collect()), ..EndpointSubset::default() }
}

/// The Endpoints' labels and annotations beside the Service's own.
pub(crate) fn endpoints_meta(service: &Service, over: bool) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let mut labels = service.labels().clone();
    labels.insert("endpoints.kubernetes.io/managed-by".to_owned(), "endpoint-controller".to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    let truncated = over.then(|| (OVER_CAPACITY.to_owned(), "truncated".to_owned()));
    (labels, truncated.into_iter().collect())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
