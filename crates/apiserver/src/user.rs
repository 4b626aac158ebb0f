//! Who makes a request: the identity that authentication found and authorisation judges.

use std::{collections::BTreeMap, sync::Arc};

/// The group whose members may do everything, whatever RBAC says.
pub(crate) const MASTERS: &str = "system:masters";
/// The group of everyone who proved who they are.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// The group of those who did not.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group of all nodes.
pub(crate) const NODES: &str = "system:nodes";
const ANONYMOUS: &str = "system:anonymous";
const NODE_PREFIX: &str = "system:node:";
const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// An authenticated (or anonymous) user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, such as `system:admin` or `system:serviceaccount:default:default`.
    pub name: String,
    /// A unique id, for users that have one.
    pub uid: Option<String>,
    /// The groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// More facts about the user, such as the pod that its token is bound to.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user who proved to be `name`; `system:authenticated` is added to the groups.
    #[must_use]
    pub fn new(name: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { name: name.into(), uid: None, groups, extra: BTreeMap::new() }
    }

    /// A member of `system:masters`: the administrator, or a component within this process.
    #[must_use]
    pub fn master(name: impl Into<String>) -> Self {
        Self::new(name, [MASTERS.to_owned()])
    }

    /// The kubelet of the node `name`.
    #[must_use]
    pub fn node(name: &str) -> Self {
        Self::new(format!("{NODE_PREFIX}{name}"), [NODES.to_owned()])
    }

    /// A service account.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        Self::new(format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"), groups)
    }

    /// Someone who did not say who they are.
    #[must_use]
    pub fn anonymous() -> Arc<Self> {
        Arc::new(Self {
            name: ANONYMOUS.to_owned(),
            uid: None,
            groups: vec![UNAUTHENTICATED.to_owned()],
            extra: BTreeMap::new(),
        })
    }

    /// Whether the user is in `group`.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// The node that this user is the kubelet of.
    #[must_use]
    pub fn node_name(&self) -> Option<&str> {
        self.name.strip_prefix(NODE_PREFIX).filter(|name| !name.is_empty() && self.is_in(NODES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_needs_name_and_group() {
        assert_eq!(User::node("a").node_name(), Some("a"));
        assert_eq!(User::new("system:node:a", []).node_name(), None);
        assert_eq!(User::master("x").node_name(), None);
    }
}
