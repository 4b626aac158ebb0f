//! Bringing an object into the shape of its schema: what is unknown is pruned, what is missing gets its
//! default, and metadata is that of every object.

use serde_json::{Map, Value};

use super::schema::{Additional, Schema, Sort};
use crate::schema::{self, OBJECT_META};

/// At most so many unknown fields are remembered.
const MOST: usize = 100;

/// Takes away what the schema does not know; `found` gets the paths of that.
pub(super) fn prune(schema: &Schema, object: &mut Value, found: &mut Vec<String>) {
    let mut pruner = Pruner { path: String::new(), found };
    let Value::Object(map) = object else { return };
    pruner.object(schema, map, true);
}

/// Prunes and completes a value that stands anywhere in an object.
pub(super) fn complete(schema: &Schema, value: &mut Value) {
    Pruner { path: String::new(), found: &mut Vec::new() }.value(schema, value);
    default(schema, value);
}

struct Pruner<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl Pruner<'_> {
    fn within(&mut self, step: &str, act: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        act(self);
        self.path.truncate(length);
    }

    fn remember(&mut self, name: &str) {
        if self.found.len() < MOST {
            let dot = if self.path.is_empty() { "" } else { "." };
            self.found.push(format!("{}{dot}{name}", self.path));
        }
    }

    fn value(&mut self, schema: &Schema, value: &mut Value) {
        match value {
            Value::Object(map) => self.object(schema, map, schema.embedded),
            Value::Array(list) => {
                for (index, item) in list.iter_mut().enumerate() {
                    match &schema.items {
                        Some(of) => self.within(&format!("[{index}]"), |this| this.value(of, item)),
                        None if schema.preserve => {}
                        None => self.within(&format!("[{index}]"), |this| this.value(&NOTHING, item)),
                    }
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, schema: &Schema, map: &mut Map<String, Value>, whole: bool) {
        if whole {
            self.metadata(map);
        }
        let keeps = schema.preserve || matches!(schema.additional, Additional::Any);
        map.retain(|name, value| {
            if whole && is_meta(name) {
                return true;
            }
            match schema.field(name) {
                Some(of) => {
                    self.within(name, |this| this.value(of, value));
                    true
                }
                None if keeps => true,
                None => {
                    self.remember(name);
                    false
                }
            }
        });
    }

    /// Metadata has its own type, whatever the schema says.
    fn metadata(&mut self, map: &mut Map<String, Value>) {
        let Some(metadata) = map.get_mut("metadata").filter(|metadata| metadata.is_object()) else { return };
        // What has a wrong type in it stays, for the validation to refuse.
        let Ok(decoded) = schema::decode(OBJECT_META, &*metadata) else { return };
        *metadata = decoded.object;
        let unknown = decoded.strict.iter().filter_map(|one| one.strip_prefix("unknown field "));
        for name in unknown {
            self.within("metadata", |this| this.remember(name.trim_matches('"')));
        }
    }
}

/// A schema that knows nothing, for what stands where only lists of known things should.
static NOTHING: Schema = Schema {
    sort: Sort::Any,
    properties: std::collections::BTreeMap::new(),
    additional: Additional::None,
    items: None,
    nullable: false,
    preserve: false,
    embedded: false,
    int_or_string: false,
    list: super::schema::ListType::Atomic,
    atomic_map: false,
    default: None,
    checks: None,
    rules: Vec::new(),
};

/// Whether a field belongs to every object of the API.
pub(super) fn is_meta(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}

/// Fills in what is missing. Nulls that may not be there count as missing.
pub(super) fn default(schema: &Schema, object: &mut Value) {
    match object {
        Value::Object(map) => {
            for (name, of) in &schema.properties {
                if !of.nullable && map.get(name).is_some_and(Value::is_null) {
                    map.remove(name);
                }
                if let Some(default) = of.default.as_ref().filter(|_| !map.contains_key(name)) {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(of) = schema.field(name) {
                    if value.is_null() && !of.nullable && of.default.is_some() {
                        *value = of.default.clone().unwrap_or_default();
                    }
                    default(of, value);
                }
            }
        }
        Value::Array(list) => {
            let Some(of) = &schema.items else { return };
            for item in list {
                if item.is_null() && !of.nullable && of.default.is_some() {
                    *item = of.default.clone().unwrap_or_default();
                }
                default(of, item);
            }
        }
        _ => {}
    }
}
