//! The IP families of a Service on a cluster that has IPv4 only.

use serde_json::{Value, json};

use super::AllocationError;

/// Fills in `ipFamilies` and `ipFamilyPolicy`, or says what this cluster cannot give.
pub(super) fn fill(spec: &mut Value) -> Result<(), AllocationError> {
    let headless = spec["clusterIP"] == json!("None");
    let without_selector = spec["selector"].as_object().is_none_or(serde_json::Map::is_empty);
    let policy = spec["ipFamilyPolicy"].as_str().map(str::to_owned);
    let families: Vec<String> =
        spec["ipFamilies"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if headless {
        // Kubernetes's own default: `None` of both families. Without a selector, whoever writes the
        // endpoints may choose families that the cluster itself does not have.
        spec["clusterIPs"] = json!(["None"]);
        if without_selector {
            fill_without_selector(spec, families, policy);
            return Ok(());
        }
    }
    if policy.as_deref() == Some("RequireDualStack") {
        return Err(AllocationError::DualStack);
    }
    if let Some((index, family)) = families.iter().enumerate().find(|(_, family)| *family != "IPv4") {
        return Err(AllocationError::Family { index, family: family.clone() });
    }
    spec["ipFamilies"] = json!(["IPv4"]);
    spec["ipFamilyPolicy"] = json!(policy.as_deref().unwrap_or("SingleStack"));
    Ok(())
}

fn fill_without_selector(spec: &mut Value, mut families: Vec<String>, policy: Option<String>) {
    if families.is_empty() {
        families.push("IPv4".to_owned());
        if policy.as_deref() != Some("SingleStack") {
            families.push("IPv6".to_owned());
        }
    }
    let policy =
        policy.unwrap_or_else(|| if families.len() > 1 { "RequireDualStack" } else { "SingleStack" }.to_owned());
    spec["ipFamilies"] = json!(families);
    spec["ipFamilyPolicy"] = json!(policy);
}
