//! What the server itself does to an object before it is stored, and what it checks.

use jiff::Timestamp;
use serde_json::Value;

use super::{PartRules, Resource};
use crate::field_error::FieldError;
use crate::meta;
use crate::selector::FieldSelector;
use crate::status::Status;
use crate::validate::{names, objectmeta};

/// Selectable fields that are `false` where they are missing.
const BOOLEAN_FIELDS: &[&str] = &["spec.unschedulable", "spec.hostNetwork"];

impl Resource {
    /// Fills in what the object does not say.
    pub fn default(&self, object: &mut Value) {
        (self.rules.default)(object);
    }

    /// Makes a decoded, defaulted object ready to be stored for the first time.
    pub fn prepare_create(&self, object: &mut Value, uid: &str, now: Timestamp) {
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "resourceVersion"] {
            meta::unset(object, field);
        }
        meta::set(object, "uid", uid);
        meta::set(object, "creationTimestamp", crate::time::format(now));
        if self.rules.generation.is_some() {
            meta::set(object, "generation", 1);
        }
        if let Some(initial) = self.rules.initial_status {
            let status = initial(object);
            if let Some(map) = object.as_object_mut() {
                map.insert("status".to_owned(), status);
            }
        }
        (self.rules.prepare_create)(object);
    }

    /// Makes a decoded, defaulted object ready to replace `old`: what clients cannot change stays, and
    /// what is wanted being different counts as a new generation.
    pub fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_metadata(new, old);
        if self.subresource("status").is_some() {
            carry(new, old, "status");
        }
        (self.rules.prepare_update)(new, old);
        if self.rules.generation.is_some_and(|changed| changed(new, old)) {
            meta::set(new, "generation", meta::generation(old) + 1);
        }
    }

    /// The same for an update through a part such as `status`: only the status changes (and annotations
    /// and the like).
    pub fn prepare_part_update(&self, part: &str, new: &mut Value, old: &Value, now: Timestamp) {
        carry_metadata(new, old);
        let keys: Vec<String> = [new, old].iter().flat_map(|v| v.as_object()).flat_map(|m| m.keys().cloned()).collect();
        for key in keys.iter().filter(|k| !["metadata", "status", "apiVersion", "kind"].contains(&k.as_str())) {
            carry(new, old, key);
        }
        for field in ["labels", "ownerReferences"] {
            match old["metadata"].get(field) {
                Some(value) => meta::set(new, field, value.clone()),
                None => meta::unset(new, field),
            }
        }
        if let Some(PartRules::Status { prepare, .. }) = self.part_rules(part) {
            prepare(new, old, now);
        }
    }

    /// What is wrong with a new object.
    #[must_use]
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = objectmeta::create(object, self.is_namespaced(), self.rules.name);
        (self.rules.validate)(object, &mut errors);
        (self.rules.validate_create)(object, &mut errors);
        errors
    }

    /// What is wrong with an object that is about to replace `old`.
    #[must_use]
    pub fn validate_update(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = objectmeta::update(new, old);
        (self.rules.validate_update)(new, old, &mut errors);
        (self.rules.validate)(new, &mut errors);
        errors
    }

    /// What is wrong with an object of which that part is about to change.
    #[must_use]
    pub fn validate_part_update(&self, part: &str, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = objectmeta::update(new, old);
        if let Some(PartRules::Status { validate, .. }) = self.part_rules(part) {
            validate(new, old, &mut errors);
        }
        errors
    }

    fn part_rules(&self, part: &str) -> Option<&'static PartRules> {
        self.rules.parts.iter().find(|(name, _)| *name == part).map(|(_, rules)| rules)
    }

    /// What whoever creates this object, or changes `old` into it, has to be told about what it says and
    /// what comes of it. Changes of metadata and of the status are not worth a word.
    #[must_use]
    pub fn warnings(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        if old.is_some_and(|old| says_the_same(object, old)) {
            return Vec::new();
        }
        let unheeded = self.unheeded.and_then(|unheeded| unheeded.warning(self.kind, object));
        let name = if old.is_none() { self.name_warning(object) } else { None };
        unheeded.into_iter().chain(name).chain((self.rules.warnings)(object)).collect()
    }

    /// What to tell about a name that is good and will be in the way.
    fn name_warning(&self, object: &Value) -> Option<String> {
        let (of, problems) = (self.rules.named_after?, names::dns_label(meta::name(object)));
        let why = problems.join(" ");
        (!problems.is_empty()).then(|| {
            format!(
                "metadata.name: this is used in {of}, which can result in surprising behavior; a DNS label is \
                 recommended: [{why}]"
            )
        })
    }

    /// Reduces `new` to a change of that part of `old`, and says what is wrong with it. `None`: there is
    /// no such part that can be changed like that.
    #[must_use]
    pub fn change_part(&self, part: &str, new: &mut Value, old: &Value) -> Option<Vec<FieldError>> {
        let Some(PartRules::Other(change)) = self.part_rules(part) else { return None };
        carry_metadata(new, old);
        let mut wrong = change(new, old);
        if self.rules.generation.is_some_and(|changed| changed(new, old)) {
            meta::set(new, "generation", meta::generation(old) + 1);
        }
        let mut errors = objectmeta::update(new, old);
        errors.append(&mut wrong);
        Some(errors)
    }

    /// The part of this name that changes something else than the status.
    #[must_use]
    pub fn changing_part(&self, name: &str) -> Option<&'static str> {
        let mut others = self.rules.parts.iter().filter(|(_, rules)| matches!(rules, PartRules::Other(_)));
        others.find(|(part, _)| *part == name).map(|(part, _)| *part)
    }

    /// Whether dependents are kept when an object is deleted by a client that does not say what becomes
    /// of them.
    #[must_use]
    pub fn keeps_dependents(&self) -> bool {
        self.rules.keeps_dependents
    }

    /// Whether a selector names only fields that this kind can be selected by.
    pub fn check_field_selector(&self, selector: &FieldSelector) -> Result<(), Status> {
        match selector.requirements().iter().find(|r| self.field_pointer(&r.field).is_none()) {
            Some(unknown) => Err(Status::bad_request(format!("field label not supported: {}", unknown.field))),
            None => Ok(()),
        }
    }

    /// Whether an object matches a field selector.
    #[must_use]
    pub fn matches_fields(&self, selector: &FieldSelector, object: &Value) -> bool {
        selector.matches_with(|field| self.field(object, field))
    }

    /// A selectable field of an object as text; empty where there is none.
    #[must_use]
    pub fn field(&self, object: &Value, field: &str) -> String {
        let Some(pointer) = self.field_pointer(field) else { return String::new() };
        match object.pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Number(value)) => value.to_string(),
            _ if BOOLEAN_FIELDS.contains(&field) => "false".to_owned(),
            _ => String::new(),
        }
    }

    fn field_pointer(&self, field: &str) -> Option<&'static str> {
        match field {
            "metadata.name" => Some("/metadata/name"),
            "metadata.namespace" if self.is_namespaced() => Some("/metadata/namespace"),
            _ => self.rules.fields.iter().find(|(label, _)| *label == field).map(|(_, pointer)| *pointer),
        }
    }

    /// The fields that a field selector may name.
    pub fn selectable_fields(&self) -> impl Iterator<Item = &'static str> {
        let namespace = self.is_namespaced().then_some("metadata.namespace");
        ["metadata.name"].into_iter().chain(namespace).chain(self.rules.fields.iter().map(|(label, _)| *label))
    }

    /// Whether an object has done its work, for its row: a word and a sentence.
    #[must_use]
    pub fn ended(&self, object: &Value) -> Option<[&'static str; 2]> {
        (self.rules.ended)(object)
    }

    /// The cells of an object's row, one for each of [`Self::columns`].
    #[must_use]
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        (self.rules.cells)(object, now)
    }
}

/// Whether two versions differ at most in what they are called and in what became of them.
fn says_the_same(new: &Value, old: &Value) -> bool {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else { return false };
    let counts = |field: &&String| !["metadata", "status"].contains(&field.as_str());
    new.keys().chain(old.keys()).filter(counts).all(|field| new.get(field) == old.get(field))
}

pub(crate) fn carry(new: &mut Value, old: &Value, field: &str) {
    let Some(map) = new.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => map.insert(field.to_owned(), value.clone()),
        None => map.remove(field),
    };
}

pub(crate) fn carry_metadata(new: &mut Value, old: &Value) {
    let before = &old["metadata"];
    for field in ["uid", "name", "namespace", "deletionGracePeriodSeconds"] {
        if new["metadata"][field].as_str().is_none_or(str::is_empty) && new["metadata"][field].as_i64().is_none() {
            match before.get(field) {
                Some(value) => meta::set(new, field, value.clone()),
                None => meta::unset(new, field),
            }
        }
    }
    for field in ["creationTimestamp", "generation", "deletionTimestamp"] {
        match before.get(field) {
            Some(value) => meta::set(new, field, value.clone()),
            None => meta::unset(new, field),
        }
    }
}
