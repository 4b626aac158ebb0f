//! The APIServices of the groups and versions that this server serves itself.

use serde_json::json;
use skiff_api::catalogue::{self, Catalogue};

use super::Plan;
use crate::error::Error;

/// One for each.
pub(super) fn plan(plan: &mut Plan<'_>) -> Result<(), Error> {
    for (group, version) in Catalogue::default().group_versions() {
        let spec = json!({
            "group": group,
            "version": version,
            "groupPriorityMinimum": catalogue::group_priority(group),
            "versionPriority": 15,
        });
        let labels = json!({"kube-aggregator.kubernetes.io/automanaged": "onstart"});
        let metadata = json!({"name": format!("{version}.{group}"), "labels": labels});
        let mut spec = spec;
        if group.is_empty() {
            spec["versionPriority"] = json!(1);
            if let Some(spec) = spec.as_object_mut() {
                spec.remove("group");
            }
        }
        plan.ensure("apiregistration.k8s.io", "apiservices", json!({"metadata": metadata, "spec": spec}))?;
    }
    Ok(())
}
