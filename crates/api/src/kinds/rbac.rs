//! Role, ClusterRole, RoleBinding and ClusterRoleBinding: who may do what.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules};
use crate::validate::{names, objectmeta};
use crate::value::{Read as _, fill, items_mut, object};

const GROUP: &str = "rbac.authorization.k8s.io";
const ROLE_COLUMNS: &[Column] = &[Column::NAME, Column::CREATED];
const BINDING_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("Role", "What is granted."),
    Column::AGE,
    Column::new("Users", "The users it is granted to.").wide(),
    Column::new("Groups", "The groups it is granted to.").wide(),
    Column::new("ServiceAccounts", "The service accounts it is granted to.").wide(),
];

const ROLE_RULES: Rules = Rules {
    name: names::segment_name,
    validate: |role, errors| validate_role(role, true, errors),
    cells: |role, _| vec![meta::name(role).into(), meta::creation_timestamp(role).into()],
    ..Rules::PLAIN
};

const BINDING_RULES: Rules = Rules {
    default: default_binding,
    name: names::segment_name,
    validate: |binding, errors| validate_binding(binding, true, errors),
    validate_update: |new, old, errors| {
        if new["roleRef"] != old["roleRef"] {
            let path = Path::new("roleRef");
            errors.push(FieldError::invalid(&path, new["roleRef"].clone(), "cannot change roleRef"));
        }
    },
    cells: binding_cells,
    ..Rules::PLAIN
};

pub(super) static ROLES: Resource = Resource {
    group: GROUP,
    kind: "Role",
    plural: "roles",
    singular: "role",
    type_name: "io.k8s.api.rbac.v1.Role",
    columns: ROLE_COLUMNS,
    rules: ROLE_RULES,
    ..Resource::NAMESPACED
};

pub(super) static CLUSTER_ROLES: Resource = Resource {
    group: GROUP,
    kind: "ClusterRole",
    plural: "clusterroles",
    singular: "clusterrole",
    type_name: "io.k8s.api.rbac.v1.ClusterRole",
    columns: ROLE_COLUMNS,
    rules: Rules { validate: |role, errors| validate_role(role, false, errors), ..ROLE_RULES },
    ..Resource::CLUSTER
};

pub(super) static ROLE_BINDINGS: Resource = Resource {
    group: GROUP,
    kind: "RoleBinding",
    plural: "rolebindings",
    singular: "rolebinding",
    type_name: "io.k8s.api.rbac.v1.RoleBinding",
    columns: BINDING_COLUMNS,
    rules: BINDING_RULES,
    ..Resource::NAMESPACED
};

pub(super) static CLUSTER_ROLE_BINDINGS: Resource = Resource {
    group: GROUP,
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    type_name: "io.k8s.api.rbac.v1.ClusterRoleBinding",
    columns: BINDING_COLUMNS,
    rules: Rules { validate: |binding, errors| validate_binding(binding, false, errors), ..BINDING_RULES },
    ..Resource::CLUSTER
};

fn validate_role(role: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    let rules = Path::new("rules");
    for (i, rule) in role.items("rules").iter().enumerate() {
        let at = rules.index(i);
        if !rule.has("verbs") {
            errors.push(FieldError::required(&at.child("verbs"), "verbs must contain at least one value"));
        }
        if rule.has("nonResourceURLs") {
            let path = at.child("nonResourceURLs");
            let urls = rule["nonResourceURLs"].clone();
            if namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                errors.push(FieldError::invalid(&path, urls.clone(), detail));
            }
            if rule.has("apiGroups") || rule.has("resources") || rule.has("resourceNames") {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                errors.push(FieldError::invalid(&path, urls, detail));
            }
            continue;
        }
        if !rule.has("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            errors.push(FieldError::required(&at.child("apiGroups"), detail));
        }
        if !rule.has("resources") {
            let detail = "resource rules must supply at least one resource";
            errors.push(FieldError::required(&at.child("resources"), detail));
        }
    }
    let aggregation = Path::new("aggregationRule");
    let selectors = aggregation.child("clusterRoleSelectors");
    for (i, selector) in role["aggregationRule"].items("clusterRoleSelectors").iter().enumerate() {
        let at = selectors.index(i);
        objectmeta::labels(&selector["matchLabels"], &at.child("matchLabels"), errors);
    }
}

fn default_binding(binding: &mut Value) {
    if let Some(role) = object(binding, "roleRef") {
        fill(role, "apiGroup", GROUP);
    }
    for subject in items_mut(binding, "subjects") {
        if matches!(subject.text("kind"), "User" | "Group") {
            fill(subject, "apiGroup", GROUP);
        }
    }
}

fn validate_binding(binding: &Value, namespaced: bool, errors: &mut Vec<FieldError>) {
    let role = &binding["roleRef"];
    let at = Path::new("roleRef");
    if role.text("apiGroup") != GROUP {
        errors.push(FieldError::not_supported(&at.child("apiGroup"), role.text("apiGroup"), &[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["ClusterRole", "Role"] } else { &["ClusterRole"] };
    if !kinds.contains(&role.text("kind")) {
        errors.push(FieldError::not_supported(&at.child("kind"), role.text("kind"), kinds));
    }
    if role.text("name").is_empty() {
        errors.push(FieldError::required(&at.child("name"), ""));
    }
    let subjects = Path::new("subjects");
    for (i, subject) in binding.items("subjects").iter().enumerate() {
        validate_subject(subject, namespaced, &subjects.index(i), errors);
    }
}

fn validate_subject(subject: &Value, namespaced: bool, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (kind, group, name) = (subject.text("kind"), subject.text("apiGroup"), subject.text("name"));
    if name.is_empty() {
        errors.push(FieldError::required(&at.child("name"), ""));
    }
    match kind {
        "ServiceAccount" => {
            let problems = if name.is_empty() { Vec::new() } else { names::subdomain_name(name, false) };
            errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("name"), name, p)));
            if !group.is_empty() {
                errors.push(FieldError::not_supported(&at.child("apiGroup"), group, &[""]));
            }
            if !namespaced && subject.text("namespace").is_empty() {
                errors.push(FieldError::required(&at.child("namespace"), ""));
            }
        }
        "User" | "Group" if group == GROUP => {}
        "User" | "Group" => errors.push(FieldError::not_supported(&at.child("apiGroup"), group, &[GROUP])),
        _ => errors.push(FieldError::not_supported(&at.child("kind"), kind, &["ServiceAccount", "User", "Group"])),
    }
}

fn binding_cells(binding: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let role = &binding["roleRef"];
    let subjects = |kind: &str| {
        let name = |subject: &Value| match kind {
            "ServiceAccount" => format!("{}/{}", subject.text("namespace"), subject.text("name")),
            _ => subject.text("name").to_owned(),
        };
        let list = binding.items("subjects").iter().filter(|s| s.text("kind") == kind).map(name);
        Value::from(list.collect::<Vec<_>>().join(", "))
    };
    vec![
        meta::name(binding).into(),
        format!("{}/{}", role.text("kind"), role.text("name")).into(),
        print::age(binding, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}
