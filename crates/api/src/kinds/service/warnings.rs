//! What a Service says that nobody will heed, or that has a successor: told in Warning headers, in the
//! words of kube-apiserver.

use std::net::Ipv6Addr;

use serde_json::Value;

use crate::field_error::Path;
use crate::value::Read as _;

/// What is to be told about a Service.
pub(super) fn service(service: &Value) -> Vec<String> {
    let (spec, mut all) = (&service["spec"], Vec::new());
    let mut tell = |when: bool, what: &str| {
        if when {
            all.push(what.to_owned());
        }
    };
    let is_type = |name: &str| spec.text("type") == name;
    let headless = (is_type("ClusterIP") || is_type("")) && spec.text("clusterIP") == "None";
    let hints = "service.kubernetes.io/topology-aware-hints";
    let renamed = format!("annotation {hints} is deprecated, please use service.kubernetes.io/topology-mode instead");
    tell(service["metadata"]["annotations"].get(hints).is_some(), &renamed);
    tell(headless && spec.has("loadBalancerIP"), "spec.loadBalancerIP is ignored for headless services");
    tell(headless && spec.has("externalIPs"), "spec.externalIPs is ignored for headless services");
    let sticky = spec.text("sessionAffinity") == "ClientIP";
    tell(headless && sticky, "spec.SessionAffinity is ignored for headless services");
    let external = is_type("ExternalName");
    let ignored = "spec.externalIPs is ignored when spec.type is \"ExternalName\"";
    tell(external && spec.has("externalIPs"), ignored);
    let ignored = "spec.externalName is ignored when spec.type is not \"ExternalName\"";
    tell(!external && spec.has("externalName"), ignored);
    let renamed = "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"";
    tell(spec.text("trafficDistribution") == "PreferClose", renamed);
    addresses(spec, &mut all);
    all
}

/// IPv6 addresses have one shortest form, in which clients compare them.
fn addresses(spec: &Value, all: &mut Vec<String>) {
    let root = Path::new("spec");
    let mut check = |at: &Path<'_>, value: &str| {
        if let Ok(address) = value.parse::<Ipv6Addr>()
            && address.to_string() != value
        {
            let shortest = address.to_string();
            all.push(format!("{at}: IPv6 address {value:?} should be in RFC 5952 canonical format ({shortest:?})"));
        }
    };
    for list in ["clusterIPs", "externalIPs"] {
        for (index, one) in spec.items(list).iter().enumerate() {
            check(&root.child(list).index(index), one.as_str().unwrap_or_default());
        }
    }
    check(&root.child("loadBalancerIP"), spec.text("loadBalancerIP"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::service;

    #[test]
    fn what_is_ignored_is_told() {
        let headless =
            json!({"type": "ClusterIP", "clusterIP": "None", "externalIPs": ["1.1.1.1"], "externalName": "x"});
        assert_eq!(
            service(&json!({"spec": headless})),
            [
                "spec.externalIPs is ignored for headless services",
                "spec.externalName is ignored when spec.type is not \"ExternalName\"",
            ]
        );
        let distribution = json!({"trafficDistribution": "PreferClose", "loadBalancerIP": "FD00:0::1"});
        assert_eq!(
            service(&json!({"spec": distribution})),
            [
                "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
                "spec.loadBalancerIP: IPv6 address \"FD00:0::1\" should be in RFC 5952 canonical format (\"fd00::1\")",
            ]
        );
        assert!(service(&json!({"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1"}})).is_empty());
    }
}
