//! The roles that every cluster has, as Kubernetes names them, and who has them.
//!
//! A role that is there keeps what the user added; rules that it lacks are added again unless its
//! `autoupdate` annotation says otherwise.

use serde_json::{Value, json};
use skiff_api::meta;

use super::Plan;
use crate::{error::Error, state::RBAC};

const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// What namespaces hold, but for secrets and roles: by group.
const CONTENT: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "configmaps",
            "endpoints",
            "events",
            "persistentvolumeclaims",
            "pods",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "serviceaccounts",
            "services",
        ],
    ),
    (
        "apps",
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets"]),
    ("coordination.k8s.io", &["leases"]),
];
/// What can be looked at besides.
const STATUS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "bindings",
            "limitranges",
            "namespaces",
            "namespaces/status",
            "persistentvolumeclaims/status",
            "pods/log",
            "pods/status",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
            "services/status",
        ],
    ),
    (
        "apps",
        &[
            "controllerrevisions",
            "daemonsets/status",
            "deployments/status",
            "replicasets/status",
            "statefulsets/status",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers/status"]),
    ("batch", &["cronjobs/status", "jobs/status"]),
    ("networking.k8s.io", &["ingresses/status"]),
    ("policy", &["poddisruptionbudgets/status"]),
];

/// All roles and their bindings.
pub(super) fn plan(plan: &mut Plan<'_>) -> Result<(), Error> {
    for (name, rules) in roles() {
        role(plan, name, rules)?;
    }
    for (name, groups) in [
        ("cluster-admin", &["system:masters"] as &[&str]),
        ("system:basic-user", &["system:authenticated"]),
        ("system:discovery", &["system:authenticated"]),
        ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ] {
        binding(plan, name, groups)?;
    }
    Ok(())
}

/// What everyone may look at.
const PUBLIC: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/version/"];
/// What everyone who proved who they are may look at.
const DISCOVERY: &[&str] = &["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
const MONITORING: &[&str] = &["/healthz/*", "/livez/*", "/metrics", "/metrics/slis", "/readyz/*"];

fn roles() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        ("cluster-admin", vec![rule(&["*"], &["*"], &["*"]), paths(&["*"], &["*"])]),
        ("admin", admin()),
        ("edit", edit()),
        ("view", view()),
        ("system:basic-user", basic_user()),
        ("system:discovery", vec![paths(&["get"], &[DISCOVERY, PUBLIC].concat())]),
        ("system:public-info-viewer", vec![paths(&["get"], PUBLIC)]),
        ("system:auth-delegator", auth_delegator()),
        ("system:monitoring", vec![paths(&["get"], &[MONITORING, PUBLIC].concat())]),
        ("system:node", node()),
        ("system:node-proxier", node_proxier()),
    ]
}

fn basic_user() -> Vec<Value> {
    let questions = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    vec![
        rule(&["authorization.k8s.io"], &questions, &["create"]),
        rule(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]),
    ]
}

fn auth_delegator() -> Vec<Value> {
    vec![
        rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
        rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"]),
    ]
}

fn node_proxier() -> Vec<Value> {
    vec![
        rule(&[""], &["endpoints", "services"], &["list", "watch"]),
        rule(&[""], &["nodes"], READ),
        rule(&["", "events.k8s.io"], &["events"], &["create", "patch", "update"]),
        rule(&["discovery.k8s.io"], &["endpointslices"], &["list", "watch"]),
    ]
}

fn view() -> Vec<Value> {
    CONTENT.iter().chain(STATUS).map(|(group, resources)| rule(&[group], resources, READ)).collect()
}

fn edit() -> Vec<Value> {
    let reach = ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy"];
    let mut rules = view();
    rules.extend(CONTENT.iter().map(|(group, resources)| rule(&[group], resources, WRITE)));
    rules.extend([
        rule(&[""], &["secrets"], ALL),
        rule(&[""], &reach, ALL),
        rule(&[""], &["pods/eviction", "serviceaccounts/token"], &["create"]),
        rule(&[""], &["serviceaccounts"], &["impersonate"]),
    ]);
    rules
}

fn admin() -> Vec<Value> {
    let mut rules = edit();
    rules.extend([
        rule(&[RBAC], &["rolebindings", "roles"], ALL),
        rule(&["authorization.k8s.io"], &["localsubjectaccessreviews"], &["create"]),
    ]);
    rules
}

/// For those who bind it; kubelets are judged by the node authoriser.
fn node() -> Vec<Value> {
    vec![
        rule(&[""], &["services", "endpoints"], READ),
        rule(&["discovery.k8s.io"], &["endpointslices"], READ),
        rule(&[""], &["nodes"], &["create", "get", "list", "watch", "patch", "update"]),
        rule(&[""], &["nodes/status", "pods/status"], &["patch", "update"]),
        rule(&["", "events.k8s.io"], &["events"], &["create", "patch", "update"]),
        rule(&[""], &["pods"], &["get", "list", "watch", "create", "delete"]),
        rule(&[""], &["configmaps", "secrets"], READ),
        rule(&[""], &["serviceaccounts"], &["get"]),
        rule(&[""], &["serviceaccounts/token"], &["create"]),
        rule(&["coordination.k8s.io"], &["leases"], &["create", "delete", "get", "patch", "update"]),
    ]
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

fn paths(verbs: &[&str], urls: &[&str]) -> Value {
    json!({"nonResourceURLs": urls, "verbs": verbs})
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}, "annotations": {AUTO_UPDATE: "true"}})
}

fn role(plan: &mut Plan<'_>, name: &str, rules: Vec<Value>) -> Result<(), Error> {
    let object = json!({"metadata": metadata(name), "rules": rules});
    let Some(kind) = Plan::kind(RBAC, "clusterroles") else { return Ok(()) };
    let Some(mut present) = plan.present(kind, &object) else { return plan.create(kind, object) };
    if meta::annotation(&present, AUTO_UPDATE) != Some("true") {
        return Ok(());
    }
    let held = present["rules"].as_array().cloned().unwrap_or_default();
    let missing: Vec<Value> = rules.into_iter().filter(|rule| !held.contains(rule)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    present["rules"] = held.into_iter().chain(missing).collect();
    plan.replace(kind, &present)
}

fn binding(plan: &mut Plan<'_>, name: &str, groups: &[&str]) -> Result<(), Error> {
    let subject = |group: &&str| json!({"apiGroup": RBAC, "kind": "Group", "name": group});
    let subjects: Vec<Value> = groups.iter().map(subject).collect();
    let role = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": name});
    let object = json!({"metadata": metadata(name), "roleRef": role, "subjects": subjects});
    plan.ensure(RBAC, "clusterrolebindings", object)
}
