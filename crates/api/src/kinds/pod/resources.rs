//! What must hold for the resources that a container asks for and is limited to.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::quantity::Quantity;
use crate::validate::names;
use crate::value::Read as _;

pub(super) fn check(resources: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (limits, requests) = (at.child("limits"), at.child("requests"));
    for (field, path) in [("limits", limits), ("requests", requests)] {
        for (name, amount) in resources.entries(field) {
            let at = path.key(name);
            resource_name(name, &at, errors);
            match Quantity::from_json(amount) {
                Ok(quantity) => amount_of(name, quantity, &at, errors),
                Err(error) => errors.push(FieldError::invalid(&at, amount.clone(), error.to_string())),
            }
        }
    }
    for (name, request) in resources.entries("requests") {
        let limit = &resources["limits"][name];
        let amounts = (Quantity::from_json(request), Quantity::from_json(limit));
        if let (Ok(request), Ok(limit)) = amounts {
            if may_be_overcommitted(name) && request > limit {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                errors.push(FieldError::invalid(&requests, request.to_string(), detail));
            } else if !may_be_overcommitted(name) && request != limit {
                let detail = format!("must be equal to {name} limit of {limit}");
                errors.push(FieldError::invalid(&requests, request.to_string(), detail));
            }
        } else if limit.is_null() && !may_be_overcommitted(name) {
            let detail = "Limit must be set for non overcommitable resources";
            errors.push(FieldError::required(&limits, detail));
        }
    }
}

fn may_be_overcommitted(name: &str) -> bool {
    !name.contains('/') && !name.starts_with("hugepages-")
}

fn resource_name(name: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let problems = names::qualified_name(name);
    errors.extend(problems.into_iter().map(|problem| FieldError::invalid(at, name, problem)));
    let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !name.contains('/') && !standard {
        errors.push(FieldError::invalid(at, name, "must be a standard resource for containers"));
    }
}

fn amount_of(name: &str, quantity: Quantity, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    if quantity.is_negative() {
        let detail = common::NOT_NEGATIVE;
        errors.push(FieldError::invalid(at, quantity.to_string(), detail));
    }
    if name.contains('/') && !quantity.is_whole() {
        errors.push(FieldError::invalid(at, quantity.to_string(), "must be an integer"));
    }
}
