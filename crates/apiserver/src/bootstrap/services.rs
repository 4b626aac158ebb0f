//! `kubernetes`, by which pods reach this server, and `kube-dns`, by which they reach the cluster's DNS.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::Plan;
use crate::{config::Dns, error::Error};

const ENDPOINTS: [&str; 2] = ["", "endpoints"];
const SLICES: [&str; 2] = ["discovery.k8s.io", "endpointslices"];

/// The Services with their endpoints.
pub(super) fn plan(plan: &mut Plan<'_>) -> Result<(), Error> {
    kubernetes(plan)?;
    match plan.state.config.dns {
        Some(dns) => kube_dns(plan, dns),
        None => Ok(()),
    }
}

fn kubernetes(plan: &mut Plan<'_>) -> Result<(), Error> {
    let config = &plan.state.config;
    let (address, port, service) = (config.advertise_address, config.port, config.kubernetes_address());
    let metadata = json!({"name": "kubernetes", "namespace": "default",
        "labels": {"component": "apiserver", "provider": "kubernetes"}});
    let spec = json!({
        "type": "ClusterIP",
        "clusterIP": service,
        "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
    });
    plan.ensure("", "services", json!({"metadata": metadata, "spec": spec}))?;
    endpoints(plan, "kubernetes", "default", address, &json!([{"name": "https", "port": port, "protocol": "TCP"}]))
}

fn kube_dns(plan: &mut Plan<'_>, dns: Dns) -> Result<(), Error> {
    let metadata = json!({"name": "kube-dns", "namespace": "kube-system", "labels": {
        "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}});
    let spec = json!({
        "type": "ClusterIP",
        "clusterIP": dns.service_ip,
        "ports": [
            {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 53},
            {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": 53},
        ],
    });
    plan.ensure("", "services", json!({"metadata": metadata, "spec": spec}))?;
    let ports =
        json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]);
    match dns.endpoint {
        Some(address) => endpoints(plan, "kube-dns", "kube-system", address, &ports),
        None => Ok(()),
    }
}

fn endpoints(plan: &mut Plan<'_>, name: &str, namespace: &str, address: IpAddr, ports: &Value) -> Result<(), Error> {
    let subsets = json!([{"addresses": [{"ip": address}], "ports": ports}]);
    // The slice below says it already; nobody has to mirror it.
    let labels = json!({"endpointslice.kubernetes.io/skip-mirror": "true"});
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
    plan.insist(ENDPOINTS[0], ENDPOINTS[1], json!({"metadata": metadata, "subsets": subsets}), &["subsets"])?;
    let labels = json!({"kubernetes.io/service-name": name});
    let slice = json!({
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": ports,
    });
    plan.insist(SLICES[0], SLICES[1], slice, &["endpoints", "ports"])
}
