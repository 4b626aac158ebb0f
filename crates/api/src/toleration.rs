//! Whether a pod tolerates a taint: one rule for the scheduler and for eviction.

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// Whether `toleration` covers `taint`: the same effect (or none named), the same key (or none named
/// and `Exists`), and the same value unless the operator is `Exists`.
///
/// The rule is that of the Kubernetes page on taints and tolerations.
#[must_use]
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    let exists = toleration.operator.as_deref() == Some("Exists");
    let same_value = toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
    (effect.is_empty() || effect == taint.effect)
        && (key == taint.key || (key.is_empty() && exists))
        && (exists || same_value)
}
