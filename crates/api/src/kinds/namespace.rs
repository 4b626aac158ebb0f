//! Namespace: made with a finalizer of its own, which its controller takes away when it is empty.

use serde_json::{Value, json};

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::print;
use crate::resource::{Column, Resource, Rules, Subresource};
use crate::validate::names;
use crate::value::{Read as _, fill, object};

const TYPE: &str = "io.k8s.api.core.v1.Namespace";

pub(super) static NAMESPACES: Resource = Resource {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    verbs: &["create", "delete", "get", "list", "patch", "update", "watch"],
    subresources: &[
        Subresource { verbs: &["update"], ..Subresource::of_kind("finalize", "", "Namespace", TYPE) },
        Subresource::of_kind("status", "", "Namespace", TYPE),
    ],
    type_name: TYPE,
    columns: &[Column::NAME, Column::new("Status", "Whether it is in use or going away."), Column::AGE],
    rules: Rules {
        default,
        name: names::label_name,
        validate,
        initial_status: Some(|_| json!({"phase": "Active"})),
        prepare_create,
        prepare_update: |new, old| {
            let finalizers = old["spec"].clone();
            if let Some(map) = new.as_object_mut() {
                map.insert("spec".to_owned(), finalizers);
            }
        },
        fields: &[("status.phase", "/status/phase")],
        cells: |object, now| {
            vec![meta::name(object).into(), object["status"].text("phase").into(), print::age(object, now)]
        },
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn default(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    if name.is_empty() {
        return;
    }
    let labels = object(namespace, "metadata").and_then(|metadata| object(metadata, "labels"));
    if let Some(labels) = labels {
        fill(labels, "kubernetes.io/metadata.name", name);
    }
}

fn prepare_create(namespace: &mut Value) {
    // A generated name is known only now.
    default(namespace);
    let Some(spec) = object(namespace, "spec") else { return };
    let mut finalizers: Vec<Value> = spec.items("finalizers").to_vec();
    if !finalizers.iter().any(|f| f == "kubernetes") {
        finalizers.push("kubernetes".into());
    }
    crate::value::put(spec, "finalizers", finalizers);
}

fn validate(namespace: &Value, errors: &mut Vec<FieldError>) {
    let spec = Path::new("spec");
    let path = spec.child("finalizers");
    for finalizer in namespace["spec"].items("finalizers").iter().filter_map(Value::as_str) {
        let problems = names::qualified_name(finalizer);
        errors.extend(problems.into_iter().map(|p| FieldError::invalid(&path, finalizer, p)));
        if !finalizer.contains('/') && finalizer != "kubernetes" {
            errors.push(FieldError::invalid(
                &path,
                finalizer,
                "name is neither a standard finalizer name nor is it fully qualified",
            ));
        }
    }
}
