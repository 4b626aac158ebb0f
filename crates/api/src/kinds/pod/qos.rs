//! How much a pod is promised: its quality-of-service class.

use serde_json::Value;

use crate::quantity::Quantity;
use crate::value::Read as _;

/// `Guaranteed` (every container has limits and asks for exactly those), `BestEffort` (none has or
/// asks for anything), or `Burstable`.
pub(super) fn class(spec: &Value) -> &'static str {
    let containers = || ["containers", "initContainers"].iter().flat_map(|list| spec.items(list));
    let amount = |container: &Value, sort: &str, name: &str| {
        Quantity::from_json(&container["resources"][sort][name]).ok().filter(|q| !q.is_zero())
    };
    let names = ["cpu", "memory"];
    let mut anything = false;
    let mut guaranteed = true;
    for container in containers() {
        for name in names {
            let (request, limit) = (amount(container, "requests", name), amount(container, "limits", name));
            anything |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some()
                && request.unwrap_or(limit.unwrap_or(Quantity::ZERO)) == limit.unwrap_or(Quantity::ZERO);
        }
    }
    match (anything, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
