//! What a kubelet is told: plain values that come from the server's flags.

use std::{net::IpAddr, path::PathBuf};

/// The settings of one node agent.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this node's Node object; also its `kubernetes.io/hostname` label.
    pub node_name: String,
    /// The node's address, shown as InternalIP and as every pod's hostIP.
    pub node_ip: IpAddr,
    /// The range this node's pods get their addresses from, in CIDR notation (`10.1.0.0/24`).
    pub pod_cidr: String,
    /// The resolvers that pods with dnsPolicy ClusterFirst use.
    pub cluster_dns: Vec<IpAddr>,
    /// The domain of cluster names, without dots at its ends (`cluster.local`).
    pub cluster_domain: String,
    /// Where pods' volumes and logs live (`<data_dir>/pods/<uid>`).
    pub data_dir: PathBuf,
    /// Where what must not outlive a boot lives (`<run_dir>/volumes/<uid>`: secrets and tokens).
    pub run_dir: PathBuf,
    /// The cgroup that holds all pods' cgroups, as it was given to the runtime.
    pub cgroup_parent: String,
    /// How many pods the node accepts.
    pub max_pods: u32,
    /// The host's resolver configuration, for dnsPolicy Default and as ClusterFirst's fallback.
    pub resolv_conf: PathBuf,
    /// How many sandboxes and containers are started at the same time.
    pub parallel_starts: usize,
    /// The Kubernetes version shown as the node's kubeletVersion (`v1.36.0`).
    pub kubelet_version: String,
    /// The version of skiff, shown as `skiff://<version>` in containerRuntimeVersion.
    pub version: String,
}

impl Config {
    /// The settings of a node with everything else at its default.
    #[must_use]
    pub fn new(node_name: impl Into<String>, node_ip: IpAddr) -> Self {
        Self {
            node_name: node_name.into(),
            node_ip,
            pod_cidr: "10.1.0.0/24".to_owned(),
            cluster_dns: vec![IpAddr::from([10, 96, 0, 10])],
            cluster_domain: "cluster.local".to_owned(),
            data_dir: PathBuf::from("/var/lib/skiff"),
            run_dir: PathBuf::from("/run/skiff"),
            cgroup_parent: "skiff".to_owned(),
            max_pods: 110,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            parallel_starts: 16,
            kubelet_version: "v1.36.0".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The folder of one pod on disk.
    pub(crate) fn pod_dir(&self, uid: &str) -> PathBuf {
        self.data_dir.join("pods").join(uid)
    }

    /// The folder of one pod's secret volumes, gone after a boot.
    pub(crate) fn secret_dir(&self, uid: &str) -> PathBuf {
        self.run_dir.join("volumes").join(uid)
    }

    /// Where one container's log files are.
    pub(crate) fn log_dir(&self, uid: &str, container: &str) -> PathBuf {
        self.pod_dir(uid).join("logs").join(container)
    }
}
