//! What the crate says as a whole: documents, kinds, and the way of an object through them.
#![allow(clippy::unwrap_used)]

mod changes;
mod cluster;
mod columns;
mod documents;
mod jobs;
mod lifecycle;
mod objects;
mod pods;
mod rows;
mod services;
mod sets;
mod storage;
mod tables;
mod workloads;

use serde_json::{Value, json};
use skiff_api::resource::{self, FieldValidation, Resource};

/// The kind of this name.
fn kind(name: &str) -> &'static Resource {
    resource::all().iter().find(|r| r.kind == name).unwrap()
}

/// A document on its way to being created, up to validation.
fn made(name: &str, document: &Value) -> Value {
    let resource = kind(name);
    let body = document.to_string();
    let (mut object, _) = resource.decode(body.as_bytes(), FieldValidation::Strict).unwrap();
    if resource.is_namespaced() && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = json!("default");
    }
    resource.default(&mut object);
    resource.prepare_create(&mut object, "u1", "2026-01-01T00:00:00Z".parse().unwrap());
    object
}

/// What is wrong with a new object.
fn problems(name: &str, document: &Value) -> Vec<String> {
    kind(name).validate(&made(name, document)).iter().map(ToString::to_string).collect()
}

/// A stored object that is updated by `change`: what it becomes and what is wrong with that.
fn updated(name: &str, old: &Value, change: impl FnOnce(&mut Value)) -> (Value, Vec<String>) {
    let resource = kind(name);
    let mut old = old.clone();
    old["metadata"]["resourceVersion"] = json!("1");
    let mut new = old.clone();
    change(&mut new);
    resource.default(&mut new);
    resource.prepare_update(&mut new, &old);
    let problems = resource.validate_update(&new, &old).iter().map(ToString::to_string).collect();
    (new, problems)
}
