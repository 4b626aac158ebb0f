//! The rules that make a schema structural: every field has a type, and nothing about which fields
//! there are hides where it cannot be told statically.

use serde_json::Value;

use super::rules::{self, Place};
use super::schema::pattern;
use super::shape;
use super::{Schema, validate};
use crate::field_error::{FieldError, Path};
use crate::value::Read as _;

/// Schemas deeper than this are refused.
const DEEPEST: usize = 64;
const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

/// What is wrong with the schema of a version.
pub(crate) fn check(props: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut checker = Checker { errors };
    if props.text("type") != "object" {
        let kind = at.child("type");
        match props.text("type") {
            "" => checker.push(FieldError::required(&kind, "must not be empty at the root")),
            other => checker.push(FieldError::invalid(&kind, other, "must be object at the root")),
        }
    }
    if props.flag("x-kubernetes-embedded-resource") {
        let place = at.child("x-kubernetes-embedded-resource");
        checker.push(FieldError::forbidden(&place, "must not be used at the root"));
    }
    checker.root_metadata(props, at);
    checker.node(props, at, Place::ROOT, 0);
}

struct Checker<'a> {
    errors: &'a mut Vec<FieldError>,
}

impl Checker<'_> {
    fn push(&mut self, error: FieldError) {
        if self.errors.len() < 100 {
            self.errors.push(error);
        }
    }

    /// Of metadata a schema may restrict the names only.
    fn root_metadata(&mut self, props: &Value, at: &Path<'_>) {
        let properties = at.child("properties");
        let place = properties.child("metadata");
        let Some(metadata) = props["properties"].get("metadata") else { return };
        for (name, _) in metadata.entries("properties").filter(|(name, _)| !matches!(*name, "name" | "generateName")) {
            let detail =
                "must not specify anything other than name and generateName, but metadata is implicitly specified";
            let inner = place.child("properties");
            self.push(FieldError::forbidden(&inner.key(name), detail));
        }
    }

    fn node(&mut self, props: &Value, at: &Path<'_>, place: Place<'_>, depth: usize) {
        if depth > DEEPEST {
            return self.push(FieldError::invalid(at, "", format!("must not be nested deeper than {DEEPEST} levels")));
        }
        self.kind(props, at);
        self.extensions(props, at);
        self.values(props, place, at);
        self.default(props, at);
        for one in props.entries("properties") {
            let properties = at.child("properties");
            self.node(one.1, &properties.key(one.0), place.field(), depth + 1);
        }
        if let of @ Value::Object(_) = &props["additionalProperties"] {
            if props.has("properties") {
                let detail = "additionalProperties and properties are mutual exclusive";
                self.push(FieldError::forbidden(&at.child("additionalProperties"), detail));
            }
            self.node(of, &at.child("additionalProperties"), place.each(&props["maxProperties"], None), depth + 1);
        } else if props["additionalProperties"] == Value::Bool(false) {
            let detail = "additionalProperties cannot be set to false";
            self.push(FieldError::forbidden(&at.child("additionalProperties"), detail));
        }
        match &props["items"] {
            of @ Value::Object(_) => {
                let lost = (props.text("x-kubernetes-list-type") != "map").then_some(at);
                self.node(of, &at.child("items"), place.each(&props["maxItems"], lost), depth + 1);
            }
            Value::Array(_) => {
                let detail = "items must be a schema object and not an array";
                self.push(FieldError::forbidden(&at.child("items"), detail));
            }
            _ if props.text("type") == "array" => {
                self.push(FieldError::required(&at.child("items"), "must be specified"))
            }
            _ => {}
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            for (index, one) in props.items(name).iter().enumerate() {
                let list = at.child(name);
                self.value_only(one, props, &list.index(index), depth + 1);
            }
        }
        if let Some(not) = props.get("not").filter(|not| not.is_object()) {
            self.value_only(not, props, &at.child("not"), depth + 1);
        }
    }

    fn kind(&mut self, props: &Value, at: &Path<'_>) {
        let place = at.child("type");
        let text = props.text("type");
        let any = props.flag("x-kubernetes-int-or-string") || props.flag("x-kubernetes-preserve-unknown-fields");
        if text.is_empty() && !any {
            self.push(FieldError::required(&place, "must not be empty for specified object fields"));
        } else if !text.is_empty() && !TYPES.contains(&text) {
            self.push(FieldError::not_supported(&place, text, TYPES));
        }
        if props.flag("x-kubernetes-int-or-string") && !text.is_empty() {
            let detail = "must be empty if x-kubernetes-int-or-string is true";
            self.push(FieldError::invalid(&place, text, detail));
        }
        for (name, detail) in [
            ("$ref", "$ref is not supported"),
            ("definitions", "definitions is not supported"),
            ("dependencies", "dependencies is not supported"),
            ("patternProperties", "patternProperties is not supported"),
            ("additionalItems", "additionalItems is not supported"),
            ("id", "id is not supported"),
        ] {
            if props.has(name) {
                self.push(FieldError::forbidden(&at.child(name), detail));
            }
        }
        if props.flag("uniqueItems") {
            let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.push(FieldError::forbidden(&at.child("uniqueItems"), detail));
        }
    }

    fn extensions(&mut self, props: &Value, at: &Path<'_>) {
        let is_object = props.text("type") == "object";
        if props.flag("x-kubernetes-embedded-resource") {
            if !is_object {
                self.push(FieldError::invalid(
                    &at.child("type"),
                    props.text("type"),
                    "must be object if x-kubernetes-embedded-resource is true",
                ));
            }
            if !props.has("properties") && !props.flag("x-kubernetes-preserve-unknown-fields") {
                let detail = "must be specified if x-kubernetes-embedded-resource is true and x-kubernetes-preserve-unknown-fields is not true";
                self.push(FieldError::required(&at.child("properties"), detail));
            }
        } else if props.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
            let place = at.child("x-kubernetes-preserve-unknown-fields");
            self.push(FieldError::invalid(&place, false, "must be true or undefined"));
        }
        self.list_type(props, at);
        let map = props.text("x-kubernetes-map-type");
        if !map.is_empty() && !["atomic", "granular"].contains(&map) {
            self.push(FieldError::not_supported(&at.child("x-kubernetes-map-type"), map, &["atomic", "granular"]));
        }
        if !map.is_empty() && !is_object {
            self.push(FieldError::invalid(
                &at.child("type"),
                props.text("type"),
                "must be object if x-kubernetes-map-type is specified",
            ));
        }
    }

    /// How the items of a list are told apart has to be sure.
    fn list_type(&mut self, props: &Value, at: &Path<'_>) {
        let (list, place) = (props.text("x-kubernetes-list-type"), at.child("x-kubernetes-list-type"));
        if !list.is_empty() && !["atomic", "map", "set"].contains(&list) {
            self.push(FieldError::not_supported(&place, list, &["atomic", "set", "map"]));
        }
        if !list.is_empty() && props.text("type") != "array" {
            let (detail, place) = ("must be array if x-kubernetes-list-type is specified", at.child("type"));
            self.push(match props.text("type") {
                "" => FieldError::required(&place, detail),
                other => FieldError::invalid(&place, other, detail),
            });
        } else if list == "set" {
            self.set_items(&props["items"], at);
        }
        if props.has("x-kubernetes-list-map-keys") && list != "map" {
            let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
            self.push(match list {
                "" => FieldError::required(&place, detail),
                other => FieldError::invalid(&place, other, detail),
            });
        }
        if list == "map" {
            self.map_keys(props, at);
        }
        if matches!(list, "map" | "set") && props["items"].flag("nullable") {
            let items = at.child("items");
            let detail = format!("cannot be nullable when x-kubernetes-list-type is {list}");
            self.push(FieldError::forbidden(&items.child("nullable"), detail));
        }
    }

    /// The items of a set are their own keys: they are replaced as a whole.
    fn set_items(&mut self, items: &Value, at: &Path<'_>) {
        let inner = at.child("items");
        let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
        let (list, map) = (items.text("x-kubernetes-list-type"), items.text("x-kubernetes-map-type"));
        match items.text("type") {
            "array" if !matches!(list, "" | "atomic") => {
                self.push(FieldError::invalid(&inner.child("x-kubernetes-list-type"), list, detail));
            }
            "object" if map != "atomic" => {
                let given = items.get("x-kubernetes-list-type").cloned().unwrap_or_default();
                self.push(FieldError::invalid(&inner.child("x-kubernetes-map-type"), given, detail));
            }
            _ => {}
        }
    }

    fn map_keys(&mut self, props: &Value, at: &Path<'_>) {
        let (keys, place) = (props.items("x-kubernetes-list-map-keys"), at.child("x-kubernetes-list-map-keys"));
        let (items, inner) = (&props["items"], at.child("items"));
        if keys.is_empty() {
            self.push(FieldError::required(&place, "must not be empty if x-kubernetes-list-type is map"));
        }
        if !items.is_object() {
            self.push(FieldError::required(&inner, "must have a schema if x-kubernetes-list-type is map"));
        } else if items.text("type") != "object" {
            let detail = "must be object if parent array's x-kubernetes-list-type is map";
            self.push(FieldError::invalid(&inner.child("type"), items.text("type"), detail));
        }
        let fields = inner.child("properties");
        for (index, key) in keys.iter().enumerate() {
            let name = key.as_str().unwrap_or_default();
            let (field, place_of) = (&items["properties"][name], fields.key(name));
            if keys[..index].contains(key) {
                self.push(FieldError::invalid(&place, keys.to_vec(), "must not contain duplicate entries"));
            } else if !field.is_object() {
                self.push(FieldError::invalid(&place, keys.to_vec(), "entries must all be names of item properties"));
            } else if ["array", "object"].contains(&field.text("type")) {
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                self.push(FieldError::invalid(&place_of.child("type"), items.text("type"), detail));
            } else if field.get("default").is_none() && !items.items("required").contains(key) {
                let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.push(FieldError::required(&place_of.child("default"), detail));
            }
            if field.flag("nullable") {
                let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
                self.push(FieldError::forbidden(&place_of.child("nullable"), detail));
            }
        }
    }

    fn values(&mut self, props: &Value, place: Place<'_>, at: &Path<'_>) {
        if let Some(text) = props["pattern"].as_str()
            && pattern(text).is_none()
        {
            let detail = format!("must be a valid regular expression, but isn't: error parsing regexp: {text}");
            self.push(FieldError::invalid(&at.child("pattern"), text, detail));
        }
        rules::check(props, place, at, self.errors);
    }

    /// A default is as the schema says.
    fn default(&mut self, props: &Value, at: &Path<'_>) {
        let Some(default) = props.get("default").filter(|default| !default.is_null()) else { return };
        let schema = Schema::parse(props);
        let place = at.child("default");
        let mut pruned = default.clone();
        let mut unknown = Vec::new();
        shape::prune(&schema, &mut pruned, &mut unknown);
        if !unknown.is_empty() {
            let detail = format!("must not have unknown fields: {}", unknown.join(", "));
            self.push(FieldError::invalid(&place, default.clone(), detail));
        }
        shape::default(&schema, &mut pruned);
        validate::one(&schema, &pruned, &place, self.errors);
    }

    /// Under `allOf` and the like only values are restricted.
    fn value_only(&mut self, props: &Value, above: &Value, at: &Path<'_>, depth: usize) {
        if depth > DEEPEST {
            return self.push(FieldError::invalid(at, "", format!("must not be nested deeper than {DEEPEST} levels")));
        }
        let int_or_string = above.flag("x-kubernetes-int-or-string");
        for name in [
            "type",
            "default",
            "additionalProperties",
            "nullable",
            "description",
            "title",
            "x-kubernetes-preserve-unknown-fields",
            "x-kubernetes-embedded-resource",
            "x-kubernetes-int-or-string",
            "x-kubernetes-list-type",
            "x-kubernetes-list-map-keys",
            "x-kubernetes-map-type",
        ] {
            let given = props.get(name).is_some_and(|value| !value.is_null() && *value != Value::Bool(false));
            if given && !(name == "type" && int_or_string) {
                self.push(FieldError::forbidden(&at.child(name), "must be empty to be structural"));
            }
        }
        self.values(props, Place::ROOT, at);
        for (name, one) in props.entries("properties") {
            let properties = at.child("properties");
            let place = properties.key(name);
            match above["properties"].get(name) {
                Some(of) => self.value_only(one, of, &place, depth + 1),
                None if above["additionalProperties"].is_object() => {
                    self.value_only(one, &above["additionalProperties"], &place, depth + 1);
                }
                None => {
                    let detail = format!("because it is defined in {at}.properties[{name}]");
                    self.push(FieldError::required(&place, detail));
                    self.value_only(one, &Value::Null, &place, depth + 1);
                }
            }
        }
        if let Some(items) = props.get("items").filter(|items| items.is_object()) {
            self.value_only(items, &above["items"], &at.child("items"), depth + 1);
        }
        for name in ["allOf", "anyOf", "oneOf"] {
            for (index, one) in props.items(name).iter().enumerate() {
                let list = at.child(name);
                self.value_only(one, above, &list.index(index), depth + 1);
            }
        }
        if let Some(not) = props.get("not").filter(|not| not.is_object()) {
            self.value_only(not, above, &at.child("not"), depth + 1);
        }
    }
}
