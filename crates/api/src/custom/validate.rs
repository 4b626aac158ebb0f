//! Whether an object is as its schema says, in the words of kube-apiserver.
//!
//! A change is judged by what it changes: a value that was there before is not held against it, even
//! if the schema has become stricter since.

use std::collections::HashSet;

use serde_json::Value;

use super::formats;
use super::schema::{Bounds, Checks, ListType, Schema, Sort};
use super::shape::is_meta;
use crate::cel::Budget;
use crate::field_error::{FieldError, FieldErrorKind, Path};

/// So many mistakes are enough.
const MOST: usize = 100;

/// What is wrong with an object; `old` is what it replaces.
pub(super) fn validate(schema: &Schema, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let Value::Object(map) = object else { return };
    Validator { errors }.fields(schema, map, old, None, true);
    if let Some(checks) = &schema.checks {
        Validator { errors }.composed(checks, object, old, None, "");
        Validator { errors }.required(checks, object, None);
    }
}

/// What is wrong with one value at that place.
pub(super) fn one(schema: &Schema, value: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    Validator { errors }.value(schema, value, None, at);
}

struct Validator<'a> {
    errors: &'a mut Vec<FieldError>,
}

/// A place below `at`; the object itself has no path.
fn below<'a>(at: Option<&'a Path<'a>>, name: &'a str) -> Path<'a> {
    match at {
        Some(at) => at.child(name),
        None => Path::new(name),
    }
}

