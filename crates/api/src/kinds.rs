//! The kinds: one folder or file each, or one for a few that are alike.

mod api_service;
mod autoscaling;
mod certificates;
mod common;
mod component;
mod config;
mod cron_job;
mod daemon_set;
mod definition;
mod device;
mod disruption;
mod endpoints;
mod event;
mod event_view;
mod flow;
mod ingress;
mod job;
mod lease;
mod limit_range;
mod metrics;
mod namespace;
mod network_policy;
mod node;
mod pod;
mod pod_template;
mod policy;
mod priority;
mod quota;
mod rbac;
mod review;
mod runtime_class;
mod service;
mod service_cidr;
mod stateful_set;
mod storage;
mod template;
mod volume;
mod webhook;
mod workload;

use crate::resource::Resource;

/// What can be done with most kinds.
pub(crate) const ALL_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// The verbs of `status` and `scale`.
pub(crate) const PART_VERBS: &[&str] = &["get", "patch", "update"];
/// The verbs of what becomes a stream.
pub(crate) const STREAM_VERBS: &[&str] = &["create", "get"];
/// The verbs of what is passed on.
pub(crate) const PROXY_VERBS: &[&str] = &["create", "delete", "get", "patch", "update"];

/// Every kind, by group and then by plural.
pub(crate) const ALL: &[&Resource] = &[
    &pod::BINDINGS,
    &component::COMPONENT_STATUSES,
    &config::CONFIG_MAPS,
    &endpoints::ENDPOINTS,
    &event::EVENTS,
    &limit_range::LIMIT_RANGES,
    &namespace::NAMESPACES,
    &node::NODES,
    &volume::PERSISTENT_VOLUME_CLAIMS,
    &volume::PERSISTENT_VOLUMES,
    &pod::PODS,
    &pod_template::POD_TEMPLATES,
    &workload::REPLICATION_CONTROLLERS,
    &quota::RESOURCE_QUOTAS,
    &config::SECRETS,
    &config::SERVICE_ACCOUNTS,
    &service::SERVICES,
    &policy::MUTATING_BINDINGS,
    &policy::MUTATING,
    &webhook::MUTATING,
    &policy::VALIDATING,
    &policy::VALIDATING_BINDINGS,
    &webhook::VALIDATING,
    &definition::CUSTOM_RESOURCE_DEFINITIONS,
    &api_service::API_SERVICES,
    &stateful_set::CONTROLLER_REVISIONS,
    &daemon_set::DAEMON_SETS,
    &workload::DEPLOYMENTS,
    &workload::REPLICA_SETS,
    &stateful_set::STATEFUL_SETS,
    &review::SELF_SUBJECT_REVIEWS,
    &review::TOKEN_REVIEWS,
    &review::LOCAL_SUBJECT_ACCESS_REVIEWS,
    &review::SELF_SUBJECT_ACCESS_REVIEWS,
    &review::SELF_SUBJECT_RULES_REVIEWS,
    &review::SUBJECT_ACCESS_REVIEWS,
    &autoscaling::AUTOSCALERS_V2,
    &autoscaling::AUTOSCALERS_V1,
    &cron_job::CRON_JOBS,
    &job::JOBS,
    &certificates::SIGNING_REQUESTS,
    &lease::LEASES,
    &endpoints::ENDPOINT_SLICES,
    &event_view::EVENTS,
    &flow::FLOW_SCHEMAS,
    &flow::PRIORITY_LEVELS,
    &metrics::NODES,
    &metrics::PODS,
    &ingress::INGRESS_CLASSES,
    &ingress::INGRESSES,
    &service_cidr::IP_ADDRESSES,
    &network_policy::NETWORK_POLICIES,
    &service_cidr::SERVICE_CIDRS,
    &runtime_class::RUNTIME_CLASSES,
    &disruption::POD_DISRUPTION_BUDGETS,
    &rbac::CLUSTER_ROLE_BINDINGS,
    &rbac::CLUSTER_ROLES,
    &rbac::ROLE_BINDINGS,
    &rbac::ROLES,
    &device::DEVICE_CLASSES,
    &device::RESOURCE_CLAIMS,
    &device::RESOURCE_CLAIM_TEMPLATES,
    &device::RESOURCE_SLICES,
    &priority::PRIORITY_CLASSES,
    &storage::CSI_DRIVERS,
    &storage::CSI_NODES,
    &storage::CSI_STORAGE_CAPACITIES,
    &storage::STORAGE_CLASSES,
    &storage::VOLUME_ATTACHMENTS,
    &storage::VOLUME_ATTRIBUTES_CLASSES,
];
