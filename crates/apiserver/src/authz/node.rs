//! What a kubelet may do: read what its pods need, write its own node and its own pods.

use super::{Attributes, Object};

/// What the node authoriser has to know about pods.
pub(crate) trait Pods {
    /// Whether that pod is bound to that node.
    fn is_on(&self, namespace: &str, pod: &str, node: &str) -> bool;
    /// Whether a pod on that node refers to that object (`secrets`, `configmaps`, `serviceaccounts`).
    fn refers(&self, node: &str, namespace: &str, resource: &str, name: &str) -> bool;
}

/// Whether the kubelet of `node` may do that.
pub(super) fn allows(node: &str, wanted: &Attributes<'_>, pods: &dyn Pods) -> bool {
    let Object::Resource { namespace, group, resource, subresource, name } = wanted.on else { return false };
    let verb = wanted.verb;
    let reads = matches!(verb, "get" | "list" | "watch");
    match (group, resource, subresource) {
        ("", "services" | "endpoints" | "namespaces" | "nodes" | "pods", "")
        | ("discovery.k8s.io", "endpointslices", "")
        | ("node.k8s.io", "runtimeclasses", "")
        | ("storage.k8s.io", "csidrivers", "")
            if reads =>
        {
            true
        }
        ("", "nodes", "") => verb == "create" || (matches!(verb, "update" | "patch" | "delete") && name == node),
        ("", "nodes", "status") => matches!(verb, "update" | "patch") && name == node,
        // A mirror pod is created by the node that runs it; admission looks at its spec.
        ("", "pods", "") if verb == "create" => true,
        ("", "pods", "") => verb == "delete" && pods.is_on(namespace, name, node),
        ("", "pods", "status") => matches!(verb, "update" | "patch") && pods.is_on(namespace, name, node),
        ("", "secrets" | "configmaps", "") => reads && !name.is_empty() && pods.refers(node, namespace, resource, name),
        ("", "serviceaccounts", "") => verb == "get" && pods.refers(node, namespace, resource, name),
        ("", "serviceaccounts", "token") => verb == "create" && pods.refers(node, namespace, resource, name),
        ("" | "events.k8s.io", "events", "") => matches!(verb, "create" | "update" | "patch"),
        ("coordination.k8s.io", "leases", "") => {
            namespace == "kube-node-lease"
                && (verb == "create" || (matches!(verb, "get" | "update" | "patch" | "delete") && name == node))
        }
        ("storage.k8s.io", "csinodes", "") => {
            verb == "create" || (matches!(verb, "get" | "update" | "patch" | "delete") && name == node)
        }
        ("certificates.k8s.io", "certificatesigningrequests", "") => reads || verb == "create",
        ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews", "")
        | ("authentication.k8s.io", "tokenreviews", "") => verb == "create",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Pods for One {
        fn is_on(&self, _: &str, pod: &str, node: &str) -> bool {
            (pod, node) == ("mine", "n")
        }

        fn refers(&self, node: &str, _: &str, resource: &str, name: &str) -> bool {
            (node, resource, name) == ("n", "secrets", "used")
        }
    }

    fn may(verb: &str, resource: &str, name: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let on = Object::Resource { namespace: "default", group: "", resource, subresource, name };
        allows("n", &Attributes { verb, on }, &One)
    }

    #[test]
    fn a_node_minds_its_own_business() {
        assert!(may("update", "nodes/status", "n") && !may("update", "nodes/status", "m"));
        assert!(may("patch", "pods/status", "mine") && !may("patch", "pods/status", "other"));
        assert!(may("get", "secrets", "used") && !may("get", "secrets", "unused"));
        assert!(!may("list", "secrets", "") && !may("delete", "services", "s"));
        assert!(may("delete", "pods", "mine") && !may("delete", "pods", "other"));
    }
}
