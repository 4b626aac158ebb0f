//! What all kinds that make pods from a template have in common: the template's defaults, its
//! validation, and the selector that must match it.

use serde_json::Value;

use super::common::{NOT_NEGATIVE, immutable, label_selector, not_negative, spec_changed};
use super::pod;
use crate::field_error::{FieldError, Path};
use crate::resource::{Column, Resource, Rules};
use crate::selector::LabelSelector;
use crate::validate::{names, objectmeta};
use crate::value::{Read as _, existing, object};

pub(super) const CONTAINERS: Column = Column::new("Containers", "The names of the containers.").wide();
pub(super) const IMAGES: Column = Column::new("Images", "The images of the containers.").wide();
pub(super) const SELECTOR: Column = Column::new("Selector", "The labels of the pods.").wide();

/// What the kinds that make pods have in common; most of them are of this group.
pub(super) const WORKLOAD: Resource =
    Resource { group: "apps", categories: &["all"], rules: RULES, ..Resource::NAMESPACED };
/// Their rules.
pub(super) const RULES: Rules =
    Rules { warnings: pod::template_warnings, generation: Some(spec_changed), ..Rules::PLAIN };

/// What the names of such objects are used in.
pub(super) const POD_NAMES: Option<&str> = Some("Pod names and hostnames");

/// Completes the template in `of`.
pub(super) fn default(of: &mut Value) {
    if let Some(template) = existing(of, "template")
        && let Some(spec) = object(template, "spec")
    {
        pod::default_spec(spec);
    }
}

/// A number in a spec.
pub(super) fn count(of: &Value, field: &str) -> i64 {
    of.int(field).unwrap_or_default()
}

/// Numbers in a status: none is negative, and no part is greater than `whole`.
pub(super) fn counts(status: &Value, fields: &[&str], whole: Option<&str>, errors: &mut Vec<FieldError>) {
    let at = Path::new("status");
    for field in fields {
        not_negative(status, field, &at, errors);
        if let Some(whole) = whole.filter(|whole| whole != field)
            && count(status, field) > count(status, whole)
        {
            let detail = format!("cannot be greater than status.{whole}");
            errors.push(FieldError::invalid(&at.child(field), count(status, field), detail));
        }
    }
}

/// `spec.selector` stays as it was.
pub(super) fn same_selector(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let spec = Path::new("spec");
    immutable(&new["spec"], &old["spec"], "selector", &spec.child("selector"), errors);
}

/// A selector that must be there and not match everything.
pub(super) fn required_selector(
    spec: &Value,
    of: &str,
    at: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> Option<LabelSelector> {
    let path = at.child("selector");
    let value = &spec["selector"];
    if value.is_null() {
        errors.push(FieldError::required(&path, ""));
        return None;
    }
    let found = label_selector(value, &path, errors);
    if !value.has("matchLabels") && !value.has("matchExpressions") {
        let detail = format!("empty selector is invalid for {of}");
        errors.push(FieldError::invalid(&path, value.clone(), detail));
    }
    found
}

/// The pods that a template makes must be those that the selector selects.
pub(super) fn matches(selector: Option<&LabelSelector>, template: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let labels = &template["metadata"]["labels"];
    if selector.is_some_and(|s| !s.is_everything() && !s.matches_labels(labels)) {
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&at.child("metadata").child("labels"), labels.clone(), detail));
    }
}

/// The template's own labels and annotations.
pub(super) fn metadata(template: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    objectmeta::labels(&template["metadata"]["labels"], &at.child("labels"), errors);
    objectmeta::annotation_map(&template["metadata"]["annotations"], &at.child("annotations"), errors);
}

/// What must hold for a template, whatever makes pods from it.
pub(super) fn check(template: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    metadata(template, at, errors);
    let spec = at.child("spec");
    if template["spec"].has("ephemeralContainers") {
        let detail = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(&spec.child("ephemeralContainers"), detail));
    }
    pod::validate_spec(&template["spec"], &spec, errors);
}

/// What must hold besides for pods that are always to run.
pub(super) fn always(template: &Value, kind: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let spec = at.child("spec");
    let policy = template["spec"].text("restartPolicy");
    if policy != "Always" {
        errors.push(FieldError::not_supported(&spec.child("restartPolicy"), policy, &["Always"]));
    }
    if template["spec"].has("activeDeadlineSeconds") {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(&spec.child("activeDeadlineSeconds"), detail));
    }
}

/// A number or a percentage.
pub(super) fn share(value: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    match value {
        Value::String(text) => {
            errors.extend(names::percent(text).into_iter().map(|p| FieldError::invalid(at, text.as_str(), p)));
        }
        other => {
            if let Some(number) = other.as_i64().filter(|n| *n < 0) {
                errors.push(FieldError::invalid(at, number, NOT_NEGATIVE));
            }
        }
    }
}

/// No more than all.
pub(super) fn at_most_all(value: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<u32>().ok());
    if percent.is_some_and(|n| n > 100) {
        errors.push(FieldError::invalid(at, value.clone(), "must not be greater than 100%"));
    }
}

/// Whether a number or a percentage is none at all.
pub(super) fn is_none(value: &Value) -> bool {
    match value {
        Value::String(text) => text.strip_suffix('%').and_then(|n| n.parse::<u32>().ok()) == Some(0),
        other => other.as_i64().unwrap_or_default() == 0,
    }
}
