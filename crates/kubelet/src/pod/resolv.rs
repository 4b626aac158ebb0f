//! A pod's `/etc/resolv.conf`, from its dnsPolicy and dnsConfig and the host's own file.

use std::{fmt::Write as _, net::IpAddr};

use k8s_openapi::api::core::v1::Pod;

/// What a resolver is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolver {
    pub(crate) servers: Vec<String>,
    pub(crate) searches: Vec<String>,
    pub(crate) options: Vec<String>,
}

/// What a C library accepts; more is cut off, as Kubernetes does.
const MOST_SERVERS: usize = 3;
const MOST_SEARCHES: usize = 32;

impl Resolver {
    /// Reads a resolv.conf.
    pub(crate) fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => resolver.servers.extend(words.take(1)),
                Some("search") => resolver.searches = words.collect(),
                Some("options") => resolver.options.extend(words),
                _ => {}
            }
        }
        resolver
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if !self.searches.is_empty() {
            let _ = writeln!(text, "search {}", self.searches.join(" "));
        }
        for server in &self.servers {
            let _ = writeln!(text, "nameserver {server}");
        }
        if !self.options.is_empty() {
            let _ = writeln!(text, "options {}", self.options.join(" "));
        }
        text
    }
}

/// What `pod` resolves names with. `host` is the host's own file.
pub(crate) fn resolver(pod: &Pod, cluster_dns: &[IpAddr], domain: &str, host: &Resolver) -> Resolver {
    let spec = super::spec(pod);
    let cluster = match spec.dns_policy.as_deref() {
        Some("None") => None,
        Some("Default") => Some(false),
        Some("ClusterFirstWithHostNet") => Some(true),
        _ => Some(!super::host_network(pod)),
    };
    let mut resolver = match cluster {
        None => Resolver::default(),
        Some(true) if !cluster_dns.is_empty() => {
            let namespace = super::namespace(pod);
            let mut searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()];
            extend_unique(&mut searches, &host.searches);
            let servers = cluster_dns.iter().map(ToString::to_string).collect();
            Resolver { servers, searches, options: vec!["ndots:5".to_owned()] }
        }
        Some(_) => host.clone(),
    };
    if let Some(config) = &spec.dns_config {
        extend_unique(&mut resolver.servers, config.nameservers.as_deref().unwrap_or_default());
        extend_unique(&mut resolver.searches, config.searches.as_deref().unwrap_or_default());
        for option in config.options.iter().flatten() {
            let name = option.name.as_deref().unwrap_or_default();
            resolver.options.retain(|had| had.split(':').next() != Some(name));
            resolver.options.push(match option.value.as_deref().filter(|value| !value.is_empty()) {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            });
        }
    }
    resolver.servers.truncate(MOST_SERVERS);
    resolver.searches.truncate(MOST_SEARCHES);
    resolver
}

fn extend_unique(list: &mut Vec<String>, more: &[String]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(spec: serde_json::Value) -> String {
        let pod = serde_json::from_value(serde_json::json!({"metadata": {"namespace": "ns"}, "spec": spec})).unwrap();
        let host = Resolver::parse("# host\nnameserver 192.0.2.53\nsearch corp.example\noptions edns0\n");
        resolver(&pod, &[IpAddr::from([10, 96, 0, 10])], "cluster.local", &host).text()
    }

    #[test]
    fn policies_choose_the_resolver() {
        let cluster = "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\n\
                       nameserver 10.96.0.10\noptions ndots:5\n";
        let host = "search corp.example\nnameserver 192.0.2.53\noptions edns0\n";
        let table = [
            (serde_json::json!({"containers": []}), cluster),
            (serde_json::json!({"containers": [], "dnsPolicy": "ClusterFirst"}), cluster),
            (serde_json::json!({"containers": [], "dnsPolicy": "ClusterFirst", "hostNetwork": true}), host),
            (
                serde_json::json!({"containers": [], "dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}),
                cluster,
            ),
            (serde_json::json!({"containers": [], "dnsPolicy": "Default"}), host),
            (
                serde_json::json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"]}}),
                "nameserver 1.1.1.1\n",
            ),
        ];
        for (spec, wanted) in table {
            assert_eq!(text(spec.clone()), wanted, "{spec}");
        }
    }

    #[test]
    fn dns_config_adds_to_the_policy() {
        let spec = serde_json::json!({"containers": [], "dnsConfig": {
            "nameservers": ["10.96.0.10", "1.1.1.1"], "searches": ["x.example"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}});
        assert_eq!(
            text(spec),
            "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example x.example\n\
             nameserver 10.96.0.10\nnameserver 1.1.1.1\noptions ndots:2 edns0\n"
        );
    }
}
