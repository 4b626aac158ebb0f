//! The structural schema of a custom kind: which fields there are, read from a JSON schema once, when
//! its CustomResourceDefinition changes, so that no request has to.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::rules::Rule;
use super::shape;
use crate::value::Read as _;

/// What may stand at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Nothing is said.
    #[default]
    Any,
    /// An object or a map.
    Object,
    /// A list.
    Array,
    /// Text.
    String,
    /// A number without a fraction.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
}

impl Sort {
    fn parse(text: &str) -> Self {
        match text {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => Self::Any,
        }
    }

    /// Its name in a schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// What may stand under names that no property has.
#[derive(Debug, Default)]
pub enum Additional {
    /// Nothing: they are pruned.
    #[default]
    None,
    /// Anything.
    Any,
    /// Values of one schema.
    Of(Box<Schema>),
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// They are not: the list is replaced as a whole.
    #[default]
    Atomic,
    /// By their values.
    Set,
    /// By the values of these fields.
    Map(Vec<String>),
}

/// A schema.
#[derive(Debug, Default)]
pub struct Schema {
    /// What stands here.
    pub sort: Sort,
    /// The fields of an object.
    pub properties: BTreeMap<String, Schema>,
    /// Its other fields.
    pub additional: Additional,
    /// The items of a list.
    pub items: Option<Box<Schema>>,
    /// Whether null may stand here.
    pub nullable: bool,
    /// Whether unknown fields stay.
    pub preserve: bool,
    /// Whether the object is a whole object of the API.
    pub embedded: bool,
    /// Whether a number or text stands here.
    pub int_or_string: bool,
    /// How items are told apart.
    pub list: ListType,
    /// Whether the object is replaced as a whole.
    pub atomic_map: bool,
    /// What stands here if nothing does.
    pub default: Option<Value>,
    /// What values must be like.
    pub checks: Option<Box<Checks>>,
    /// The expressions that must hold.
    pub rules: Vec<Rule>,
}

/// What the values of a schema must be like besides their types.
#[derive(Debug, Default)]
pub struct Checks {
    pub(super) required: Vec<String>,
    pub(super) values: Vec<Value>,
    pub(super) minimum: Option<(f64, bool)>,
    pub(super) maximum: Option<(f64, bool)>,
    pub(super) multiple_of: Option<f64>,
    pub(super) length: Bounds,
    pub(super) items: Bounds,
    pub(super) properties: Bounds,
    pub(super) unique: bool,
    pub(super) pattern: Option<(String, Regex)>,
    pub(super) format: Option<String>,
    pub(super) all_of: Vec<Schema>,
    pub(super) any_of: Vec<Schema>,
    pub(super) one_of: Vec<Schema>,
    pub(super) not: Option<Box<Schema>>,
}

/// How few and how many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

/// The most that a value may have of what it is made of; `None`: nothing is said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) text: Option<usize>,
    pub(crate) items: Option<usize>,
    pub(crate) entries: Option<usize>,
}