fn sort_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl Validator<'_> {
    fn push(&mut self, error: FieldError) {
        if self.errors.len() < MOST {
            self.errors.push(error);
        }
    }

    fn value(&mut self, schema: &Schema, value: &Value, old: Option<&Value>, at: &Path<'_>) {
        if old == Some(value) || self.errors.len() >= MOST {
            return;
        }
        if value.is_null() && (schema.nullable || (schema.sort == Sort::Any && !schema.int_or_string)) {
            return;
        }
        if !self.sort(schema, value, at) {
            return;
        }
        if let Some(checks) = &schema.checks {
            self.checks(checks, value, old, at);
        }
        match value {
            Value::Object(map) => self.fields(schema, map, old, Some(at), schema.embedded),
            Value::Array(list) => self.list(schema, list, old, at),
            _ => {}
        }
    }

    fn sort(&mut self, schema: &Schema, value: &Value, at: &Path<'_>) -> bool {
        let found = sort_of(value);
        let whole = value.as_f64().is_some_and(|n| n.fract() == 0.0);
        let fits = match schema.sort {
            _ if schema.int_or_string => value.is_string() || (value.is_number() && whole),
            Sort::Any => true,
            Sort::Number => value.is_number(),
            Sort::Integer => value.is_number() && whole,
            sort => sort.name() == found,
        };
        if !fits {
            let wanted = if schema.int_or_string { "integer,string" } else { schema.sort.name() };
            let detail = format!("{at} in body must be of type {wanted}: {found:?}");
            self.push(FieldError::invalid(at, found, detail));
        }
        fits
    }

    fn fields(
        &mut self,
        schema: &Schema,
        map: &serde_json::Map<String, Value>,
        old: Option<&Value>,
        at: Option<&Path<'_>>,
        whole: bool,
    ) {
        if let (true, Some(at)) = (schema.embedded, at) {
            self.embedded(map, at);
        }
        for (name, value) in map {
            if whole && is_meta(name) && !(name == "metadata" && schema.properties.contains_key(name)) {
                continue;
            }
            if let Some(of) = schema.field(name) {
                self.value(of, value, old.and_then(|old| old.get(name)), &below(at, name));
            }
        }
    }

    fn embedded(&mut self, map: &serde_json::Map<String, Value>, at: &Path<'_>) {
        for name in ["apiVersion", "kind"] {
            if map.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                self.push(FieldError::required(&at.child(name), "must not be empty"));
            }
        }
    }

    fn list(&mut self, schema: &Schema, list: &[Value], old: Option<&Value>, at: &Path<'_>) {
        let before = old.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        self.distinct(schema, list, at);
        let Some(of) = &schema.items else { return };
        for (index, item) in list.iter().enumerate() {
            let old = counterpart(schema, item, before);
            self.value(of, item, old, &at.index(index));
        }
    }

    /// Sets have no value twice, and maps no key.
    fn distinct(&mut self, schema: &Schema, list: &[Value], at: &Path<'_>) {
        let mut seen = HashSet::new();
        for (index, item) in list.iter().enumerate() {
            let key = match &schema.list {
                ListType::Atomic => return,
                ListType::Set => item.clone(),
                ListType::Map(keys) => {
                    let field = |key: &String| Some((key.clone(), item.get(key)?.clone()));
                    keys.iter().filter_map(field).collect::<serde_json::Map<_, _>>().into()
                }
            };
            if !seen.insert(key.to_string()) {
                self.push(FieldError::duplicate(&at.index(index), key));
            }
        }
    }

    fn checks(&mut self, checks: &Checks, value: &Value, old: Option<&Value>, at: &Path<'_>) {
        self.required(checks, value, Some(at));
        if !checks.values.is_empty() && !checks.values.iter().any(|one| same(one, value)) {
            let list: Vec<String> =
                checks.values.iter().map(|one| one.as_str().map_or(one.to_string(), str::to_owned)).collect();
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            self.push(FieldError::not_supported(at, value.clone(), &list));
        }
        match value {
            Value::Number(_) => self.number(checks, value, at),
            Value::String(text) => self.text(checks, text, at),
            Value::Array(list) => {
                self.size(checks.items, list.len(), "items", at);
                let unique = list.iter().enumerate().all(|(i, one)| list[..i].iter().all(|other| !same(other, one)));
                if checks.unique && list.len() < 10_000 && !unique {
                    self.push(FieldError::duplicate(at, value.clone()));
                }
            }
            Value::Object(map) => self.size(checks.properties, map.len(), "properties", at),
            _ => {}
        }
        self.composed(checks, value, old, Some(at), &at.to_string());
    }

    fn required(&mut self, checks: &Checks, value: &Value, at: Option<&Path<'_>>) {
        let Value::Object(map) = value else { return };
        for name in checks.required.iter().filter(|name| !map.contains_key(*name)) {
            self.push(FieldError::required(&below(at, name), ""));
        }
    }

    fn number(&mut self, checks: &Checks, value: &Value, at: &Path<'_>) {
        let Some(number) = value.as_f64() else { return };
        let mut wrong =
            |what: String| self.push(FieldError::invalid(at, value.clone(), format!("{at} in body {what}")));
        match checks.minimum {
            Some((least, true)) if number <= least => wrong(format!("should be greater than {least}")),
            Some((least, false)) if number < least => wrong(format!("should be greater than or equal to {least}")),
            _ => {}
        }
        match checks.maximum {
            Some((most, true)) if number >= most => wrong(format!("should be less than {most}")),
            Some((most, false)) if number > most => wrong(format!("should be less than or equal to {most}")),
            _ => {}
        }
        if let Some(of) = checks.multiple_of.filter(|of| *of > 0.0)
            && (number / of).fract() != 0.0
        {
            wrong(format!("should be a multiple of {of}"));
        }
    }

    fn text(&mut self, checks: &Checks, text: &str, at: &Path<'_>) {
        let length = text.chars().count();
        if let Some(most) = checks.length.max.filter(|most| length > *most) {
            self.push(FieldError::too_long(at, most));
        }
        let mut wrong = |what: String| self.push(FieldError::invalid(at, text, format!("{at} in body {what}")));
        if let Some(least) = checks.length.min.filter(|least| length < *least) {
            wrong(format!("should be at least {least} chars long"));
        }
        if let Some((pattern, _)) = checks.pattern.as_ref().filter(|(_, regex)| !regex.is_match(text)) {
            wrong(format!("should match '{pattern}'"));
        }
        if let Some(format) = checks.format.as_deref().filter(|format| !formats::fits(format, text)) {
            wrong(format!("must be of type {format}: {text:?}"));
        }
    }

    fn size(&mut self, bounds: Bounds, size: usize, what: &str, at: &Path<'_>) {
        if let Some(most) = bounds.max.filter(|most| size > *most) {
            self.push(FieldError::too_many(at, size, most));
        }
        if let Some(least) = bounds.min.filter(|least| size < *least) {
            let detail = format!("{at} in body should have at least {least} {what}");
            self.push(FieldError::invalid(at, size, detail));
        }
    }

    /// `allOf` and the like. Their schemas say what values are like, never which fields there are.
    fn composed(&mut self, checks: &Checks, value: &Value, old: Option<&Value>, at: Option<&Path<'_>>, name: &str) {
        let holds = |schema: &Schema| {
            let mut errors = Vec::new();
            let root = Path::new("");
            Validator { errors: &mut errors }.value(schema, value, None, at.unwrap_or(&root));
            errors
        };
        let nowhere = Path::new("<nil>");
        let place = at.unwrap_or(&nowhere);
        let mut wrong = |detail: String| self.push(FieldError::invalid(place, "", detail));
        if !checks.any_of.is_empty() && !checks.any_of.iter().any(|one| holds(one).is_empty()) {
            wrong(format!("{name:?} must validate at least one schema (anyOf)"));
        }
        match checks.one_of.iter().filter(|one| holds(one).is_empty()).count() {
            _ if checks.one_of.is_empty() => {}
            1 => {}
            0 => wrong(format!("{name:?} must validate one and only one schema (oneOf). Found none valid")),
            n => wrong(format!("{name:?} must validate one and only one schema (oneOf). Found {n} valid alternatives")),
        }
        if checks.not.as_ref().is_some_and(|not| holds(not).is_empty()) {
            wrong(format!("{name:?} must not validate the schema (not)"));
        }
        for one in &checks.all_of {
            match at {
                Some(at) => self.value(one, value, old, at),
                None => validate(one, value, old, self.errors),
            }
        }
    }
}

