//! Objects as tests need them: valid, small, and with one line for what matters.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Container, Node, NodeSpec, Pod, PodSpec, Service, ServicePort, ServiceSpec},
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::api::ObjectMeta;

fn metadata(namespace: &str, name: &str, labels: &[(&str, &str)]) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        labels: (!labels.is_empty()).then(|| map(labels)),
        ..ObjectMeta::default()
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A pod with one container, called `main`, of that image.
#[must_use]
pub fn pod(namespace: &str, name: &str, labels: &[(&str, &str)], image: &str) -> Pod {
    let container = Container { name: "main".to_owned(), image: Some(image.to_owned()), ..Container::default() };
    let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
    Pod { metadata: metadata(namespace, name, labels), spec: Some(spec), status: None }
}

/// A node, ready to be scheduled to as far as its spec says.
#[must_use]
pub fn node(name: &str, labels: &[(&str, &str)]) -> Node {
    Node { metadata: metadata("", name, labels), spec: Some(NodeSpec::default()), status: None }
}

/// A ClusterIP Service that sends these TCP ports to the same ports of the selected pods.
#[must_use]
pub fn service(namespace: &str, name: &str, selector: &[(&str, &str)], ports: &[u16]) -> Service {
    let port = |port: &u16| ServicePort {
        name: (ports.len() > 1).then(|| format!("port-{port}")),
        port: i32::from(*port),
        target_port: Some(IntOrString::Int(i32::from(*port))),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        selector: (!selector.is_empty()).then(|| map(selector)),
        ports: Some(ports.iter().map(port).collect()),
        ..ServiceSpec::default()
    };
    Service { metadata: metadata(namespace, name, &[]), spec: Some(spec), status: None }
}

/// An EndpointSlice of a Service: ready IPv4 addresses, all with these TCP ports.
#[must_use]
pub fn endpoint_slice(namespace: &str, name: &str, service: &str, addresses: &[&str], ports: &[u16]) -> EndpointSlice {
    let endpoint = |address: &&str| Endpoint {
        addresses: vec![(*address).to_owned()],
        conditions: Some(EndpointConditions { ready: Some(true), ..EndpointConditions::default() }),
        ..Endpoint::default()
    };
    let port = |port: &u16| EndpointPort {
        name: (ports.len() > 1).then(|| format!("port-{port}")),
        port: Some(i32::from(*port)),
        protocol: Some("TCP".to_owned()),
        ..EndpointPort::default()
    };
    EndpointSlice {
        metadata: metadata(namespace, name, &[("kubernetes.io/service-name", service)]),
        address_type: "IPv4".to_owned(),
        endpoints: Some(addresses.iter().map(endpoint).collect()),
        ports: Some(ports.iter().map(port).collect()),
    }
}
