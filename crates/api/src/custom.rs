//! Kinds made by CustomResourceDefinitions: one value for each version that is served.
//!
//! # Flow
//! A definition is read once, when it changes (`of_definition`); requests then go through `decode`
//! (prune), `default`, `validate`, and the store's edge (`to_stored`, `from_stored`).

pub(crate) mod columns;
mod decode;
pub mod definition;
mod formats;
mod jsonpath;
mod openapi;
mod rules;
mod scale;
pub mod schema;
mod shape;
mod size;
pub(crate) mod structural;
#[cfg(test)]
mod tests;
mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use self::columns::PrinterColumn;
pub use self::definition::{Conversion, Names};
pub(crate) use self::formats::{duration as is_duration, fits};
pub(crate) use self::openapi::{definitions, list_definition};
use self::scale::Scale;
use self::schema::Schema;
use crate::field_error::FieldError;
use crate::kinds::PART_VERBS;
use crate::managed;
use crate::meta;
use crate::resource::Part;
use crate::selector::FieldSelector;
use crate::status::Status;
use crate::validate::{names, objectmeta};

/// One version of a custom kind.
#[derive(Debug)]
pub struct CustomResource {
    /// The API group.
    pub group: String,
    /// The version.
    pub version: String,
    /// What it is called.
    pub names: Names,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// The name of its type in OpenAPI: `com.example.v1.Widget`.
    pub type_name: String,
    /// The name of its CustomResourceDefinition.
    pub definition: String,
    /// What identifies the definition: its uid and its generation.
    pub origin: (String, i64),
    /// The version in which objects are stored.
    pub storage_version: String,
    /// All versions of the definition, also those that are not served.
    pub versions: Vec<String>,
    /// How objects of other versions become ones of this.
    pub conversion: Conversion,
    /// What its objects are like.
    pub schema: Schema,
    /// The warning that comes with every answer, if the version is deprecated.
    pub deprecated: Option<String>,
    /// Whether the definition is on its way out: nothing is created any more.
    pub terminating: bool,
    source: Arc<str>,
    columns: Vec<PrinterColumn>,
    selectable: Vec<String>,
    has_status: bool,
    scale: Option<Scale>,
}

impl CustomResource {
    /// `example.com/v1`
    #[must_use]
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// `com.example.v1.WidgetList`
    pub(crate) fn list_type_name(&self) -> String {
        let package = self.type_name.rsplit_once('.').map_or("", |(package, _)| package);
        format!("{package}.{}", self.names.list_kind)
    }

    /// How its objects are merged.
    pub(crate) fn merged_as(&self) -> managed::Schema<'_> {
        managed::Schema::Custom(&self.schema)
    }

    pub(crate) fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        if self.scale.is_some() {
            parts.push(Part {
                name: "scale",
                group: "autoscaling",
                version: "v1",
                kind: "Scale",
                verbs: PART_VERBS,
                type_name: "io.k8s.api.autoscaling.v1.Scale",
            });
        }
        if self.has_status {
            let (group, version, kind) = (&self.group, &self.version, &self.names.kind);
            parts.push(Part { name: "status", group, version, kind, verbs: PART_VERBS, type_name: &self.type_name });
        }
        parts
    }

    pub(crate) fn column_definitions(&self) -> Vec<Value> {
        columns::definitions(&self.columns)
    }

    pub(crate) fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        columns::cells(&self.columns, object, now)
    }

    /// Fills in what the object does not say.
    pub fn default(&self, object: &mut Value) {
        shape::default(&self.schema, object);
    }

    /// Turns an object into one of the stored version.
    pub fn to_stored(&self, object: &mut Value) {
        if self.conversion == Conversion::None {
            self.name_version(object, &self.storage_version);
        }
    }

    /// Turns a stored object into one of this version. It may be older than the schema.
    pub fn from_stored(&self, object: &mut Value) {
        if self.conversion == Conversion::None {
            self.name_version(object, &self.version);
        }
        shape::prune(&self.schema, object, &mut Vec::new());
        shape::default(&self.schema, object);
    }

    fn name_version(&self, object: &mut Value, version: &str) {
        if let Some(map) = object.as_object_mut() {
            map.insert("apiVersion".to_owned(), format!("{}/{version}", self.group).into());
            map.insert("kind".to_owned(), self.names.kind.as_str().into());
        }
    }

    pub(crate) fn prepare_create(&self, object: &mut Value, uid: &str, now: Timestamp) {
        if self.has_status {
            crate::value::take(object, "status");
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
            meta::unset(object, field);
        }
        meta::set(object, "uid", uid);
        meta::set(object, "creationTimestamp", crate::time::format(now));
        meta::set(object, "generation", 1);
    }

    pub(crate) fn prepare_update(&self, new: &mut Value, old: &Value) {
        crate::resource::carry_metadata(new, old);
        if self.has_status {
            crate::resource::carry(new, old, "status");
        }
        let same = |value: &Value| {
            let fields = value.as_object().into_iter().flatten();
            let status = self.has_status;
            fields.filter(|(name, _)| *name != "metadata" && !(status && *name == "status")).map(clone).collect()
        };
        let (before, after): (serde_json::Map<_, _>, serde_json::Map<_, _>) = (same(old), same(new));
        if before != after {
            meta::set(new, "generation", meta::generation(old) + 1);
        }
    }

    /// Through `status` nothing else changes, metadata neither.
    pub(crate) fn prepare_status_update(&self, new: &mut Value, old: &Value) {
        let status = new.get("status").cloned();
        let version = new["metadata"]["resourceVersion"].clone();
        *new = old.clone();
        meta::set(new, "resourceVersion", version);
        match status {
            Some(status) => crate::value::put(new, "status", status),
            None => crate::value::take(new, "status"),
        }
    }

    pub(crate) fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = objectmeta::create(object, self.namespaced, names::subdomain_name);
        self.judge(object, None, &mut errors);
        errors
    }

    pub(crate) fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = objectmeta::update(new, old);
        self.judge(new, Some(old), &mut errors);
        errors
    }

    pub(crate) fn validate_status_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        self.validate_update(new, old)
    }

    fn judge(&self, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
        validate::validate(&self.schema, object, old, errors);
        if let Some(scale) = &self.scale {
            scale.validate(object, errors);
        }
        validate::rules(&self.schema, object, old, errors);
    }

    pub(crate) fn check_field_selector(&self, selector: &FieldSelector) -> Result<(), Status> {
        let known = |field: &str| {
            field == "metadata.name"
                || (field == "metadata.namespace" && self.namespaced)
                || self.selectable.iter().any(|one| one == field)
        };
        match selector.requirements().iter().find(|term| !known(&term.field)) {
            Some(unknown) => Err(Status::bad_request(format!("field label not supported: {}", unknown.field))),
            None => Ok(()),
        }
    }

    pub(crate) fn matches_fields(&self, selector: &FieldSelector, object: &Value) -> bool {
        selector.matches_with(|field| {
            let found = field.split('.').try_fold(object, |at, step| at.get(step));
            match found {
                Some(Value::String(text)) => text.clone(),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
                _ => String::new(),
            }
        })
    }

    /// The scale of an object.
    pub fn scale_of(&self, object: &Value) -> Result<Value, Status> {
        self.scale.as_ref().ok_or_else(Status::no_such_path)?.read(object)
    }

    /// Writes a scale back.
    pub fn apply_scale(&self, object: &mut Value, scale: &Value) {
        if let Some(paths) = &self.scale {
            paths.write(object, scale);
        }
    }
}

fn clone((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}
