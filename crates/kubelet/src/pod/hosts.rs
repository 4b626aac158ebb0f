//! A pod's `/etc/hosts`.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::Pod;

const LOCAL: &str = "# Kubernetes-managed hosts file.\n\
127.0.0.1\tlocalhost\n\
::1\tlocalhost ip6-localhost ip6-loopback\n\
fe00::0\tip6-localnet\n\
fe00::0\tip6-mcastprefix\n\
fe00::1\tip6-allnodes\n\
fe00::2\tip6-allrouters\n";

/// The file of a pod in its own network; `addresses` are the pod's.
pub(crate) fn own(pod: &Pod, addresses: &[String], domain: &str) -> String {
    let mut text = LOCAL.to_owned();
    let hostname = super::hostname(pod);
    let subdomain = super::spec(pod).subdomain.as_deref().filter(|name| !name.is_empty());
    for address in addresses {
        let _ = match subdomain {
            Some(subdomain) => {
                writeln!(text, "{address}\t{hostname}.{subdomain}.{}.svc.{domain}\t{hostname}", super::namespace(pod))
            }
            None => writeln!(text, "{address}\t{hostname}"),
        };
    }
    text.push_str(&aliases(pod));
    text
}

/// The file of a pod in the host's network: the host's own, with the pod's aliases.
pub(crate) fn of_host(pod: &Pod, host: &str) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{host}{}", aliases(pod))
}

fn aliases(pod: &Pod) -> String {
    let aliases = super::spec(pod).host_aliases.as_deref().unwrap_or_default();
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = "\n# Entries added by HostAliases.\n".to_owned();
    for alias in aliases {
        let _ = writeln!(text, "{}\t{}", alias.ip, alias.hostnames.as_deref().unwrap_or_default().join("\t"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_knows_itself_and_its_aliases() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web-0", "namespace": "ns"},
            "spec": {"containers": [], "subdomain": "web",
                     "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["a.example", "b.example"]}]}
        }))
        .unwrap();
        let text = own(&pod, &["10.1.0.7".to_owned()], "cluster.local");
        assert!(text.contains("10.1.0.7\tweb-0.web.ns.svc.cluster.local\tweb-0\n"), "{text}");
        assert!(text.ends_with("\n# Entries added by HostAliases.\n192.0.2.9\ta.example\tb.example\n"), "{text}");
        assert!(
            of_host(&pod, "127.0.0.1 localhost\n").starts_with("# Kubernetes-managed hosts file (host network).\n127")
        );
    }
}
