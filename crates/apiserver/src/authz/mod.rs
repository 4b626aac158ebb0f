//! Whether a user may do what a request asks: masters may, nodes may do a node's work, everybody
//! else what RBAC grants.

mod node;
mod rbac;

pub(crate) use self::{
    node::Pods,
    rbac::{Rbac, Rule},
};
use crate::user::{MASTERS, User};

/// What a request wants to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    pub(crate) verb: &'a str,
    pub(crate) on: Object<'a>,
}

/// What it wants to do it to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object<'a> {
    /// Objects of the API. Empty strings where the request names none.
    Resource { namespace: &'a str, group: &'a str, resource: &'a str, subresource: &'a str, name: &'a str },
    /// A path that is about no object, such as `/version`.
    Path(&'a str),
}

/// Judges requests.
pub(crate) struct Authorizer {
    pub(crate) rbac: Rbac,
}

impl Authorizer {
    /// Whether `user` may do that. `pods` tells which node needs which objects.
    pub(crate) fn allows(&self, user: &User, wanted: &Attributes<'_>, pods: &dyn Pods) -> bool {
        user.is_in(MASTERS)
            || user.node_name().is_some_and(|node| node::allows(node, wanted, pods))
            || self.rbac.allows(user, wanted)
    }
}

/// Why not, in Kubernetes's words (what follows `is forbidden: `).
pub(crate) fn refusal(user: &User, wanted: &Attributes<'_>) -> String {
    match wanted.on {
        Object::Path(path) => format!("User {:?} cannot {} path {path:?}", user.name, wanted.verb),
        Object::Resource { namespace, group, resource, subresource, .. } => {
            let resource =
                if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
            let scope = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {namespace:?}")
            };
            format!("User {:?} cannot {} resource {resource:?} in API group {group:?} {scope}", user.name, wanted.verb)
        }
    }
}
