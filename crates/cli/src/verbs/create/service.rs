//! `create service`: Services of each type.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{error::Error, output::Output};

/// Subcommands of `create service`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Service {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Clone, Debug, Subcommand)]
enum Kind {
    /// Create a ClusterIP service
    Clusterip(Flags),
    /// Create a NodePort service
    Nodeport(Flags),
    /// Create a LoadBalancer service
    Loadbalancer(Flags),
    /// Create an ExternalName service
    Externalname(Flags),
}

#[derive(Args, Clone, Debug, Default)]
struct Flags {
    /// The service's name
    name: String,
    /// Port pairs
    #[arg(long, value_delimiter = ',', value_name = "PORT[:TARGET]")]
    tcp: Vec<String>,
    /// The cluster address; `None` for a headless service
    #[arg(long, value_name = "ADDRESS")]
    clusterip: Option<String>,
    /// The port on every node
    #[arg(long, value_name = "PORT")]
    node_port: Option<u16>,
    /// The name that the service stands for
    #[arg(long, value_name = "NAME")]
    external_name: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Service {
    fn flags(&self) -> &Flags {
        match &self.kind {
            Kind::Clusterip(flags) | Kind::Nodeport(flags) | Kind::Loadbalancer(flags) | Kind::Externalname(flags) => {
                flags
            }
        }
    }

    /// How it is printed.
    pub(crate) fn output(&self) -> &Output {
        &self.flags().output
    }

    /// The object.
    pub(crate) fn object(&self) -> Result<Value, Error> {
        let flags = self.flags();
        let (kind, needs_ports) = match self.kind {
            Kind::Clusterip(_) => ("ClusterIP", flags.clusterip.as_deref() != Some("None")),
            Kind::Nodeport(_) => ("NodePort", true),
            Kind::Loadbalancer(_) => ("LoadBalancer", true),
            Kind::Externalname(_) => ("ExternalName", false),
        };
        if needs_ports && flags.tcp.is_empty() {
            return Err(Error::usage("at least one tcp port specifier must be provided"));
        }
        flags.check(kind)?;
        let ports: Result<Vec<Value>, Error> = flags.tcp.iter().map(|text| flags.port(text)).collect();
        let labels = json!({ "app": flags.name });
        let mut spec = json!({ "selector": labels, "type": kind });
        if !flags.tcp.is_empty() {
            spec["ports"] = json!(ports?);
        }
        if let Some(address) = &flags.clusterip {
            spec["clusterIP"] = json!(address);
        }
        if let Some(name) = &flags.external_name {
            spec["externalName"] = json!(name);
        }
        let metadata = json!({ "creationTimestamp": null, "labels": labels, "name": flags.name });
        let status = json!({ "loadBalancer": {} });
        Ok(json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status }))
    }
}

impl Flags {
    fn check(&self, kind: &str) -> Result<(), Error> {
        let odd = [
            ("--clusterip", self.clusterip.is_some(), "ClusterIP"),
            ("--node-port", self.node_port.is_some(), "NodePort"),
            ("--external-name", self.external_name.is_some(), "ExternalName"),
        ];
        for (flag, given, of) in odd {
            if given && of != kind {
                return Err(Error::usage(format!("unknown flag: {flag}")));
            }
        }
        if kind == "ExternalName" && self.external_name.is_none() {
            return Err(Error::usage("required flag(s) \"external-name\" not set"));
        }
        Ok(())
    }

    fn port(&self, text: &str) -> Result<Value, Error> {
        let (port, target) = text.split_once(':').unwrap_or((text, text));
        let wrong = || Error::usage(format!("invalid port value {text:?}: must be between 1 and 65535, inclusive"));
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let target = target.parse::<u16>().map_or_else(|_| json!(target), |number| json!(number));
        let name = text.replace(':', "-");
        let mut made = json!({ "name": name, "port": port, "protocol": "TCP", "targetPort": target });
        if let Some(node_port) = self.node_port {
            made["nodePort"] = json!(node_port);
        }
        Ok(made)
    }
}
