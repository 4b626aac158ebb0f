//! All kinds that are served at one moment: the built-in ones and those of CustomResourceDefinitions.
//!
//! A catalogue is a value: a change makes another one, which shares the kinds that did not change.
//! Groups and versions come in the order in which clients prefer them.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use crate::custom::CustomResource;
use crate::resource::{self, AnyResource};

/// The kinds of one moment.
#[derive(Clone, Default)]
pub struct Catalogue {
    custom: Vec<Arc<CustomResource>>,
}

impl Catalogue {
    /// The built-in kinds and these.
    #[must_use]
    pub fn new(mut custom: Vec<Arc<CustomResource>>) -> Self {
        custom.sort_by(|a, b| (&a.group, &a.names.plural).cmp(&(&b.group, &b.names.plural)));
        Self { custom }
    }

    /// The kinds of CustomResourceDefinitions.
    #[must_use]
    pub fn custom(&self) -> &[Arc<CustomResource>] {
        &self.custom
    }

    /// All kinds, by group and plural within each sort.
    pub fn all(&self) -> impl Iterator<Item = AnyResource> {
        let builtin = resource::all().iter().map(|one| AnyResource::Builtin(one));
        builtin.chain(self.custom.iter().map(|one| AnyResource::Custom(Arc::clone(one))))
    }

    /// The kind with this group, version and plural.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<AnyResource> {
        if let Some(found) = resource::find(group, version, plural) {
            return Some(AnyResource::Builtin(found));
        }
        let is_it =
            |one: &&Arc<CustomResource>| one.names.plural == plural && one.group == group && one.version == version;
        self.custom.iter().find(is_it).cloned().map(AnyResource::Custom)
    }

    /// The groups and their versions: the core group first, then those that clients prefer; in each the
    /// most stable and newest version first.
    #[must_use]
    pub fn group_versions(&self) -> Vec<(&str, &str)> {
        let builtin = resource::all().iter().map(|one| (one.group, one.version));
        let custom = self.custom.iter().map(|one| (one.group.as_str(), one.version.as_str()));
        let mut list: Vec<(&str, &str)> = builtin.chain(custom).collect();
        list.sort_by(|a, b| {
            let by_group = Reverse(priority(a.0)).cmp(&Reverse(priority(b.0))).then_with(|| a.0.cmp(b.0));
            by_group.then_with(|| compare_versions(a.1, b.1))
        });
        list.dedup();
        list
    }

    /// The groups but the core group, in the order of [`Self::group_versions`].
    #[must_use]
    pub fn groups(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.group_versions().into_iter().map(|(group, _)| group).collect();
        names.retain(|name| !name.is_empty());
        names.dedup();
        names
    }

    /// The kinds of one group and version.
    #[must_use]
    pub fn members(&self, group: &str, version: &str) -> Vec<AnyResource> {
        let builtin = resource::all().iter().filter(|one| (one.group, one.version) == (group, version));
        let custom = self.custom.iter().filter(|one| one.group == group && one.version == version);
        let builtin = builtin.map(|one| AnyResource::Builtin(one));
        builtin.chain(custom.map(|one| AnyResource::Custom(Arc::clone(one)))).collect()
    }
}

/// Groups as kube-apiserver ranks them; those that it does not have come last.
const RANKED: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "storagemigration.k8s.io",
];

/// The `groupPriorityMinimum` of a built-in group's APIServices, which ranks groups for clients.
#[must_use]
pub fn group_priority(group: &str) -> usize {
    if group.is_empty() { 18000 } else { 15700 + 100 * priority(group) }
}

fn priority(group: &str) -> usize {
    RANKED.iter().position(|ranked| *ranked == group).map_or(0, |at| RANKED.len() - at)
}

/// The order of versions in Kubernetes: `v2`, `v1`, `v2beta1`, `v1beta2`, `v1alpha1`, then all others by name.
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (parse_version(a), parse_version(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Stability, major, minor: greater is better.
fn parse_version(text: &str) -> Option<(u8, u64, u64)> {
    let rest = text.strip_prefix('v')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    if let Some((major, minor)) = rest.split_once("alpha") {
        return Some((0, number(major)?, number(minor)?));
    }
    if let Some((major, minor)) = rest.split_once("beta") {
        return Some((1, number(major)?, number(minor)?));
    }
    Some((2, number(rest)?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_does() {
        let mut versions = [
            "foo10",
            "v1",
            "v3beta1",
            "v10",
            "foo1",
            "v11alpha2",
            "v2",
            "v12alpha1",
            "v10beta3",
            "v11beta2",
            "v3",
            "v0",
            "valpha1",
        ];
        versions.sort_by(|a, b| compare_versions(a, b));
        let expected = [
            "v10",
            "v3",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
            "v0",
            "valpha1",
        ];
        assert_eq!(versions, expected);
    }

    #[test]
    fn the_core_group_comes_first_and_unknown_groups_last() {
        let catalogue = Catalogue::default();
        let groups: Vec<&str> = catalogue.group_versions().into_iter().map(|(group, _)| group).collect();
        assert_eq!(groups[0], "");
        assert_eq!(catalogue.groups()[..2], ["apiregistration.k8s.io", "apps"]);
        assert!(priority("example.com") < priority("apps"));
    }
}
