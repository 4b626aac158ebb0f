//! Builders of the objects that the tests answer from.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{
            LoadBalancerIngress, LoadBalancerStatus, Namespace, Pod, PodIP, PodSpec, PodStatus, Service, ServicePort,
            ServiceSpec, ServiceStatus,
        },
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

fn meta(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { namespace: Some(namespace.to_owned()), name: Some(name.to_owned()), ..ObjectMeta::default() }
}

pub(super) fn namespace(name: &str) -> Namespace {
    Namespace { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..Namespace::default() }
}

/// `address` is a cluster address, `None`, or an external name if it has letters.
pub(super) fn service(namespace: &str, name: &str, address: &str, port: Option<(&str, i32)>) -> Service {
    let ports = port.map(|(name, port)| {
        vec![ServicePort {
            name: Some(name.to_owned()),
            port,
            protocol: Some("TCP".to_owned()),
            ..ServicePort::default()
        }]
    });
    let external = address != "None" && address.parse::<std::net::IpAddr>().is_err();
    let spec = ServiceSpec {
        cluster_ip: (!external).then(|| address.to_owned()),
        external_name: external.then(|| address.to_owned()),
        type_: Some(if external { "ExternalName" } else { "ClusterIP" }.to_owned()),
        ports,
        ..ServiceSpec::default()
    };
    Service { metadata: meta(namespace, name), spec: Some(spec), ..Service::default() }
}

pub(super) fn balanced(mut service: Service, hostname: Option<&str>, ip: Option<&str>) -> Service {
    if let Some(spec) = &mut service.spec {
        spec.type_ = Some("LoadBalancer".to_owned());
    }
    let point = LoadBalancerIngress {
        hostname: hostname.map(str::to_owned),
        ip: ip.map(str::to_owned),
        ..LoadBalancerIngress::default()
    };
    let load_balancer = Some(LoadBalancerStatus { ingress: Some(vec![point]) });
    service.status = Some(ServiceStatus { load_balancer, ..ServiceStatus::default() });
    service
}

pub(super) fn endpoint(address: &str, hostname: Option<&str>, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.to_owned()],
        hostname: hostname.map(str::to_owned),
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        ..Endpoint::default()
    }
}

pub(super) fn slice(
    namespace: &str,
    service: &str,
    endpoints: Vec<Endpoint>,
    port: Option<(&str, i32)>,
) -> EndpointSlice {
    let labels = BTreeMap::from([("kubernetes.io/service-name".to_owned(), service.to_owned())]);
    let ports = port.map(|(name, port)| {
        vec![EndpointPort {
            name: Some(name.to_owned()),
            port: Some(port),
            protocol: Some("TCP".to_owned()),
            ..EndpointPort::default()
        }]
    });
    EndpointSlice {
        metadata: ObjectMeta { labels: Some(labels), ..meta(namespace, &format!("{service}-1")) },
        address_type: "IPv4".to_owned(),
        endpoints: Some(endpoints),
        ports,
    }
}

pub(super) fn pod(namespace: &str, name: &str, address: &str) -> Pod {
    Pod {
        metadata: meta(namespace, name),
        spec: Some(PodSpec { dns_policy: Some("ClusterFirst".to_owned()), ..PodSpec::default() }),
        status: Some(PodStatus {
            phase: Some("Running".to_owned()),
            pod_ip: Some(address.to_owned()),
            pod_ips: Some(vec![PodIP { ip: address.to_owned() }]),
            ..PodStatus::default()
        }),
    }
}

/// A small cluster with one of everything.
pub(super) fn cluster() -> crate::fixed::Objects {
    let named = Some(("http", 8888));
    let headless = vec![
        endpoint("10.1.0.11", Some("Db-0"), true),
        endpoint("10.1.0.12", None, true),
        endpoint("10.1.0.13", None, false),
    ];
    let many = (1..=100).map(|n| endpoint(&format!("10.1.1.{n}"), None, true)).collect();
    crate::fixed::Objects {
        namespaces: ["default", "kube-system", "shop"].map(namespace).into(),
        services: vec![
            service("default", "kubernetes", "10.96.0.1", Some(("https", 443))),
            service("kube-system", "kube-dns", "10.96.0.10", Some(("dns-tcp", 53))),
            balanced(service("default", "httpenv", "10.96.1.1", named), Some("localhost"), None),
            balanced(service("shop", "httpenv", "10.96.1.2", named), None, Some("127.0.0.2")),
            service("shop", "db", "None", named),
            service("shop", "empty", "None", named),
            service("shop", "many", "None", named),
            service("shop", "away", "www.example.com", None),
            service("shop", "alias", "httpenv.default.svc.cluster.local", None),
            service("shop", "round", "round.shop.svc.cluster.local", None),
        ],
        slices: vec![
            slice("default", "httpenv", vec![endpoint("10.1.0.5", None, true)], named),
            slice("shop", "db", headless, named),
            slice("shop", "empty", vec![endpoint("10.1.0.14", None, false)], named),
            slice("shop", "many", many, named),
        ],
        pods: vec![pod("default", "web", "10.1.0.5"), pod("shop", "db-0", "10.1.0.11")],
    }
}
