//! Admission policies and their bindings: conditions in CEL on what is written, and changes to it.

mod validate;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::common::spec_changed;
use super::webhook::{CATEGORIES, GROUP};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Subresource, Unheeded};
use crate::value::{Read as _, existing, fill, items_mut, object};

const VALIDATING_TYPE: &str = "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy";
const UNSET: &str = "<unset>";
const PARAM_KIND: Column = Column::new("ParamKind", "The kind of its parameters.");
const BINDING_COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("PolicyName", "The policy."),
    Column::new("ParamRef", "The parameters that it gets."),
    Column::AGE,
];

const POLICIES: Unheeded = Unheeded::but("nothing enforces it: skiff does not evaluate admission policies yet");
/// What all four have in common.
const PLAIN: Resource =
    Resource { group: GROUP, categories: CATEGORIES, unheeded: Some(POLICIES), ..Resource::CLUSTER };
const RULES: Rules = Rules { generation: Some(spec_changed), ..Rules::PLAIN };
const BINDING_RULES: Rules = Rules { default: default_binding, cells: binding_cells, ..RULES };

pub(super) static VALIDATING: Resource = Resource {
    kind: "ValidatingAdmissionPolicy",
    plural: "validatingadmissionpolicies",
    singular: "validatingadmissionpolicy",
    subresources: &[Subresource::of_kind("status", GROUP, "ValidatingAdmissionPolicy", VALIDATING_TYPE)],
    type_name: VALIDATING_TYPE,
    columns: &[
        Column::NAME,
        Column::new("Validations", "How many conditions it has.").integer(),
        PARAM_KIND,
        Column::AGE,
    ],
    rules: Rules {
        default: default_policy,
        validate: validate::validating,
        initial_status: Some(|_| json!({})),
        cells: |policy, now| policy_cells(policy, "validations", now),
        ..RULES
    },
    ..PLAIN
};

pub(super) static MUTATING: Resource = Resource {
    kind: "MutatingAdmissionPolicy",
    plural: "mutatingadmissionpolicies",
    singular: "mutatingadmissionpolicy",
    type_name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy",
    columns: &[Column::NAME, Column::new("Mutations", "How many changes it makes.").integer(), PARAM_KIND, Column::AGE],
    rules: Rules {
        default: |policy| {
            default_policy(policy);
            if let Some(spec) = object(policy, "spec") {
                fill(spec, "reinvocationPolicy", "Never");
            }
        },
        validate: validate::mutating,
        cells: |policy, now| policy_cells(policy, "mutations", now),
        ..RULES
    },
    ..PLAIN
};

pub(super) static VALIDATING_BINDINGS: Resource = Resource {
    kind: "ValidatingAdmissionPolicyBinding",
    plural: "validatingadmissionpolicybindings",
    singular: "validatingadmissionpolicybinding",
    type_name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    columns: BINDING_COLUMNS,
    rules: Rules { validate: |binding, errors| validate::binding(binding, true, errors), ..BINDING_RULES },
    ..PLAIN
};

pub(super) static MUTATING_BINDINGS: Resource = Resource {
    kind: "MutatingAdmissionPolicyBinding",
    plural: "mutatingadmissionpolicybindings",
    singular: "mutatingadmissionpolicybinding",
    type_name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding",
    columns: BINDING_COLUMNS,
    rules: Rules { validate: |binding, errors| validate::binding(binding, false, errors), ..BINDING_RULES },
    ..PLAIN
};

fn default_policy(policy: &mut Value) {
    let Some(spec) = object(policy, "spec") else { return };
    fill(spec, "failurePolicy", "Fail");
    if let Some(constraints) = existing(spec, "matchConstraints") {
        default_match(constraints);
    }
}

fn default_binding(binding: &mut Value) {
    let Some(spec) = object(binding, "spec") else { return };
    if let Some(resources) = existing(spec, "matchResources") {
        default_match(resources);
    }
}

fn default_match(resources: &mut Value) {
    fill(resources, "matchPolicy", "Equivalent");
    fill(resources, "namespaceSelector", json!({}));
    fill(resources, "objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        items_mut(resources, list).for_each(|rule| fill(rule, "scope", "*"));
    }
}

fn policy_cells(policy: &Value, counted: &str, now: Timestamp) -> Vec<Value> {
    let spec = &policy["spec"];
    let kind = &spec["paramKind"];
    let kind =
        if kind.is_object() { format!("{}/{}", kind.text("apiVersion"), kind.text("kind")) } else { UNSET.to_owned() };
    vec![meta::name(policy).into(), spec.items(counted).len().into(), kind.into(), print::age(policy, now)]
}

fn binding_cells(binding: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &binding["spec"];
    let parameters = &spec["paramRef"];
    let shown = match (parameters.text("namespace"), parameters.text("name")) {
        (_, "") if parameters["selector"].is_object() => selector(&parameters["selector"]),
        (_, "") => UNSET.to_owned(),
        ("", name) => format!("*/{name}"),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    vec![meta::name(binding).into(), spec.text("policyName").into(), shown.into(), print::age(binding, now)]
}

/// A selector as Go writes the structure, which is what kube-apiserver shows here.
fn selector(selector: &Value) -> String {
    let labels: String =
        meta::strings(&selector["matchLabels"]).map(|(key, value)| format!("{key}: {value},")).collect();
    let requirement = |one: &Value| {
        let values: Vec<&str> = one.items("values").iter().filter_map(Value::as_str).collect();
        let (key, operator) = (one.text("key"), one.text("operator"));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "))
    };
    let expressions: String = selector.items("matchExpressions").iter().map(requirement).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},\
         MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}
