//! What must hold for where a pod wants to be: near which nodes, near which other pods, how spread.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::validate::names;
use crate::value::Read as _;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn check(affinity: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let nodes = at.child("nodeAffinity");
    let of_nodes = &affinity["nodeAffinity"];
    node_selector(&of_nodes[REQUIRED], &nodes.child(REQUIRED), errors);
    let path = nodes.child(PREFERRED);
    for (i, wish) in of_nodes.items(PREFERRED).iter().enumerate() {
        let at = path.index(i);
        weight(wish, &at, errors);
        node_term(&wish["preference"], &at.child("preference"), errors);
    }
    for name in ["podAffinity", "podAntiAffinity"] {
        let pods = at.child(name);
        let path = pods.child(REQUIRED);
        for (i, term) in affinity[name].items(REQUIRED).iter().enumerate() {
            pod_term(term, &path.index(i), errors);
        }
        let path = pods.child(PREFERRED);
        for (i, wish) in affinity[name].items(PREFERRED).iter().enumerate() {
            let at = path.index(i);
            weight(wish, &at, errors);
            pod_term(&wish["podAffinityTerm"], &at.child("podAffinityTerm"), errors);
        }
    }
}

fn weight(wish: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let weight = wish.int("weight").unwrap_or_default();
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(&at.child("weight"), weight, "must be in the range 1-100"));
    }
}

/// Which nodes will do; of a pod, or of a persistent volume.
pub(in crate::kinds) fn node_selector(selector: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !selector.is_object() {
        return;
    }
    let path = at.child("nodeSelectorTerms");
    if !selector.has("nodeSelectorTerms") {
        errors.push(FieldError::required(&path, "must have at least one node selector term"));
    }
    for (i, term) in selector.items("nodeSelectorTerms").iter().enumerate() {
        node_term(term, &path.index(i), errors);
    }
}

fn node_term(term: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = at.child("matchExpressions");
    for (i, expression) in term.items("matchExpressions").iter().enumerate() {
        expression_of_labels(expression, &path.index(i), errors);
    }
    let path = at.child("matchFields");
    for (i, field) in term.items("matchFields").iter().enumerate() {
        let at = path.index(i);
        match field.text("operator") {
            "In" | "NotIn" if field.items("values").len() == 1 => {}
            "In" | "NotIn" => {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.push(FieldError::required(&at.child("values"), detail));
            }
            other => {
                errors.push(FieldError::invalid(&at.child("operator"), other, "not a valid selector operator"));
            }
        }
        let key = field.text("key");
        if key != "metadata.name" {
            errors.push(FieldError::invalid(&at.child("key"), key, "not a valid field selector key"));
        }
    }
}

fn expression_of_labels(expression: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let count = expression.items("values").len();
    let values = at.child("values");
    match expression.text("operator") {
        "In" | "NotIn" if count == 0 => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&values, detail));
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&values, detail));
        }
        "Gt" | "Lt" if count != 1 => {
            let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(FieldError::required(&values, detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.push(FieldError::invalid(&at.child("operator"), other, "not a valid selector operator")),
    }
    let key = expression.text("key");
    common::problems(names::qualified_name(key), &at.child("key"), key, errors);
}

fn pod_term(term: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["labelSelector", "namespaceSelector"] {
        common::label_selector(&term[field], &at.child(field), errors);
    }
    let path = at.child("namespaces");
    for (i, name) in term.items("namespaces").iter().filter_map(Value::as_str).enumerate() {
        common::problems(names::dns_label(name), &path.index(i), name, errors);
    }
    topology_key(term, at, errors);
}

fn topology_key(of: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (key, path) = (of.text("topologyKey"), at.child("topologyKey"));
    if key.is_empty() {
        errors.push(FieldError::required(&path, "can not be empty"));
    } else {
        common::problems(names::qualified_name(key), &path, key, errors);
    }
}

/// How a pod and those like it are to be spread.
pub(super) fn spread(spec: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = at.child("topologySpreadConstraints");
    let mut seen = BTreeSet::new();
    for (i, constraint) in spec.items("topologySpreadConstraints").iter().enumerate() {
        let at = path.index(i);
        let skew = constraint.int("maxSkew").unwrap_or_default();
        if skew <= 0 {
            errors.push(FieldError::invalid(&at.child("maxSkew"), skew, "must be greater than zero"));
        }
        topology_key(constraint, &at, errors);
        let action = constraint.text("whenUnsatisfiable");
        if !["DoNotSchedule", "ScheduleAnyway"].contains(&action) {
            let supported = &["DoNotSchedule", "ScheduleAnyway"];
            errors.push(FieldError::not_supported(&at.child("whenUnsatisfiable"), action, supported));
        }
        let key = constraint.text("topologyKey");
        if !seen.insert((key, action)) {
            let value = format!("{{{key}, {action}}}");
            errors.push(FieldError::duplicate(&at.child("{topologyKey, whenUnsatisfiable}"), value));
        }
        domains(constraint, action, &at, errors);
        common::label_selector(&constraint["labelSelector"], &at.child("labelSelector"), errors);
    }
}

fn domains(constraint: &Value, action: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(domains) = constraint.int("minDomains") {
        let path = at.child("minDomains");
        if domains <= 0 {
            errors.push(FieldError::invalid(&path, domains, "must be greater than zero"));
        }
        if action != "DoNotSchedule" {
            let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            errors.push(FieldError::invalid(&path, domains, detail));
        }
    }
    for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
        let policy = constraint.text(field);
        if !["", "Honor", "Ignore"].contains(&policy) {
            errors.push(FieldError::not_supported(&at.child(field), policy, &["Honor", "Ignore"]));
        }
    }
}
