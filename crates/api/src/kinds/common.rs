//! What the descriptions and the checks of several kinds have in common.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::resource::{Column, Durability, Resource, Rules, Scope, Subresource};
use crate::selector::LabelSelector;
use crate::validate::names;
use crate::value::Read as _;

pub(super) const IMMUTABLE: &str = "field is immutable";
pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// A kind of version `v1` that is kept on disk and known by the usual verbs.
pub(super) const fn usual(
    [group, kind, plural, singular]: [&'static str; 4],
    scope: Scope,
    type_name: &'static str,
    columns: &'static [Column],
    rules: Rules,
) -> Resource {
    Resource {
        group,
        version: "v1",
        kind,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        scope,
        verbs: super::ALL_VERBS,
        subresources: &[],
        durability: Durability::Disk,
        type_name,
        columns,
        rules,
    }
}

/// A part that reads and writes the object itself, such as `status`.
pub(super) const fn part(
    name: &'static str,
    group: &'static str,
    kind: &'static str,
    type_name: &'static str,
) -> Subresource {
    Subresource { name, group, version: "v1", kind, verbs: super::PART_VERBS, type_name }
}

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

/// A port's number.
pub(super) fn port_number(number: i64, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !(1..=65535).contains(&number) {
        errors.push(FieldError::invalid(path, number, "must be between 1 and 65535, inclusive"));
    }
}

/// A `meta/v1` LabelSelector.
pub(super) fn label_selector(selector: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    crate::validate::objectmeta::labels(&selector["matchLabels"], &path.child("matchLabels"), errors);
    let list = path.child("matchExpressions");
    for (i, term) in selector.items("matchExpressions").iter().enumerate() {
        let at = list.index(i);
        let values = at.child("values");
        match term.text("operator") {
            "In" | "NotIn" if !term.has("values") => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(&values, detail));
            }
            "Exists" | "DoesNotExist" if term.has("values") => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(&values, detail));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.push(FieldError::invalid(&at.child("operator"), other, "not a valid selector operator"));
            }
        }
        problems(names::qualified_name(term.text("key")), &at.child("key"), term.text("key"), errors);
        for (j, value) in term.items("values").iter().filter_map(Value::as_str).enumerate() {
            problems(names::label_value(value), &values.index(j), value, errors);
        }
    }
    if errors.is_empty()
        && selector.is_object()
        && let Err(error) = LabelSelector::from_json(selector)
    {
        errors.push(FieldError::invalid(path, selector.clone(), error.to_string()));
    }
}
