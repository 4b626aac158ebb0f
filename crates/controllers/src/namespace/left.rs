//! What is left in a namespace that goes, and how its conditions say so, in the words of kube-controller-manager. Pure.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{
    api::core::v1::NamespaceCondition,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};
use kube::api::ApiResource;

/// Numbers of objects: by `resource.group`, and by the finalizer that they wait for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    objects: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

impl Left {
    pub(super) fn is_none(&self) -> bool {
        self.objects.is_empty()
    }

    /// Counts the objects of a kind that are still there.
    pub(super) fn count<'a>(&mut self, kind: &ApiResource, objects: impl Iterator<Item = &'a ObjectMeta>) {
        for object in objects {
            *self.objects.entry(format!("{}.{}", kind.plural, kind.group)).or_default() += 1;
            for finalizer in object.finalizers.iter().flatten() {
                *self.finalizers.entry(finalizer.clone()).or_default() += 1;
            }
        }
    }

    /// The conditions of the namespace; those of `held` that still hold keep their time.
    pub(super) fn conditions(&self, held: &[NamespaceCondition], now: Timestamp) -> Vec<NamespaceCondition> {
        let sum = |all: &BTreeMap<String, usize>, word: &str| {
            all.iter()
                .map(|(what, count)| format!("{what} {word} {count} resource instances"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let objects = format!("Some resources are remaining: {}", sum(&self.objects, "has"));
        let finalizers =
            format!("Some content in the namespace has finalizers remaining: {}", sum(&self.finalizers, "in"));
        let waits = if self.finalizers.is_empty() {
            ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")
        } else {
            ("True", "SomeFinalizersRemain", finalizers.as_str())
        };
        let all = [
            (
                "NamespaceDeletionDiscoveryFailure",
                ("False", "ResourcesDiscovered", "All resources successfully discovered"),
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                ("False", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
            ),
            (
                "NamespaceDeletionContentFailure",
                ("False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            ),
            ("NamespaceContentRemaining", ("True", "SomeResourcesRemain", objects.as_str())),
            ("NamespaceFinalizersRemaining", waits),
        ];
        let theirs = held.iter().filter(|one| all.iter().all(|(name, _)| one.type_ != *name)).cloned();
        let ours = all.iter().map(|(name, (status, reason, message))| {
            let since = held.iter().find(|one| one.type_ == *name && one.status == *status);
            NamespaceCondition {
                type_: (*name).to_owned(),
                status: (*status).to_owned(),
                reason: Some((*reason).to_owned()),
                message: Some((*message).to_owned()),
                last_transition_time: since.map_or(Some(Time(now)), |one| one.last_transition_time.clone()),
            }
        });
        theirs.chain(ours).collect()
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (what, count)) in self.objects.iter().enumerate() {
            write!(f, "{}{count} {}", if index > 0 { ", " } else { "" }, what.trim_end_matches('.'))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kube::core::GroupVersionKind;

    use super::*;

    fn left() -> Left {
        let mut left = Left::default();
        let pods = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Pod"), "pods");
        let held = ObjectMeta { finalizers: Some(vec!["a/b".to_owned()]), ..ObjectMeta::default() };
        left.count(&pods, [&held, &ObjectMeta::default()].into_iter());
        left
    }

    #[test]
    fn conditions_say_what_is_left() {
        let told = left().conditions(&[], Timestamp::UNIX_EPOCH);
        let message = |at: usize| told[at].message.clone().unwrap();
        assert_eq!(message(3), "Some resources are remaining: pods. has 2 resource instances");
        assert_eq!(message(4), "Some content in the namespace has finalizers remaining: a/b in 1 resource instances");
        assert_eq!(left().to_string(), "2 pods");
    }

    #[test]
    fn conditions_that_hold_keep_their_time() {
        let told = left().conditions(&[], Timestamp::UNIX_EPOCH);
        assert_eq!(left().conditions(&told, "2026-01-01T00:00:00Z".parse().unwrap()), told);
    }
}
