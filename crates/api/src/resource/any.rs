//! A kind, built in or made by a CustomResourceDefinition, behind one interface: whoever serves kinds
//! need not know which it is. A built-in one costs a pointer.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Column, Durability, FieldValidation, Resource};
use crate::custom::CustomResource;
use crate::field_error::FieldError;
use crate::managed::Schema;
use crate::selector::FieldSelector;
use crate::status::{Qualified, Status};

/// A kind of the API, wherever it comes from.
#[derive(Clone)]
pub enum AnyResource {
    /// One of [`super::all`].
    Builtin(&'static Resource),
    /// One version of what a CustomResourceDefinition describes.
    Custom(Arc<CustomResource>),
}

/// A part of an object with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The last segment of the path: `status`.
    pub name: &'a str,
    /// The group of what is read and written there; it is the resource's own unless said otherwise.
    pub group: &'a str,
    /// The version of that.
    pub version: &'a str,
    /// The kind of that.
    pub kind: &'a str,
    /// What can be done there.
    pub verbs: &'static [&'static str],
    /// The type of what is read and written there.
    pub type_name: &'a str,
}

/// The same question to either sort of kind.
macro_rules! either {
    ($self:ident, $one:ident => $builtin:expr, $custom:expr) => {
        match $self {
            AnyResource::Builtin($one) => $builtin,
            AnyResource::Custom($one) => $custom,
        }
    };
}

impl AnyResource {
    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        either!(self, of => of.group, &of.group)
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> &str {
        either!(self, of => of.version, &of.version)
    }

    /// `Pod`
    #[must_use]
    pub fn kind(&self) -> &str {
        either!(self, of => of.kind, &of.names.kind)
    }

    /// `pods`
    #[must_use]
    pub fn plural(&self) -> &str {
        either!(self, of => of.plural, &of.names.plural)
    }

    /// `pod`
    #[must_use]
    pub fn singular(&self) -> &str {
        either!(self, of => of.singular, &of.names.singular)
    }

    /// `po`
    #[must_use]
    pub fn short_names(&self) -> Vec<&str> {
        either!(self, of => of.short_names.to_vec(), of.names.short_names.iter().map(String::as_str).collect())
    }

    /// The groups of kinds it belongs to: `all`.
    #[must_use]
    pub fn categories(&self) -> Vec<&str> {
        either!(self, of => of.categories.to_vec(), of.names.categories.iter().map(String::as_str).collect())
    }

