//! The roles that every cluster has, as Kubernetes names them, and who has them.
//!
//! A role that is there keeps what the user added; rules that it lacks are added again unless its
//! `autoupdate` annotation says otherwise.

use serde_json::{Value, json};
use skiff_api::meta;

use super::Plan;
use crate::{error::Error, oidc, state::RBAC};

const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Resources by their groups.
type Grouped = &'static [(&'static str, &'static [&'static str])];

/// What namespaces hold and their users make, but for secrets and roles.
const CONTENT: Grouped = &[
    (
        "",
        &[
            "configmaps",
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
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets"]),
    ("resource.k8s.io", &["resourceclaims", "resourceclaimtemplates"]),
];
/// What can be looked at besides.
const STATUS: Grouped = &[
    (
        "",
        &[
            "bindings",
            "endpoints",
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
    ("discovery.k8s.io", &["endpointslices"]),
    ("metrics.k8s.io", &["nodes", "pods"]),
    ("networking.k8s.io", &["ingresses/status"]),
    ("policy", &["poddisruptionbudgets/status"]),
    ("resource.k8s.io", &["resourceclaims/status"]),
];
/// What can be changed and is not made by those who can only look.
const REACH: Grouped = &[
    ("", &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
    ("apps", &["deployments/rollback"]),
    ("coordination.k8s.io", &["leases"]),
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
        ("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
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

/// What others need to check service-account tokens.
fn issuer_paths() -> [&'static str; 4] {
    [oidc::CONFIGURATION, "/.well-known/openid-configuration/", oidc::KEYS, "/openid/v1/jwks/"]
}

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
        ("system:service-account-issuer-discovery", vec![paths(&["get"], &issuer_paths())]),
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
        rule(&["networking.k8s.io"], &["servicecidrs"], &["list", "watch"]),
    ]
}

fn view() -> Vec<Value> {
    CONTENT.iter().chain(STATUS).map(|(group, resources)| rule(&[group], resources, READ)).collect()
}

fn edit() -> Vec<Value> {
    let mut rules = view();
    rules.extend(CONTENT.iter().map(|(group, resources)| rule(&[group], resources, WRITE)));
    rules.extend(REACH.iter().map(|(group, resources)| rule(&[group], resources, ALL)));
    rules.extend([
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
        rule(&["storage.k8s.io"], &["volumeattachments"], &["get"]),
        rule(&["storage.k8s.io"], &["csidrivers"], READ),
        rule(&["storage.k8s.io"], &["csinodes"], &["create", "delete", "get", "patch", "update"]),
        rule(&["node.k8s.io"], &["runtimeclasses"], READ),
        rule(&["resource.k8s.io"], &["resourceclaims"], &["get"]),
        rule(
            &["resource.k8s.io"],
            &["resourceslices"],
            &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        ),
        rule(&["certificates.k8s.io"], &["certificatesigningrequests"], &["create", "get", "list", "watch"]),
        rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
        rule(&["authorization.k8s.io"], &["localsubjectaccessreviews", "subjectaccessreviews"], &["create"]),
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
