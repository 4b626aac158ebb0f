//! The flags of `skiff server` and of the commands about this machine, with their defaults.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use ipnet::Ipv4Net;

/// Where skiff keeps its things on this machine.
#[derive(Args, Clone, Debug)]
pub(crate) struct Places {
    /// Folder of the store, certificates, images and pods
    #[arg(long, env = "SKIFF_DATA_DIR", default_value = "/var/lib/skiff", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,

    /// Folder of sockets and of what lives only until the next boot
    #[arg(long, env = "SKIFF_RUN_DIR", default_value = "/run/skiff", value_name = "DIR")]
    pub(crate) run_dir: PathBuf,
}

impl Places {
    /// The API server's socket; whoever is root may use it.
    pub(crate) fn api_socket(&self) -> PathBuf {
        self.run_dir.join("api.sock")
    }

    /// The socket of the commands about this machine (images, status).
    pub(crate) fn node_socket(&self) -> PathBuf {
        self.run_dir.join("node.sock")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.data_dir.join("admin.kubeconfig")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.data_dir.join("images")
    }

    /// What was on this machine before skiff first ran.
    pub(crate) fn baseline(&self) -> PathBuf {
        self.data_dir.join("baseline.json")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.run_dir.join("server.pid")
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Where LoadBalancer services are published.
#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
pub(crate) enum Publish {
    /// On this machine's loopback addresses
    Localhost,
    /// On the node's address
    Node,
    /// Nowhere: they stay pending, with a working NodePort
    None,
}

/// Flags of `skiff server`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) places: Places,

    /// Name of this node [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,

    /// Address of this node [default: that of the interface with the default route]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) node_ip: Option<Ipv4Addr>,

    /// Port of the API on 127.0.0.1 and on the node's address
    #[arg(long, default_value_t = 6443, value_name = "PORT")]
    pub(crate) api_port: u16,

    /// Further names and addresses of the API server's certificate
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) tls_san: Vec<String>,

    /// Addresses of all pods
    #[arg(long, default_value = "10.1.0.0/16", value_name = "CIDR")]
    pub(crate) cluster_cidr: Ipv4Net,

    /// Addresses of services
    #[arg(long, default_value = "10.96.0.0/12", value_name = "CIDR")]
    pub(crate) service_cidr: Ipv4Net,

    /// Ports of NodePort services
    #[arg(long, default_value = "30000-32767", value_name = "FROM-TO", value_parser = port_range)]
    pub(crate) node_ports: (u16, u16),

    /// Domain of the cluster's DNS names
    #[arg(long, default_value = "cluster.local", value_name = "DOMAIN")]
    pub(crate) cluster_domain: String,

    /// Address of the DNS server for pods on this node
    #[arg(long, default_value = "169.254.20.10", value_name = "ADDRESS")]
    pub(crate) dns_ip: Ipv4Addr,

    /// Servers for names outside the cluster [default: those of /etc/resolv.conf]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) dns_upstream: Vec<IpAddr>,

    /// Where LoadBalancer services are published
    #[arg(long, value_enum, default_value_t = Publish::Localhost)]
    pub(crate) load_balancer: Publish,

    /// Name of the nf_tables table
    #[arg(long, default_value = "skiff", value_name = "NAME")]
    pub(crate) nft_table: String,

    /// Name of the cgroup that holds all pods
    #[arg(long, default_value = "skiff", value_name = "NAME")]
    pub(crate) cgroup_parent: String,

    /// Registries that are spoken to in plain HTTP (those on localhost need not be named)
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub(crate) insecure_registry: Vec<String>,

    /// How many pods this node may run
    #[arg(long, default_value_t = 110, value_name = "COUNT")]
    pub(crate) max_pods: u32,

    /// Where the admin kubeconfig is written [default: admin.kubeconfig in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) write_kubeconfig: Option<PathBuf>,

    /// How log lines look
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// What is logged, as in RUST_LOG
    #[arg(long, env = "SKIFF_LOG", default_value = "warn", value_name = "FILTER")]
    pub(crate) log: String,
}

impl ServerArgs {
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.write_kubeconfig.clone().unwrap_or_else(|| self.places.kubeconfig())
    }

    /// The pods' addresses on this node: the first /24 of the cluster's (or all of a smaller one).
    pub(crate) fn pod_cidr(&self) -> Ipv4Net {
        let prefix = self.cluster_cidr.prefix_len().max(24);
        Ipv4Net::new(self.cluster_cidr.network(), prefix).unwrap_or(self.cluster_cidr)
    }

    /// The address that this node's own link always has: the first of its pods' range.
    pub(crate) fn link_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.pod_cidr().network().to_bits().saturating_add(1))
    }

    /// The `n`th address of the services' range.
    pub(crate) fn service_ip(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.service_cidr.network().to_bits().saturating_add(n))
    }
}

fn port_range(text: &str) -> Result<(u16, u16), String> {
    let (from, to) = text.split_once('-').ok_or("expected FROM-TO, such as 30000-32767")?;
    let number = |text: &str| text.trim().parse::<u16>().map_err(|error| format!("{text:?} is no port: {error}"));
    match (number(from)?, number(to)?) {
        (from, to) if from >= 1 && from <= to => Ok((from, to)),
        (from, to) => Err(format!("{from}-{to} is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges_are_checked() {
        assert_eq!(port_range("30000-32767"), Ok((30000, 32767)));
        assert!(port_range("5-4").is_err());
        assert!(port_range("x").is_err());
        assert!(port_range("0-70000").is_err());
    }
}
