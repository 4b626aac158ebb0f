//! Roles and their bindings, indexed by subject so that a request costs what its user's own
//! bindings cost, however many there are.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attributes, Object};
use crate::user::User;

/// One rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) api_groups: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) non_resource_urls: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resource_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<String>,
    pub(crate) verbs: Vec<String>,
}

impl Rule {
    /// Everything that can be done with objects.
    pub(crate) fn everything() -> Self {
        let all = || vec!["*".to_owned()];
        Self { api_groups: all(), resources: all(), verbs: all(), ..Self::default() }
    }

    /// Every path that is about no object.
    pub(crate) fn every_path() -> Self {
        let all = || vec!["*".to_owned()];
        Self { non_resource_urls: all(), verbs: all(), ..Self::default() }
    }

    fn allows(&self, wanted: &Attributes<'_>) -> bool {
        let has = |list: &[String], value: &str| list.iter().any(|own| own == "*" || own == value);
        if !has(&self.verbs, wanted.verb) {
            return false;
        }
        match wanted.on {
            Object::Path(path) => self.non_resource_urls.iter().any(|pattern| matches_path(pattern, path)),
            Object::Resource { group, resource, subresource, name, .. } => {
                has(&self.api_groups, group)
                    && self.resources.iter().any(|pattern| matches_resource(pattern, resource, subresource))
                    && (self.resource_names.is_empty() || self.resource_names.iter().any(|own| own == name))
            }
        }
    }
}

fn matches_path(pattern: &str, path: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == path, |prefix| path.starts_with(prefix))
}

fn matches_resource(pattern: &str, resource: &str, subresource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        None => subresource.is_empty() && pattern == resource,
        Some((own, sub)) => (own == "*" || own == resource) && !subresource.is_empty() && sub == subresource,
    }
}

/// Namespace (empty for the cluster) and name.
type Key = (String, String);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    Group(String),
}

struct Binding {
    role: Key,
    subjects: Vec<Subject>,
}

#[derive(Default)]
struct Index {
    roles: HashMap<Key, Arc<[Rule]>>,
    bindings: HashMap<Key, Binding>,
    by_subject: HashMap<Subject, BTreeSet<Key>>,
}

/// The roles and bindings of the cluster.
#[derive(Default)]
pub(crate) struct Rbac {
    index: RwLock<Index>,
}

impl Rbac {
    /// Applies the present state of one object, read by `current` under the index's lock: of two
    /// writers that come here out of order, both apply what is newest.
    pub(crate) fn apply(&self, plural: &str, namespace: &str, name: &str, current: impl FnOnce() -> Option<Value>) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let current = current();
        match plural {
            "roles" | "clusterroles" => index.set_role(key, current.as_ref()),
            "rolebindings" | "clusterrolebindings" => index.set_binding(key, current.as_ref()),
            _ => {}
        }
    }

    /// Whether one of the user's bindings grants it.
    pub(crate) fn allows(&self, user: &User, wanted: &Attributes<'_>) -> bool {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.rules_of(user, namespace_of(wanted)).any(|rules| rules.iter().any(|rule| rule.allows(wanted)))
    }

    /// The rules that the user has in a namespace.
    pub(crate) fn rules(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.rules_of(user, namespace).flat_map(|rules| rules.to_vec()).collect()
    }
}

fn namespace_of<'a>(wanted: &Attributes<'a>) -> &'a str {
    match wanted.on {
        Object::Resource { namespace, .. } => namespace,
        Object::Path(_) => "",
    }
}

impl Index {
    fn set_role(&mut self, key: Key, role: Option<&Value>) {
        match role {
            Some(role) => {
                let rules: Vec<Rule> = serde_json::from_value(role["rules"].clone()).unwrap_or_default();
                self.roles.insert(key, rules.into());
            }
            None => {
                self.roles.remove(&key);
            }
        }
    }