/// The item of the old list that is the same one.
fn counterpart<'a>(schema: &Schema, item: &Value, before: &'a [Value]) -> Option<&'a Value> {
    match &schema.list {
        ListType::Map(keys) => before.iter().find(|old| keys.iter().all(|key| old.get(key) == item.get(key))),
        ListType::Set => before.iter().find(|old| *old == item),
        ListType::Atomic => None,
    }
}

/// Equality of JSON values, numbers by their amount.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

/// What the expressions of a schema say; judged only where the rest of it holds.
pub(super) fn rules(schema: &Schema, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if !schema.has_rules() || errors.iter().any(|error| error.kind == FieldErrorKind::Invalid && is_type(error)) {
        return;
    }
    let mut budget = Budget::default();
    walk(schema, object, old, None, &mut budget, errors);
}

fn is_type(error: &FieldError) -> bool {
    error.detail.contains(" must be of type ")
}

fn walk(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    at: Option<&Path<'_>>,
    budget: &mut Budget,
    errors: &mut Vec<FieldError>,
) {
    if value.is_null() {
        return;
    }
    for rule in &schema.rules {
        errors.extend(rule.judge(schema, value, old, at, budget));
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if let Some(of) = schema.field(name) {
                    walk(of, value, old.and_then(|old| old.get(name)), Some(&below(at, name)), budget, errors);
                }
            }
        }
        Value::Array(list) => {
            let Some(of) = schema.items.as_ref().filter(|of| of.has_rules()) else { return };
            let before = old.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let root = Path::new("");
            for (index, item) in list.iter().enumerate() {
                let old = counterpart(schema, item, before);
                walk(of, item, old, Some(&at.unwrap_or(&root).index(index)), budget, errors);
            }
        }
        _ => {}
    }
}
