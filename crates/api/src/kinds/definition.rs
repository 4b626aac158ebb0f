//! CustomResourceDefinition: a kind that makes kinds.

mod validate;

use serde_json::{Value, json};

use super::common::spec_changed;
use crate::custom::definition::storage_version;
use crate::meta;
use crate::resource::{Column, PartRules, Resource, Rules, Subresource};
use crate::value::{Read as _, existing, fill, items_mut, object, put};

const TYPE: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition";

pub(super) static CUSTOM_RESOURCE_DEFINITIONS: Resource = Resource {
    group: "apiextensions.k8s.io",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    singular: "customresourcedefinition",
    short_names: &["crd", "crds"],
    categories: &["api-extensions"],
    subresources: &[Subresource::of_kind("status", "apiextensions.k8s.io", "CustomResourceDefinition", TYPE)],
    type_name: TYPE,
    columns: &[Column::NAME, Column::CREATED],
    rules: Rules {
        default,
        validate: validate::definition,
        validate_create: validate::create,
        validate_update: validate::update,
        initial_status: Some(|definition| {
            json!({
                "conditions": [],
                "acceptedNames": {"plural": "", "kind": ""},
                "storedVersions": [storage_version(definition)],
            })
        }),
        prepare_update,
        parts: &[("status", PartRules::status(validate::status))],
        generation: Some(spec_changed),
        cells: |definition, _| vec![meta::name(definition).into(), definition["metadata"]["creationTimestamp"].clone()],
        ..Rules::PLAIN
    },
    ..Resource::CLUSTER
};

fn default(definition: &mut Value) {
    let Some(spec) = object(definition, "spec") else { return };
    let kind = spec["names"].text("kind").to_owned();
    if let (Some(names), false) = (existing(spec, "names"), kind.is_empty()) {
        fill(names, "singular", kind.to_lowercase());
        fill(names, "listKind", format!("{kind}List"));
    }
    if let Some(conversion) = object(spec, "conversion") {
        fill(conversion, "strategy", "None");
        let service = existing(conversion, "webhook").and_then(|webhook| existing(webhook, "clientConfig"));
        if let Some(service) = service.and_then(|config| existing(config, "service")) {
            fill(service, "port", 443);
        }
    }
    for version in items_mut(spec, "versions") {
        for name in ["served", "storage"] {
            fill(version, name, false);
        }
    }
}

/// A version that is stored from now on is remembered until somebody has moved its objects.
fn prepare_update(new: &mut Value, _: &Value) {
    let storage = storage_version(new).to_owned();
    let mut stored = new["status"].items("storedVersions").to_vec();
    if !storage.is_empty() && !stored.contains(&Value::from(storage.as_str())) {
        stored.push(storage.into());
        if let Some(status) = object(new, "status") {
            put(status, "storedVersions", stored);
        }
    }
}
