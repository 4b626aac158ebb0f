//! `status.loadBalancer` of Services: what it should be, and writing it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::{LoadBalancerIngress, ObjectReference, PortStatus, Service};
use serde_json::json;
use skiff_client::{
    Informer, Next, Queue, Recorder,
    kube::{
        Api, Client,
        api::{Patch, PatchParams},
    },
};

use crate::{
    Error,
    index::{self, Place, Port, ServiceKey},
    plan::{Problem, Refusal},
};

const IN_USE: &str = "skiff.dev/PortInUse";
const REFUSED: &str = "skiff.dev/PortRefused";
const NO_PROTOCOL: &str = "skiff.dev/ProtocolNotSupported";

/// The entries of a published service. `localhost` stands for the loopback addresses that all share.
pub(crate) fn published(place: Place, shared: &[IpAddr], ports: &[Port]) -> Vec<LoadBalancerIngress> {
    let ports: Vec<PortStatus> = ports.iter().map(|port| port_status(*port, None)).collect();
    let at = |address: IpAddr| LoadBalancerIngress {
        ip: Some(address.to_string()),
        ip_mode: Some("Proxy".to_owned()),
        ports: Some(ports.clone()),
        ..LoadBalancerIngress::default()
    };
    if let Place::Own(address) = place {
        return vec![at(address.into())];
    }
    let mut entries = Vec::new();
    if shared.iter().any(IpAddr::is_loopback) {
        let hostname = Some("localhost".to_owned());
        entries.push(LoadBalancerIngress { hostname, ports: Some(ports.clone()), ..LoadBalancerIngress::default() });
    }
    entries.extend(shared.iter().copied().filter(|address| !address.is_loopback()).map(at));
    entries
}

/// The entry of a service that is pending because of `problems`: it has no address, only errors.
pub(crate) fn pending(ports: &[Port], problems: &[Problem]) -> Vec<LoadBalancerIngress> {
    let mut listed = ports
        .iter()
        .filter_map(|port| {
            let problem = problems.iter().find(|problem| !problem.node_port && problem.port == *port)?;
            Some(port_status(*port, Some(error_of(&problem.refusal))))
        })
        .peekable();
    if listed.peek().is_none() {
        return Vec::new();
    }
    vec![LoadBalancerIngress { ports: Some(listed.collect()), ..LoadBalancerIngress::default() }]
}

fn port_status(port: Port, error: Option<&str>) -> PortStatus {
    PortStatus { port: port.number.into(), protocol: port.protocol.to_string(), error: error.map(str::to_owned) }
}

fn error_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Held(_) | Refusal::Service(_) => IN_USE,
        Refusal::Refused(_) => REFUSED,
        Refusal::Protocol => NO_PROTOCOL,
    }
}

/// What a Service's status says now.
pub(crate) fn current(service: &Service) -> &[LoadBalancerIngress] {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    status.and_then(|status| status.ingress.as_deref()).unwrap_or_default()
}

/// Whether all of the status is of our making: nobody else publishes on loopback addresses.
pub(crate) fn is_of_our_making(ingress: &[LoadBalancerIngress]) -> bool {
    let loopback = |ip: &String| ip.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    let ours = |entry: &LoadBalancerIngress| {
        let addressless = entry.ip.is_none() && entry.hostname.is_none();
        let error =
            entry.ports.iter().flatten().any(|port| port.error.as_ref().is_some_and(|e| e.starts_with("skiff.dev/")));
        entry.hostname.as_deref() == Some("localhost")
            || entry.ip.as_ref().is_some_and(loopback)
            || (addressless && error)
    };
    !ingress.is_empty() && ingress.iter().all(ours)
}

/// Writes statuses in the background.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    services: Informer<Service>,
    desired: Arc<Mutex<HashMap<ServiceKey, Vec<LoadBalancerIngress>>>>,
    pub(crate) queue: Queue<ServiceKey>,
    recorder: Recorder,
}

impl Writer {
    pub(crate) fn new(client: Client, services: Informer<Service>, recorder: Recorder) -> Self {
        Self { client, services, desired: Arc::default(), queue: Queue::new(), recorder }
    }

    /// Wants the status of a service to be `ingress`.
    pub(crate) fn set(&self, key: &ServiceKey, ingress: Vec<LoadBalancerIngress>) {
        let mut desired = self.desired.lock().unwrap_or_else(PoisonError::into_inner);
        desired.insert(key.clone(), ingress);
        drop(desired);
        self.queue.add(key.clone());
    }

    /// Wants nothing of a service any more.
    pub(crate) fn forget(&self, key: &ServiceKey) {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Brings one status up to date.
    pub(crate) async fn write(&self, key: ServiceKey) -> Result<Next, Error> {
        let desired = self.desired.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let (Some(desired), Some(service)) = (desired, self.services.get(&key.namespace, &key.name)) else {
            return Ok(Next::OnChange);
        };
        let now = current(&service);
        if now == desired {
            return Ok(Next::OnChange);
        }
        let patch = json!({ "status": { "loadBalancer": { "ingress": desired } } });
        let api: Api<Service> = Api::namespaced(self.client.clone(), &key.namespace);
        match api.patch_status(&key.name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => {
                self.announce(&service, &desired);
                Ok(Next::OnChange)
            }
            Err(skiff_client::kube::Error::Api(status)) if status.code == 404 => Ok(Next::OnChange),
            Err(source) => Err(Error::Status { service: key.to_string(), source: Box::new(source) }),
        }
    }

    fn announce(&self, service: &Service, ingress: &[LoadBalancerIngress]) {
        let names: Vec<&str> =
            ingress.iter().filter_map(|entry| entry.hostname.as_deref().or(entry.ip.as_deref())).collect();
        if index::is_ours(service) && !names.is_empty() {
            self.recorder.normal(
                &reference(service),
                "Published",
                format!("The service answers on {}", names.join(", ")),
            );
        }
    }

    /// Tells the user what is in the way of a service.
    pub(crate) fn warn(&self, service: &Service, reason: &'static str, message: String) {
        self.recorder.warning(&reference(service), reason, message);
    }
}

fn reference(service: &Service) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        namespace: service.metadata.namespace.clone(),
        name: service.metadata.name.clone(),
        uid: service.metadata.uid.clone(),
        resource_version: service.metadata.resource_version.clone(),
        field_path: None,
    }
}