    /// Whether its objects live in namespaces.
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        either!(self, of => of.is_namespaced(), of.namespaced)
    }

    /// What can be done with it, sorted.
    #[must_use]
    pub fn verbs(&self) -> &'static [&'static str] {
        either!(self, of => of.verbs, { let _ = of; crate::kinds::ALL_VERBS })
    }

    /// Whether it knows this verb.
    #[must_use]
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs().contains(&verb)
    }

    /// The parts with a path of their own, by name.
    #[must_use]
    pub fn parts(&self) -> Vec<Part<'_>> {
        either!(self, of => of.subresources.to_vec(), of.parts())
    }

    /// The part with this name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Part<'_>> {
        either!(self, of => of.subresource(name).copied(), of.parts().into_iter().find(|part| part.name == name))
    }

    /// How long its objects are kept.
    #[must_use]
    pub fn durability(&self) -> Durability {
        either!(self, of => of.durability, { let _ = of; Durability::Disk })
    }

    /// The name of its type: `io.k8s.api.core.v1.Pod`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        either!(self, of => of.type_name, &of.type_name)
    }

    /// The schema that says how its objects are merged, and whose which field is.
    #[must_use]
    pub fn schema(&self) -> Schema<'_> {
        either!(self, of => Schema::of_type(of.type_name), of.merged_as())
    }

    /// `v1`, `apps/v1`
    #[must_use]
    pub fn api_version(&self) -> String {
        either!(self, of => of.api_version(), of.api_version())
    }

    /// `PodList`
    #[must_use]
    pub fn list_kind(&self) -> String {
        either!(self, of => of.list_kind(), of.names.list_kind.clone())
    }

    /// The resource as errors name it: `deployments.apps`.
    #[must_use]
    pub fn qualified(&self) -> Qualified<'_> {
        Qualified::new(self.group(), self.plural())
    }

    /// The kind as errors name it: `Deployment.apps`.
    #[must_use]
    pub fn qualified_kind(&self) -> Qualified<'_> {
        Qualified::new(self.group(), self.kind())
    }

    /// Whether it is the resource of this group and plural.
    #[must_use]
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.plural() == plural && self.group() == group
    }

    /// What a CustomResourceDefinition says about it, if one made it.
    #[must_use]
    pub fn custom(&self) -> Option<&Arc<CustomResource>> {
        match self {
            Self::Builtin(_) => None,
            Self::Custom(of) => Some(of),
        }
    }

    /// The kind that its objects are stored as: itself, unless it only shows another one's. The versions
    /// of a custom kind are all stored under one prefix; see [`Self::to_stored`].
    #[must_use]
    pub fn stored_as(&self) -> Self {
        either!(self, of => Self::Builtin(of.stored_as()), Self::Custom(Arc::clone(of)))
    }

    /// Whether stored objects have to be turned before they are shown.
    #[must_use]
    pub fn is_view(&self) -> bool {
        either!(self, of => of.is_view(), { let _ = of; true })
    }

    /// Turns an object of this kind into one of the kind that is stored.
    pub fn to_stored(&self, object: &mut Value) {
        either!(self, of => of.to_stored(object), of.to_stored(object));
    }

    /// Turns a stored object into one of this kind.
    pub fn from_stored(&self, object: &mut Value) {
        either!(self, of => of.from_stored(object), of.from_stored(object));
    }

    /// The columns of its table, as a `Table` describes them.
    #[must_use]
    pub fn column_definitions(&self) -> Vec<Value> {
        either!(self, of => of.columns.iter().map(definition).collect(), of.column_definitions())
    }

    /// Reads an object of this kind from a request's body. `Ok` comes with the warnings to be sent.
    pub fn decode(&self, body: &[u8], validation: FieldValidation) -> Result<(Value, Vec<String>), Status> {
        either!(self, of => of.decode(body, validation), of.decode(body, validation))
    }

    /// The same for the outcome of a patch, which is at fault where a field is wrong.
    pub fn decode_patched(
        &self,
        patched: &Value,
        patch: &[u8],
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        either!(self, of => of.decode_patched(patched, patch, validation), of.decode_patched(patched, patch, validation))
    }

    /// Fills in what the object does not say.
    pub fn default(&self, object: &mut Value) {
        either!(self, of => of.default(object), of.default(object));
    }

    /// Makes a decoded, defaulted object ready to be stored for the first time.
    pub fn prepare_create(&self, object: &mut Value, uid: &str, now: Timestamp) {
        either!(self, of => of.prepare_create(object, uid, now), of.prepare_create(object, uid, now));
    }

    /// Makes a decoded, defaulted object ready to replace `old`.
    pub fn prepare_update(&self, new: &mut Value, old: &Value) {
        either!(self, of => of.prepare_update(new, old), of.prepare_update(new, old));
    }

    /// The same for an update through a part such as `status`.
    pub fn prepare_part_update(&self, part: &str, new: &mut Value, old: &Value, now: Timestamp) {
        either!(self, of => of.prepare_part_update(part, new, old, now), of.prepare_status_update(new, old));
    }

    /// What is wrong with a new object.
    #[must_use]
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        either!(self, of => of.validate(object), of.validate(object))
    }

    /// What is wrong with an object that is about to replace `old`.
    #[must_use]
    pub fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        either!(self, of => of.validate_update(new, old), of.validate_update(new, old))
    }

    /// What is wrong with an object of which that part is about to change.
    #[must_use]
    pub fn validate_part_update(&self, part: &str, new: &Value, old: &Value) -> Vec<FieldError> {
        either!(self, of => of.validate_part_update(part, new, old), of.validate_status_update(new, old))
    }

    /// What whoever creates this object, or changes `old` into it, has to be told about what it says and
    /// what comes of it.
    #[must_use]
    pub fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        either!(self, of => of.warnings(object, old), { let _ = of; Vec::new() })
    }

    /// The scale of an object.
    pub fn scale(&self, object: &Value) -> Result<Value, Status> {
        either!(self, of => { let _ = of; Ok(crate::scale::of(object)) }, of.scale_of(object))
    }

    /// Writes a scale back. The caller has compared resource versions.
    pub fn apply_scale(&self, object: &mut Value, scale: &Value) {
        either!(self, of => { let _ = of; crate::scale::apply(object, scale) }, of.apply_scale(object, scale));
    }

    /// The part of this name that changes something else than the status.
    #[must_use]
    pub fn changing_part(&self, name: &str) -> Option<&'static str> {
        either!(self, of => of.changing_part(name), { let _ = of; None })
    }

    /// Reduces `new` to a change of that part of `old`, and says what is wrong with it.
    #[must_use]
    pub fn change_part(&self, part: &str, new: &mut Value, old: &Value) -> Option<Vec<FieldError>> {
        either!(self, of => of.change_part(part, new, old), { let _ = of; None })
    }

    /// Whether dependents are kept when an object is deleted by a client that does not say what becomes
    /// of them.
    #[must_use]
    pub fn keeps_dependents(&self) -> bool {
        either!(self, of => of.keeps_dependents(), { let _ = of; false })
    }

    /// Whether a selector names only fields that this kind can be selected by.
    pub fn check_field_selector(&self, selector: &FieldSelector) -> Result<(), Status> {
        either!(self, of => of.check_field_selector(selector), of.check_field_selector(selector))
    }

    /// Whether an object matches a field selector.
    #[must_use]
    pub fn matches_fields(&self, selector: &FieldSelector, object: &Value) -> bool {
        either!(self, of => of.matches_fields(selector, object), of.matches_fields(selector, object))
    }

    /// Whether an object has done its work, for its row: a word and a sentence.
    #[must_use]
    pub fn ended(&self, object: &Value) -> Option<[&'static str; 2]> {
        either!(self, of => of.ended(object), { let _ = of; None })
    }

    /// The cells of an object's row, one for each of its columns.
    #[must_use]
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        either!(self, of => of.cells(object, now), of.cells(object, now))
    }
}

/// A column as a table defines it.
pub(crate) fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.type_,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}
