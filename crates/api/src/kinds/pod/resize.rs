//! A change through `pods/resize`: what the containers of a running pod ask for and are limited to.

use serde_json::Value;

use super::{qos, update};
use crate::field_error::{FieldError, Path};
use crate::value::{Read as _, items_mut, put, take};

const SPEC: Path<'static> = Path::new("spec");
const LISTS: [&str; 2] = ["containers", "initContainers"];

pub(super) fn change(new: &mut Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["labels", "annotations", "ownerReferences", "finalizers"] {
        match old["metadata"].get(field) {
            Some(value) => crate::meta::set(new, field, value.clone()),
            None => crate::meta::unset(new, field),
        }
    }
    match old.get("status") {
        Some(status) => put(new, "status", status.clone()),
        None => take(new, "status"),
    }
    let (class, before) = (qos::class(&new["spec"]), qos::class(&old["spec"]));
    if class != before {
        let detail = "Pod QOS Class may not change as a result of resizing";
        errors.push(FieldError::invalid(&SPEC, class, detail));
    }
    removed(&new["spec"], &old["spec"], &mut errors);
    let changed = update::differences(&as_before(&new["spec"], &old["spec"]), &old["spec"]);
    if !changed.is_empty() {
        let detail = format!("only cpu and memory resources are mutable\n{}", changed.join("\n"));
        errors.push(FieldError::forbidden(&SPEC, detail));
    }
    super::validate::spec(&new["spec"], &SPEC, &mut errors);
    errors
}

/// What was limited or asked for stays so.
fn removed(spec: &Value, before: &Value, errors: &mut Vec<FieldError>) {
    for list in LISTS {
        let path = SPEC.child(list);
        for (i, (now, before)) in spec.items(list).iter().zip(before.items(list)).enumerate() {
            let container = path.index(i);
            let at = container.child("resources");
            for (sort, word) in [("limits", "limits"), ("requests", "requests")] {
                let had = |of: &Value, name: &str| !of["resources"][sort][name].is_null();
                for name in ["cpu", "memory"].into_iter().filter(|name| had(before, name) && !had(now, name)) {
                    let detail = format!("resource {word} cannot be removed");
                    errors.push(FieldError::forbidden(&at.child(sort).key(name), detail));
                }
            }
        }
    }
}

/// The new spec with everything that may change set back.
fn as_before(spec: &Value, before: &Value) -> Value {
    let mut spec = spec.clone();
    for list in LISTS {
        let old: Vec<Value> = before.items(list).iter().map(|c| c["resources"].clone()).collect();
        for (container, old) in items_mut(&mut spec, list).zip(old) {
            let Some(resources) = container.get_mut("resources").filter(|r| r.is_object()) else { continue };
            for sort in ["limits", "requests"] {
                for name in ["cpu", "memory"] {
                    match (&old[sort][name], resources[sort].is_object()) {
                        (Value::Null, true) => take(&mut resources[sort], name),
                        (Value::Null, false) => {}
                        (amount, true) => put(&mut resources[sort], name, amount.clone()),
                        (amount, false) => put(resources, sort, serde_json::json!({name: amount})),
                    }
                }
                if old.get(sort).is_none() && !resources.has(sort) {
                    take(resources, sort);
                }
            }
        }
    }
    spec
}
