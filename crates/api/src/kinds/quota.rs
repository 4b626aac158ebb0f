//! ResourceQuota and LimitRange: how much a namespace may use, and how much one of its objects.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::meta;
use crate::print;
use crate::quantity::Quantity;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource, Unheeded};
use crate::validate::names;
use crate::value::Read as _;

const SPEC: Path<'static> = Path::new("spec");
const TYPE: &str = "io.k8s.api.core.v1.ResourceQuota";
/// What is counted in whole numbers.
const COUNTED: &[&str] = &[
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
/// What pods take.
const COMPUTE: &[&str] = &["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const OTHER: &[&str] =
    &["ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage", "requests.storage"];
const SCOPES: &[&str] = &[
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

pub(super) static RESOURCE_QUOTAS: Resource = Resource {
    kind: "ResourceQuota",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    subresources: &[Subresource::of_kind("status", "", "ResourceQuota", TYPE)],
    type_name: TYPE,
    unheeded: Some(Unheeded::but("nothing enforces it: skiff neither counts nor limits what a namespace uses yet")),
    columns: &[
        Column::NAME,
        Column::new("Request", "How much is asked for, of how much."),
        Column::new("Limit", "What the limits add up to, of how much."),
        Column::AGE,
    ],
    rules: Rules {
        validate: |quota, errors| {
            hard(&quota["spec"]["hard"], &SPEC.child("hard"), errors);
            scopes(&quota["spec"], errors);
        },
        validate_update: |new, old, errors| {
            let set = |quota: &Value| -> BTreeSet<String> {
                quota["spec"].items("scopes").iter().filter_map(|s| Some(s.as_str()?.to_owned())).collect()
            };
            if set(new) != set(old) {
                let value = new["spec"]["scopes"].clone();
                errors.push(FieldError::invalid(&SPEC.child("scopes"), value, common::IMMUTABLE));
            }
        },
        parts: &[(
            "status",
            PartRules::status(|new, _, errors| {
                let status = Path::new("status");
                hard(&new["status"]["hard"], &status.child("hard"), errors);
                hard(&new["status"]["used"], &status.child("used"), errors);
            }),
        )],
        initial_status: Some(|_| json!({})),
        cells: quota_cells,
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

fn hard(amounts: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (name, amount) in amounts.as_object().into_iter().flatten() {
        let at = at.key(name);
        errors.extend(names::qualified_name(name).into_iter().map(|p| FieldError::invalid(&at, name.as_str(), p)));
        if !name.contains('/') && !is_standard(name) {
            errors.push(FieldError::invalid(&at, name.as_str(), "must be a standard resource for quota"));
        }
        match Quantity::from_json(amount) {
            Ok(amount) if amount.is_negative() => {
                let detail = common::NOT_NEGATIVE;
                errors.push(FieldError::invalid(&at, amount.to_string(), detail));
            }
            Ok(amount) if COUNTED.contains(&name.as_str()) && !amount.is_whole() => {
                errors.push(FieldError::invalid(&at, amount.to_string(), "must be an integer"));
            }
            Ok(_) => {}
            Err(error) => errors.push(FieldError::invalid(&at, amount.clone(), error.to_string())),
        }
    }
}

fn is_standard(name: &str) -> bool {
    [COUNTED, COMPUTE, OTHER].iter().any(|list| list.contains(&name))
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-")
}

fn scopes(spec: &Value, errors: &mut Vec<FieldError>) {
    let path = SPEC.child("scopes");
    let given: Vec<&str> = spec.items("scopes").iter().filter_map(Value::as_str).collect();
    let mut wrong = |detail: &str| errors.push(FieldError::invalid(&path, json!(given), detail));
    for scope in &given {
        if !SCOPES.contains(scope) {
            wrong("unsupported scope");
        }
        for (name, _) in spec.entries("hard").filter(|(name, _)| is_standard(name)) {
            let fits = match *scope {
                "BestEffort" => name == "pods",
                "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
                _ => name == "pods" || COMPUTE.contains(&name),
            };
            if !fits {
                wrong("unsupported scope applied to resource");
            }
        }
    }
    for pair in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]] {
        if pair.iter().all(|scope| given.contains(scope)) {
            wrong("conflicting scopes");
        }
    }
}

fn quota_cells(quota: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let status = &quota["status"];
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, hard) in status.entries("hard") {
        let text = |amount: &Value| Quantity::from_json(amount).unwrap_or(Quantity::ZERO).to_string();
        let entry = format!("{name}: {}/{}", text(&status["used"][name]), text(hard));
        if name.starts_with("limits.") { limits.push(entry) } else { requests.push(entry) }
    }
    vec![meta::name(quota).into(), requests.join(", ").into(), limits.join(", ").into(), print::age(quota, now)]
}