    fn set_binding(&mut self, key: Key, binding: Option<&Value>) {
        if let Some(old) = self.bindings.remove(&key) {
            for subject in old.subjects {
                if let Some(keys) = self.by_subject.get_mut(&subject) {
                    keys.remove(&key);
                    if keys.is_empty() {
                        self.by_subject.remove(&subject);
                    }
                }
            }
        }
        let Some(binding) = binding else { return };
        let role_name = binding["roleRef"]["name"].as_str().unwrap_or_default().to_owned();
        let of_cluster = binding["roleRef"]["kind"] == "ClusterRole";
        let role = (if of_cluster { String::new() } else { key.0.clone() }, role_name);
        let subjects: Vec<Subject> =
            binding["subjects"].as_array().into_iter().flatten().filter_map(|given| subject(given, &key.0)).collect();
        for subject in &subjects {
            self.by_subject.entry(subject.clone()).or_default().insert(key.clone());
        }
        self.bindings.insert(key, Binding { role, subjects });
    }

    fn rules_of<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = &'a Arc<[Rule]>> {
        let own = std::iter::once(Subject::User(user.name.clone()));
        let groups = user.groups.iter().map(|group| Subject::Group(group.clone()));
        own.chain(groups)
            .filter_map(|subject| self.by_subject.get(&subject))
            .flatten()
            .filter(move |(place, _)| place.is_empty() || place == namespace)
            .filter_map(|key| self.roles.get(&self.bindings.get(key)?.role))
    }
}

fn subject(given: &Value, namespace: &str) -> Option<Subject> {
    let name = given["name"].as_str()?;
    match given["kind"].as_str()? {
        "User" => Some(Subject::User(name.to_owned())),
        "Group" => Some(Subject::Group(name.to_owned())),
        "ServiceAccount" => {
            let namespace = given["namespace"].as_str().filter(|given| !given.is_empty()).unwrap_or(namespace);
            (!namespace.is_empty()).then(|| Subject::User(User::service_account(namespace, name).name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn may(rbac: &Rbac, user: &User, verb: &str, namespace: &str, resource: &str, name: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let on = Object::Resource { namespace, group: "", resource, subresource, name };
        rbac.allows(user, &Attributes { verb, on })
    }

    #[test]
    fn a_binding_grants_within_its_namespace() {
        let rbac = Rbac::default();
        rbac.apply("roles", "a", "reader", || {
            Some(json!({"rules": [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]}]}))
        });
        rbac.apply("rolebindings", "a", "b", || {
            Some(json!({"roleRef": {"kind": "Role", "name": "reader"},
                "subjects": [{"kind": "User", "name": "jane"}, {"kind": "ServiceAccount", "name": "sa", "namespace": "c"}]}))
        });
        let jane = User::new("jane", []);
        assert!(may(&rbac, &jane, "get", "a", "pods", "p"));
        assert!(may(&rbac, &jane, "get", "a", "pods/log", "p"));
        assert!(!may(&rbac, &jane, "get", "a", "pods/exec", "p"));
        assert!(!may(&rbac, &jane, "get", "b", "pods", "p"));
        assert!(!may(&rbac, &jane, "list", "a", "pods", ""));
        assert!(may(&rbac, &User::service_account("c", "sa"), "get", "a", "pods", "p"));
        rbac.apply("rolebindings", "a", "b", || None);
        assert!(!may(&rbac, &jane, "get", "a", "pods", "p"));
    }

    #[test]
    fn names_and_stars() {
        let rbac = Rbac::default();
        rbac.apply("clusterroles", "", "r", || {
            Some(json!({"rules": [
                {"apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["*"]},
                {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"]},
                {"nonResourceURLs": ["/metrics/*", "/version"], "verbs": ["get"]}]}))
        });
        rbac.apply("clusterrolebindings", "", "b", || {
            Some(json!({"roleRef": {"kind": "ClusterRole", "name": "r"},
                "subjects": [{"kind": "Group", "name": "ops"}]}))
        });
        let ops = User::new("x", ["ops".to_owned()]);
        assert!(may(&rbac, &ops, "update", "a", "deployments/scale", "d"));
        assert!(!may(&rbac, &ops, "update", "a", "deployments", "d"));
        assert!(may(&rbac, &ops, "get", "a", "secrets", "one"));
        assert!(!may(&rbac, &ops, "get", "a", "secrets", "two"));
        let path = |path| rbac.allows(&ops, &Attributes { verb: "get", on: Object::Path(path) });
        assert!(path("/version") && path("/metrics/a") && !path("/metrics") && !path("/version/x"));
    }
}
