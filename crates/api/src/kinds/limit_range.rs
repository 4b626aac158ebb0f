//! LimitRange: how much one pod, container or claim of a namespace may ask for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::quantity::Quantity;
use crate::resource::{Column, Resource, Rules, Unheeded};
use crate::validate::names;
use crate::value::{Read as _, fill, items_mut, object};

pub(super) static LIMIT_RANGES: Resource = Resource {
    kind: "LimitRange",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    type_name: "io.k8s.api.core.v1.LimitRange",
    unheeded: Some(Unheeded::but("nothing enforces it: skiff has no LimitRange admission yet")),
    columns: &[Column::NAME, Column::CREATED],
    rules: Rules {
        default,
        validate,
        cells: |range, _| vec![meta::name(range).into(), meta::creation_timestamp(range).into()],
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

/// What containers get is limited by what they may have at most, and asked for as it is limited.
fn default(range: &mut Value) {
    let Some(spec) = object(range, "spec") else { return };
    for item in items_mut(spec, "limits").filter(|item| item.text("type") == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let amounts: Vec<(String, Value)> = item.entries(from).map(|(k, v)| (k.to_owned(), v.clone())).collect();
            if let Some(target) = object(item, to) {
                amounts.into_iter().for_each(|(name, amount)| fill(target, &name, amount));
            }
        }
    }
}

fn validate(range: &Value, errors: &mut Vec<FieldError>) {
    let spec = Path::new("spec");
    let path = spec.child("limits");
    let mut kinds = BTreeSet::new();
    for (i, item) in range["spec"].items("limits").iter().enumerate() {
        let at = path.index(i);
        let kind = item.text("type");
        let problems = names::qualified_name(kind);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&at.child("type"), kind, p)));
        if !kind.contains('/') && !["Pod", "Container", "PersistentVolumeClaim"].contains(&kind) {
            let detail = "must be a standard limit type or fully qualified";
            errors.push(FieldError::invalid(&at.child("type"), kind, detail));
        }
        if !kinds.insert(kind) {
            errors.push(FieldError::duplicate(&at.child("type"), kind));
        }
        limits(item, kind, &at, errors);
    }
}

fn limits(item: &Value, kind: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const FIELDS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for field in FIELDS {
        if kind == "Pod" && matches!(field, "default" | "defaultRequest") {
            if item.has(field) {
                let detail = "may not be specified when `type` is 'Pod'";
                errors.push(FieldError::forbidden(&at.child(field), detail));
            }
            continue;
        }
        let path = at.child(field);
        for (name, amount) in item.entries(field) {
            let problems = crate::validate::names::qualified_name(name);
            errors.extend(problems.into_iter().map(|p| FieldError::invalid(&path.key(name), name, p)));
            if let Err(error) = Quantity::from_json(amount) {
                errors.push(FieldError::invalid(&path.key(name), amount.clone(), error.to_string()));
            }
            names.insert(name);
        }
    }
    let storage = |field: &str| !item[field]["storage"].is_null();
    if kind == "PersistentVolumeClaim" && !storage("min") && !storage("max") {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(FieldError::required(&at.child("limits"), detail));
    }
    for name in names {
        order(item, name, at, errors);
        ratio(item, name, at, errors);
    }
}

/// The amounts of one resource: least, asked for by default, given by default, most.
fn order(item: &Value, name: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const ORDER: [(&str, &str, &str, &str); 6] = [
        ("min", "max", "min value", "max value"),
        ("min", "defaultRequest", "min value", "default request value"),
        ("defaultRequest", "max", "default request value", "max value"),
        ("defaultRequest", "default", "default request value", "default limit value"),
        ("min", "default", "min value", "default value"),
        ("default", "max", "default value", "max value"),
    ];
    let amount = |field: &str| Quantity::from_json(&item[field][name]).ok();
    for (low, high, low_name, high_name) in ORDER {
        let (Some(less), Some(more)) = (amount(low), amount(high)) else { continue };
        if less > more {
            // The bound is right; what is to be within it is at fault.
            let field = if low == "min" && high == "max" {
                "min"
            } else if low == "min" {
                high
            } else {
                low
            };
            let path = at.child(field);
            let detail = format!("{low_name} {less} is greater than {high_name} {more}");
            let value = if field == low { less } else { more };
            errors.push(FieldError::invalid(&path.key(name), value.to_string(), detail));
        }
    }
}

fn ratio(item: &Value, name: &str, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let amount = |field: &str| Quantity::from_json(&item[field][name]).ok();
    let Some(ratio) = amount("maxLimitRequestRatio") else { return };
    let path = at.child("maxLimitRequestRatio");
    if ratio < Quantity::from_units(1) {
        let detail = format!("ratio {ratio} is less than 1");
        errors.push(FieldError::invalid(&path.key(name), json!(ratio.to_string()), detail));
    }
}