impl Schema {
    /// Reads a `JSONSchemaProps`. What is malformed in it was refused before; here it counts for nothing.
    #[must_use]
    pub fn parse(props: &Value) -> Self {
        let sub = |value: &Value| Box::new(Self::parse(value));
        let embedded = props.flag("x-kubernetes-embedded-resource");
        let list = match props.text("x-kubernetes-list-type") {
            "set" => ListType::Set,
            "map" => {
                let keys = props.items("x-kubernetes-list-map-keys").iter();
                ListType::Map(keys.filter_map(|key| key.as_str().map(str::to_owned)).collect())
            }
            _ => ListType::Atomic,
        };
        let mut schema = Self {
            sort: Sort::parse(props.text("type")),
            properties: props.entries("properties").map(|(name, of)| (name.to_owned(), Self::parse(of))).collect(),
            additional: match &props["additionalProperties"] {
                Value::Bool(true) => Additional::Any,
                of @ Value::Object(_) => Additional::Of(sub(of)),
                _ => Additional::None,
            },
            items: props.get("items").filter(|of| of.is_object()).map(sub),
            nullable: props.flag("nullable"),
            preserve: props.flag("x-kubernetes-preserve-unknown-fields"),
            embedded,
            int_or_string: props.flag("x-kubernetes-int-or-string"),
            list,
            atomic_map: props.text("x-kubernetes-map-type") == "atomic",
            default: props.get("default").cloned(),
            checks: Checks::parse(props),
            rules: props.items("x-kubernetes-validations").iter().filter_map(Rule::parse).collect(),
        };
        // What is filled in is itself complete, and holds nothing that the schema does not know.
        if let Some(mut default) = schema.default.take().filter(|default| schema.nullable || !default.is_null()) {
            shape::complete(&schema, &mut default);
            schema.default = Some(default);
        }
        schema
    }

    /// The schema of a field, if it has one.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        match (self.properties.get(name), &self.additional) {
            (Some(of), _) => Some(of),
            (None, Additional::Of(of)) => Some(of),
            _ => None,
        }
    }

    /// The most that a value may have of what it is made of.
    #[must_use]
    pub(crate) fn limits(&self) -> Limits {
        self.checks.as_ref().map_or_else(Limits::default, |checks| Limits {
            text: checks.length.max,
            items: checks.items.max,
            entries: checks.properties.max,
        })
    }

    /// The fields that have to be there.
    pub(crate) fn required(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().flat_map(|checks| checks.required.iter().map(String::as_str))
    }

    /// The format of text.
    #[must_use]
    pub fn format(&self) -> Option<&str> {
        self.checks.as_ref()?.format.as_deref()
    }

    /// Whether there are expressions here or below.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        let inner = matches!(&self.additional, Additional::Of(of) if of.has_rules());
        !self.rules.is_empty()
            || inner
            || self.items.as_ref().is_some_and(|of| of.has_rules())
            || self.properties.values().any(Self::has_rules)
    }
}

impl Checks {
    fn parse(props: &Value) -> Option<Box<Self>> {
        const NAMES: &[&str] = &[
            "required",
            "enum",
            "minimum",
            "maximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "uniqueItems",
            "pattern",
            "format",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
        ];
        if !NAMES.iter().any(|name| props.get(name).is_some()) {
            return None;
        }
        let size = |name: &str| props[name].as_u64().and_then(|n| usize::try_from(n).ok());
        let bounds = |min, max| Bounds { min: size(min), max: size(max) };
        let limit = |name: &str, flag: &str| props[name].as_f64().map(|limit| (limit, props.flag(flag)));
        let all = |name: &str| props.items(name).iter().map(Schema::parse).collect();
        Some(Box::new(Self {
            required: props.items("required").iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
            values: props.items("enum").to_vec(),
            minimum: limit("minimum", "exclusiveMinimum"),
            maximum: limit("maximum", "exclusiveMaximum"),
            multiple_of: props["multipleOf"].as_f64(),
            length: bounds("minLength", "maxLength"),
            items: bounds("minItems", "maxItems"),
            properties: bounds("minProperties", "maxProperties"),
            unique: props.flag("uniqueItems"),
            pattern: props["pattern"].as_str().and_then(|text| Some((text.to_owned(), pattern(text)?))),
            format: props["format"].as_str().map(str::to_owned),
            all_of: all("allOf"),
            any_of: all("anyOf"),
            one_of: all("oneOf"),
            not: props.get("not").filter(|of| of.is_object()).map(|of| Box::new(Schema::parse(of))),
        }))
    }
}

/// A regular expression of bounded size.
pub(crate) fn pattern(text: &str) -> Option<Regex> {
    regex::RegexBuilder::new(text).size_limit(1 << 20).nest_limit(64).build().ok()
}
