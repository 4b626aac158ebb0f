//! A kubelet creates its own node and mirrors of its own static pods; nothing in another's name.

use serde_json::Value;
use skiff_api::{meta, status::Status};

use crate::kind::Kind;

/// Admits what the kubelet of `node` creates.
pub(super) fn create(kind: &Kind, node: &str, object: &Value) -> Result<(), Status> {
    let name = meta::name(object);
    let refuse = |why: String| Err(Status::forbidden(kind.resource.qualified(), name, &why));
    match kind.resource.plural() {
        "nodes" | "leases" if name != node => {
            refuse(format!("node {node:?} is not allowed to create {} of another node", kind.resource.plural()))
        }
        "pods" if object["spec"]["nodeName"] != node => {
            refuse(format!("node {node:?} can only create pods with spec.nodeName set to itself"))
        }
        "pods" if meta::annotation(object, "kubernetes.io/config.mirror").is_none() => refuse(format!(
            "pod does not have \"kubernetes.io/config.mirror\" annotation, node {node:?} can only create mirror pods"
        )),
        _ => Ok(()),
    }
}
