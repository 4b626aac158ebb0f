//! Kinds made by CustomResourceDefinitions: one value for each version that is served.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field_error::FieldError;
use crate::meta;
use crate::resource::{FieldValidation, Part};
use crate::selector::FieldSelector;
use crate::status::Status;
use crate::validate::{names, objectmeta};

/// What a kind is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// `Widget`
    pub kind: String,
    /// `WidgetList`
    pub list_kind: String,
    /// `widgets`
    pub plural: String,
    /// `widget`
    pub singular: String,
    /// `wd`
    pub short_names: Vec<String>,
    /// `all`
    pub categories: Vec<String>,
}

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
}

impl CustomResource {
    /// `example.com/v1`
    #[must_use]
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    pub(crate) fn parts(&self) -> Vec<Part<'_>> {
        Vec::new()
    }

    pub(crate) fn column_definitions(&self) -> Vec<Value> {
        vec![json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0})]
    }

    pub(crate) fn decode(&self, body: &[u8], _: FieldValidation) -> Result<(Value, Vec<String>), Status> {
        let object = serde_json::from_slice(body).map_err(|error| Status::bad_request(error.to_string()))?;
        Ok((object, Vec::new()))
    }

    pub(crate) fn decode_patched(
        &self,
        patched: &Value,
        _: &[u8],
        _: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        Ok((patched.clone(), Vec::new()))
    }

    pub(crate) fn default(&self, _: &mut Value) {}

    pub(crate) fn to_stored(&self, _: &mut Value) {}

    pub(crate) fn from_stored(&self, _: &mut Value) {}

    pub(crate) fn prepare_create(&self, object: &mut Value, uid: &str, now: Timestamp) {
        meta::set(object, "uid", uid);
        meta::set(object, "creationTimestamp", crate::time::format(now));
    }

    pub(crate) fn prepare_update(&self, _: &mut Value, _: &Value) {}

    pub(crate) fn prepare_status_update(&self, _: &mut Value, _: &Value) {}

    pub(crate) fn validate(&self, object: &Value) -> Vec<FieldError> {
        objectmeta::create(object, self.namespaced, names::subdomain_name)
    }

    pub(crate) fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        objectmeta::update(new, old)
    }

    pub(crate) fn validate_status_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        objectmeta::update(new, old)
    }

    pub(crate) fn check_field_selector(&self, _: &FieldSelector) -> Result<(), Status> {
        Ok(())
    }

    pub(crate) fn matches_fields(&self, selector: &FieldSelector, object: &Value) -> bool {
        selector.matches_with(|field| match field {
            "metadata.name" => meta::name(object).to_owned(),
            "metadata.namespace" => meta::namespace(object).to_owned(),
            _ => String::new(),
        })
    }

    pub(crate) fn cells(&self, object: &Value, _: Timestamp) -> Vec<Value> {
        vec![meta::name(object).into()]
    }
}
