//! Tables of writes and what they do to fields and owners, and properties that hold for any of them.

mod applying;
mod properties;
mod updating;
mod versions;

use serde_json::{Value, json};

use super::*;
use crate::custom::schema::Schema as CustomSchema;

const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";
const CONFIG_MAP: &str = "io.k8s.api.core.v1.ConfigMap";
const SERVICE: &str = "io.k8s.api.core.v1.Service";
const POD: &str = "io.k8s.api.core.v1.Pod";

const NOON: &str = "2026-01-01T12:00:00Z";
const LATER: &str = "2026-01-01T13:00:00Z";

/// A kind of one version.
struct NoOthers;

impl Versions for NoOthers {
    fn schema(&self, _: &str) -> Option<Schema<'_>> {
        None
    }

    fn convert(&self, _: &Value, _: &str, _: &str) -> Result<Value, Unconverted> {
        Err(Unconverted)
    }
}

/// An object and who writes it.
struct Scene<'s> {
    schema: Schema<'s>,
    api_version: &'static str,
    object: Option<Value>,
    reset: Set,
}

impl<'s> Scene<'s> {
    fn of(type_name: &str) -> Self {
        let version = if type_name == DEPLOYMENT { "apps/v1" } else { "v1" };
        Self { schema: Schema::of_type(type_name), api_version: version, object: None, reset: Set::default() }
    }

    fn custom(schema: &'s CustomSchema) -> Self {
        Self { schema: Schema::Custom(schema), api_version: "a.io/v1", object: None, reset: Set::default() }
    }

    fn rules(&self) -> Rules<'_> {
        Rules { schema: self.schema, versions: &NoOthers, reset: &self.reset }
    }

    fn author<'a>(&self, manager: &'a str) -> Author<'a> {
        Author { manager, api_version: self.api_version, subresource: "", time: NOON }
    }

    fn apply(&mut self, manager: &str, config: Value) -> &mut Self {
        self.try_apply(manager, &config, false).unwrap();
        self
    }

    fn force(&mut self, manager: &str, config: Value) -> &mut Self {
        self.try_apply(manager, &config, true).unwrap();
        self
    }

    fn try_apply(&mut self, manager: &str, config: &Value, force: bool) -> Result<(), ApplyError> {
        check(self.schema, config)?;
        let author = self.author(manager);
        let applied = apply(self.rules(), self.object.as_ref(), config, &author, force)?;
        self.object = Some(clean(applied));
        Ok(())
    }

    fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) -> &mut Self {
        let mut new = self.object.clone().unwrap_or_else(|| json!({"metadata": {"name": "a"}}));
        change(&mut new);
        update(self.rules(), self.object.as_ref(), &mut new, &self.author(manager)).unwrap();
        meta::set(&mut new, "uid", "u");
        self.object = Some(new);
        self
    }

    fn object(&self) -> &Value {
        self.object.as_ref().unwrap()
    }

    fn fields(&self, manager: &str) -> Value {
        let list = self.object()["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let found = list.into_iter().find(|entry| entry["manager"] == manager);
        found.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
    }

    fn managers(&self) -> Vec<(String, String)> {
        let list = self.object()["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        list.iter().map(|entry| (text(&entry["manager"]), text(&entry["operation"]))).collect()
    }
}

/// As decoding leaves it: without nulls.
fn clean(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, clean(value))).collect()
        }
        Value::Array(list) => list.into_iter().map(clean).collect(),
        other => other,
    }
}

fn named(name: &str, rest: Value) -> Value {
    let mut object = json!({"metadata": {"name": name}});
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

fn data(entries: &[(&str, &str)]) -> Value {
    let map: Value = entries.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
    named("a", json!({ "data": map }))
}
