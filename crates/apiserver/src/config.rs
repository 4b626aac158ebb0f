//! What an API server has to be told.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use ipnet::Ipv4Net;
use jiff::Timestamp;

use crate::{
    components::ComponentRegistry,
    nodes::NodeRegistry,
    pki::{Pki, PkiError, ServingNames},
};

/// An inclusive range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

/// The cluster's DNS server, for the `kube-dns` Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The Service's ClusterIP, by default 10.96.0.10.
    pub service_ip: IpAddr,
    /// An address of the DNS server that pods reach, by which the Service has an endpoint.
    pub endpoint: Option<IpAddr>,
}

/// What an API server has to be told. Everything has the default that Kubernetes has.
#[derive(Clone)]
pub struct Config {
    /// Where ClusterIPs come from; the first address is the `kubernetes` Service's. Default 10.96.0.0/12.
    pub service_cidr: Ipv4Net,
    /// Where node ports come from. Default 30000 to 32767.
    pub node_ports: PortRange,
    /// The cluster's DNS domain. Default `cluster.local`.
    pub cluster_domain: String,
    /// The address that pods and nodes reach this server by: the endpoint of the `kubernetes` Service.
    pub advertise_address: IpAddr,
    /// The port there. Default 6443.
    pub port: u16,
    /// The `kube-dns` Service; `None` makes none.
    pub dns: Option<Dns>,
    /// How kubelets are reached.
    pub nodes: NodeRegistry,
    /// The components of this process, to be asked how they are.
    pub components: ComponentRegistry,
    /// The certificates and keys.
    pub pki: Arc<Pki>,
    /// How long a request other than a watch or a log may take. Default 60 s.
    pub request_timeout: Duration,
    /// A watch whose client has taken nothing off for so long, with events waiting for it, is cut off. Default 60 s.
    pub patience: Duration,
    /// How long connections are given to finish when the server stops. Default 5 s.
    pub shutdown_grace: Duration,
}

impl Config {
    /// The defaults, over these certificates.
    #[must_use]
    pub fn new(pki: Arc<Pki>, advertise_address: IpAddr) -> Self {
        Self {
            service_cidr: default_service_cidr(),
            node_ports: PortRange { first: 30000, last: 32767 },
            cluster_domain: "cluster.local".to_owned(),
            advertise_address,
            port: 6443,
            dns: Some(Dns { service_ip: IpAddr::from([10, 96, 0, 10]), endpoint: None }),
            nodes: NodeRegistry::new(),
            components: ComponentRegistry::default(),
            pki,
            request_timeout: Duration::from_secs(60),
            patience: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(5),
        }
    }

    /// The defaults, with certificates in the folder `dir` that name `advertise_address`.
    ///
    /// # Errors
    /// If the certificates cannot be opened or made.
    pub fn with_pki_dir(dir: &Path, advertise_address: IpAddr) -> Result<Self, PkiError> {
        let service = IpAddr::from(kubernetes_address(default_service_cidr()));
        let names = ServingNames::of_cluster("cluster.local", [advertise_address, service]);
        let pki = Pki::open(dir, &names, Timestamp::now())?;
        Ok(Self::new(Arc::new(pki), advertise_address))
    }

    /// The ClusterIP of the `kubernetes` Service: the first address of the range.
    #[must_use]
    pub fn kubernetes_address(&self) -> IpAddr {
        IpAddr::from(kubernetes_address(self.service_cidr))
    }

    /// The issuer of service-account tokens, which is their audience too.
    pub(crate) fn issuer(&self) -> String {
        format!("https://kubernetes.default.svc.{}", self.cluster_domain)
    }
}

fn default_service_cidr() -> Ipv4Net {
    Ipv4Net::new_assert([10, 96, 0, 0].into(), 12)
}

fn kubernetes_address(cidr: Ipv4Net) -> std::net::Ipv4Addr {
    u32::from(cidr.network()).saturating_add(1).into()
}
