//! The flags that every command takes.

use std::path::PathBuf;

use clap::Args;

/// Which cluster, which namespace, as whom.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// The namespace of this request
    #[arg(long, short, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub namespace: Option<String>,

    /// The kubeconfig file [default: the socket of the server on this machine, then ~/.kube/config]
    #[arg(long, global = true, env = "KUBECONFIG", value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,

    /// The socket of the server on this machine [default: /run/skiff/api.sock]
    #[arg(long, global = true, env = "SKIFF_SOCKET", value_name = "FILE", help_heading = "Cluster")]
    pub socket: Option<PathBuf>,
}

impl Global {
    /// The socket of the local server, where one is to be used.
    pub(crate) fn local_socket(&self) -> Option<PathBuf> {
        if let Some(socket) = &self.socket {
            return Some(socket.clone());
        }
        if self.kubeconfig.is_some() || self.context.is_some() {
            return None;
        }
        let folder = std::env::var_os("SKIFF_RUN_DIR").map_or_else(|| PathBuf::from("/run/skiff"), PathBuf::from);
        Some(folder.join("api.sock")).filter(|socket| socket.exists())
    }
}
