//! The kinds: one folder or file each, or one for a few that are alike.

mod config;
mod endpoints;
mod event;
mod event_view;
mod lease;
mod namespace;
mod node;
mod pod;
mod rbac;
mod review;
mod service;
mod workload;

use crate::resource::Resource;

/// What can be done with most kinds.
pub(crate) const ALL_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// The verbs of `status` and `scale`.
pub(crate) const PART_VERBS: &[&str] = &["get", "patch", "update"];

/// Every kind, by group and then by plural.
pub(crate) const ALL: &[&Resource] = &[
    &pod::BINDINGS,
    &config::CONFIG_MAPS,
    &endpoints::ENDPOINTS,
    &event::EVENTS,
    &namespace::NAMESPACES,
    &node::NODES,
    &pod::PODS,
    &config::SECRETS,
    &config::SERVICE_ACCOUNTS,
    &service::SERVICES,
    &workload::DEPLOYMENTS,
    &workload::REPLICA_SETS,
    &review::SELF_SUBJECT_REVIEWS,
    &review::SELF_SUBJECT_ACCESS_REVIEWS,
    &lease::LEASES,
    &endpoints::ENDPOINT_SLICES,
    &event_view::EVENTS,
    &rbac::CLUSTER_ROLE_BINDINGS,
    &rbac::CLUSTER_ROLES,
    &rbac::ROLE_BINDINGS,
    &rbac::ROLES,
];
