//! Services and slices in few words.

use std::{net::Ipv4Addr, sync::Arc};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use serde_json::{Value, json};
use skiff_client::Delta;
use skiff_proxy::{Event, Settings};

pub(crate) const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 50);

pub(crate) fn settings() -> Settings {
    Settings {
        node: "here".to_owned(),
        zone: None,
        node_ip: Some(Ipv4Addr::new(10, 1, 0, 1)),
        cluster_cidr: "10.1.0.0/16".parse().unwrap(),
        service_cidr: "10.96.0.0/12".parse().unwrap(),
        dns_address: Some(Ipv4Addr::new(169, 254, 20, 10)),
    }
}

/// A service `name` with one port, 80 → 8080, and what `more` adds to its spec.
pub(crate) fn service(name: &str, more: Value) -> Service {
    let mut spec = json!({
        "type": "ClusterIP", "clusterIP": CLUSTER_IP, "clusterIPs": [CLUSTER_IP],
        "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
    });
    let fields = spec.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec})).unwrap()
}

/// Its slice: endpoints as `address@node`, `address@node!` if it only serves while it terminates.
pub(crate) fn slice(name: &str, protocol: &str, port: u16, endpoints: &[&str]) -> EndpointSlice {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|text| {
            let terminating = text.ends_with('!');
            let (ip, node) = text.trim_end_matches('!').split_once('@').unwrap();
            let conditions = json!({"ready": !terminating, "serving": true, "terminating": terminating});
            json!({"addresses": [ip], "nodeName": node, "conditions": conditions})
        })
        .collect();
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("{name}-1"), "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4", "ports": [{"port": port, "protocol": protocol}], "endpoints": endpoints,
    }))
    .unwrap()
}

pub(crate) fn applied(service: Service) -> Event {
    Event::Service(Delta::Applied { object: Arc::new(service), previous: None })
}

pub(crate) fn deleted(service: Service) -> Event {
    Event::Service(Delta::Deleted(Arc::new(service)))
}

pub(crate) fn endpoints(slice: EndpointSlice) -> Event {
    Event::Slice(Delta::Applied { object: Arc::new(slice), previous: None })
}

pub(crate) fn synced() -> [Event; 2] {
    [Event::Service(Delta::Synced), Event::Slice(Delta::Synced)]
}
