//! The rules that make a schema structural: every field has a type, and nothing about which fields
//! there are hides where it cannot be told statically.

use serde_json::Value;

use super::rules;
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
    checker.node(props, at, 0);
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

    fn node(&mut self, props: &Value, at: &Path<'_>, depth: usize) {
        if depth > DEEPEST {
            return self.push(FieldError::invalid(at, "", format!("must not be nested deeper than {DEEPEST} levels")));
        }
        self.kind(props, at);
        self.extensions(props, at);
        self.values(props, at);
        self.default(props, at);
        for one in props.entries("properties") {
            let properties = at.child("properties");
            self.node(one.1, &properties.key(one.0), depth + 1);
        }
        if let of @ Value::Object(_) = &props["additionalProperties"] {
            if props.has("properties") {
                let detail = "additionalProperties and properties are mutual exclusive";
                self.push(FieldError::forbidden(&at.child("additionalProperties"), detail));
            }
            self.node(of, &at.child("additionalProperties"), depth + 1);
        } else if props["additionalProperties"] == Value::Bool(false) {
            let detail = "additionalProperties cannot be set to false";
            self.push(FieldError::forbidden(&at.child("additionalProperties"), detail));
        }
        match &props["items"] {
            of @ Value::Object(_) => self.node(of, &at.child("items"), depth + 1),
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
        let list = props.text("x-kubernetes-list-type");
        let place = at.child("x-kubernetes-list-type");
        if !list.is_empty() && !["atomic", "map", "set"].contains(&list) {
            self.push(FieldError::not_supported(&place, list, &["atomic", "map", "set"]));
        }
        if !list.is_empty() && props.text("type") != "array" {
            self.push(FieldError::invalid(
                &at.child("type"),
                props.text("type"),
                "must be array if x-kubernetes-list-type is specified",
            ));
        }
        let keys = at.child("x-kubernetes-list-map-keys");
        if list == "map" {
            self.map_keys(props, &keys);
        } else if props.has("x-kubernetes-list-map-keys") {
            self.push(FieldError::invalid(&place, list, "must be map if x-kubernetes-list-map-keys is non-empty"));
        }
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

    fn map_keys(&mut self, props: &Value, at: &Path<'_>) {
        let keys = props.items("x-kubernetes-list-map-keys");
        if keys.is_empty() {
            self.push(FieldError::required(at, "must not be empty if x-kubernetes-list-type is map"));
        }
        for (index, key) in keys.iter().enumerate() {
            let name = key.as_str().unwrap_or_default();
            let field = &props["items"]["properties"][name];
            let place = at.index(index);
            if !field.is_object() {
                self.push(FieldError::invalid(&place, name, "entries must all be names of item properties"));
            } else if ["array", "object"].contains(&field.text("type")) {
                self.push(FieldError::invalid(&place, name, "must refer to a scalar property"));
            } else if field.get("default").is_none() && !props["items"].items("required").contains(&Value::from(name)) {
                let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.push(FieldError::required(&place, detail));
            }
        }
    }

    fn values(&mut self, props: &Value, at: &Path<'_>) {
        if let Some(text) = props["pattern"].as_str()
            && pattern(text).is_none()
        {
            let detail = format!("must be a valid regular expression, but isn't: error parsing regexp: {text}");
            self.push(FieldError::invalid(&at.child("pattern"), text, detail));
        }
        for (index, rule) in props.items("x-kubernetes-validations").iter().enumerate() {
            let list = at.child("x-kubernetes-validations");
            rules::check(rule, props, &list.index(index), self.errors);
        }
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
        self.values(props, at);
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
