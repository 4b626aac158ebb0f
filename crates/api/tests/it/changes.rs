//! What is refused, in the words of kube-apiserver, when an object is made, when it is changed, and when its
//! status is written: tables of the smallest objects with something else in them.

use serde_json::{Value, json};

use crate::{kind, made, problems, updated};

/// The smallest object of a kind with a merge patch applied to it.
fn with(name: &str, patch: &Value) -> Value {
    let minimal: Value = serde_json::from_str(include_str!("minimal.json")).unwrap();
    let mut object = minimal[format!("{}/{}", kind(name).group, kind(name).plural)]["object"].clone();
    merge(&mut object, patch);
    object
}

fn merge(object: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in fields {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
            value => merge(&mut object[name], value),
        }
    }
}

/// All that is not as expected, at once.
fn differences(cases: impl Iterator<Item = (String, Vec<String>, Vec<String>)>) {
    let different: Vec<_> = cases.filter(|(_, found, expected)| found != expected).collect();
    assert!(different.is_empty(), "what, found, expected: {different:#?}");
}

#[test]
fn what_is_made_has_to_be_right() {
    let table: Vec<(String, Value, Vec<String>)> = serde_json::from_str(include_str!("changes/create.json")).unwrap();
    differences(table.into_iter().map(|(name, patch, expected)| {
        let found = problems(&name, &with(&name, &patch));
        (format!("{name} {patch}"), found, expected)
    }));
}

#[test]
fn what_is_fixed_does_not_change() {
    let table: Vec<(String, Value, Value, Vec<String>)> =
        serde_json::from_str(include_str!("changes/update.json")).unwrap();
    differences(table.into_iter().map(|(name, patch, change, expected)| {
        let old = made(&name, &with(&name, &patch));
        let (_, found) = updated(&name, &old, |new| merge(new, &change));
        (format!("{name} {change}"), found, expected)
    }));
}

#[test]
fn a_status_agrees_with_itself() {
    let table: Vec<(String, Value, Value, Value, Vec<String>)> =
        serde_json::from_str(include_str!("changes/status.json")).unwrap();
    differences(table.into_iter().map(|(name, patch, before, after, expected)| {
        let resource = kind(&name);
        let mut old = made(&name, &with(&name, &patch));
        old["metadata"]["resourceVersion"] = json!("1");
        old["status"] = before;
        let mut new = old.clone();
        new["status"] = after;
        resource.prepare_part_update("status", &mut new, &old, "2026-01-01T00:00:00Z".parse().unwrap());
        let found: Vec<String> =
            resource.validate_part_update("status", &new, &old).iter().map(ToString::to_string).collect();
        (format!("{name} {}", new["status"]), found, expected)
    }));
}
