//! What the descriptions and the checks of several kinds have in common.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::selector::LabelSelector;
use crate::validate::{names, objectmeta};
use crate::value::Read as _;

pub(super) const IMMUTABLE: &str = "field is immutable";
pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// Whether `spec` changed: what counts as a new generation for most kinds.
pub(super) fn spec_changed(new: &Value, old: &Value) -> bool {
    new["spec"] != old["spec"]
}

/// Problems with one value, each as an error.
pub(super) fn problems(found: Vec<String>, path: &Path<'_>, value: &str, errors: &mut Vec<FieldError>) {
    errors.extend(found.into_iter().map(|problem| FieldError::invalid(path, value, problem)));
}

/// A field that no update changes.
pub(super) fn immutable(new: &Value, old: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if (new.has(field) || old.has(field)) && new[field] != old[field] {
        errors.push(FieldError::invalid(path, new[field].clone(), IMMUTABLE));
    }
}

/// One of a few words, which has to be there.
pub(super) fn one_of(value: &str, known: &[&str], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        one_of_or_none(value, known, path, errors);
    }
}

/// One of a few words, or nothing.
pub(super) fn one_of_or_none(value: &str, known: &[&str], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !value.is_empty() && !known.contains(&value) {
        errors.push(FieldError::not_supported(path, value, known));
    }
}

/// A name that has to be there and to be a DNS subdomain.
pub(super) fn required_name(value: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        problems(names::dns_subdomain(value), path, value, errors);
    }
}

/// A name that has to be there and to be a DNS label.
pub(super) fn required_label(value: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        problems(names::dns_label(value), path, value, errors);
    }
}

/// `acme.io/foo`
pub(super) fn domain_path(value: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match value.split_once('/') {
        _ if value.is_empty() => errors.push(FieldError::required(path, "")),
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            problems(names::dns_subdomain(domain), path, domain, errors);
            problems(names::http_path(rest), path, rest, errors);
        }
        _ => {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            errors.push(FieldError::invalid(path, value, detail));
        }
    }
}

/// A port's number.
pub(super) fn port_number(number: i64, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !(1..=65535).contains(&number) {
        errors.push(FieldError::invalid(path, number, "must be between 1 and 65535, inclusive"));
    }
}

/// A number that must not be less than nothing, where it is given.
pub(super) fn not_negative(of: &Value, field: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(number) = of.int(field).filter(|n| *n < 0) {
        errors.push(FieldError::invalid(&at.child(field), number, NOT_NEGATIVE));
    }
}

/// A `meta/v1` LabelSelector; answers with it where it can be used.
pub(super) fn label_selector(selector: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) -> Option<LabelSelector> {
    let before = errors.len();
    objectmeta::labels(&selector["matchLabels"], &at.child("matchLabels"), errors);
    let list = at.child("matchExpressions");
    for (i, term) in selector.items("matchExpressions").iter().enumerate() {
        requirement(term, &list.index(i), errors);
    }
    if errors.len() > before { None } else { LabelSelector::from_json(selector).ok() }
}

fn requirement(term: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let values = at.child("values");
    match (term.text("operator"), term.has("values")) {
        ("In" | "NotIn", false) => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&values, detail));
        }
        ("Exists" | "DoesNotExist", true) => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&values, detail));
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
        (other, _) => {
            errors.push(FieldError::invalid(&at.child("operator"), other, "not a valid selector operator"));
        }
    }
    problems(names::qualified_name(term.text("key")), &at.child("key"), term.text("key"), errors);
    for (i, value) in term.items("values").iter().filter_map(Value::as_str).enumerate() {
        problems(names::label_value(value), &values.index(i), value, errors);
    }
}
