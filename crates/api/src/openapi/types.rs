//! The types that a group's kinds are made of.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Format;
use crate::catalogue::Catalogue;
use crate::custom;
use crate::resource::AnyResource;
use crate::schema::{self, Field, ListType, Of, Type};
use crate::value::put;

const ALWAYS: &[&str] = &[schema::DELETE_OPTIONS, "io.k8s.apimachinery.pkg.apis.meta.v1.Status"];

/// Every type that can be reached from the kinds of these groups.
pub(super) fn of(kinds: &Catalogue, groups: &[(&str, &str)], format: Format) -> Map<String, Value> {
    let mut found = BTreeSet::new();
    for name in ALWAYS {
        reach(schema::find(name), &mut found);
    }
    let mut custom = Vec::new();
    for resource in kinds.all().filter(|r| groups.contains(&(r.group(), r.version()))) {
        if let Some(of) = resource.custom() {
            reach(schema::find(schema::OBJECT_META), &mut found);
            reach(schema::find(schema::LIST_META), &mut found);
            let definition = custom::definitions(of, format == Format::V2, format.reference());
            custom.push((of.type_name.clone(), definition));
            custom.push((list_type(&resource), custom::list_definition(of, format.reference())));
        }
        reach(schema::find(resource.type_name()), &mut found);
        reach(schema::find(&list_type(&resource)), &mut found);
        for part in resource.parts() {
            reach(schema::find(part.type_name), &mut found);
        }
    }
    let known = found.into_iter().filter_map(|name| Some((name.clone(), definition(schema::find(&name)?, format))));
    known.chain(custom).collect()
}

/// The type of a list of a resource's objects.
pub(super) fn list_type(resource: &AnyResource) -> String {
    match resource.custom() {
        Some(of) => of.list_type_name(),
        None => format!("{}List", resource.type_name()),
    }
}

fn reach(of: Option<&'static Type>, found: &mut BTreeSet<String>) {
    let Some(of) = of else { return };
    if !found.insert(of.name.clone()) {
        return;
    }
    for field in &of.fields {
        let mut inner = &field.of;
        while let Of::List(item) | Of::Map(item) = inner {
            inner = item;
        }
        if let Of::Type(name) = inner {
            reach(name.find(), found);
        }
    }
}

fn definition(of: &Type, format: Format) -> Value {
    let mut value = json!({"type": "object"});
    let required: Vec<&str> = of.fields.iter().filter(|f| f.required).map(|f| f.name).collect();
    if !of.fields.is_empty() {
        let properties: Map<String, Value> =
            of.fields.iter().map(|f| (f.name.to_owned(), property(f, format))).collect();
        put(&mut value, "properties", properties);
    }
    if !required.is_empty() {
        put(&mut value, "required", required);
    }
    if let Some([group, version, kind]) = of.kind {
        put(&mut value, "x-kubernetes-group-version-kind", json!([{"group": group, "version": version, "kind": kind}]));
    }
    if of.atomic {
        put(&mut value, "x-kubernetes-map-type", "atomic");
    }
    value
}

fn property(field: &Field, format: Format) -> Value {
    let mut value = shape(&field.of, format);
    let strategies = match (field.merge, field.retain_keys) {
        (Some(_), true) => "merge,retainKeys",
        (Some(_), false) => "merge",
        (None, true) => "retainKeys",
        (None, false) => "",
    };
    if !strategies.is_empty() {
        // Beside a reference nothing else counts.
        if value.get("$ref").is_some() {
            value = json!({"allOf": [value]});
        }
        put(&mut value, "x-kubernetes-patch-strategy", strategies);
    }
    if let Some(key) = field.merge.filter(|key| !key.is_empty()) {
        put(&mut value, "x-kubernetes-patch-merge-key", key);
    }
    let is_map = matches!(field.of, Of::Map(_));
    match &field.list {
        ListType::Unset => {}
        ListType::Atomic if is_map => put(&mut value, "x-kubernetes-map-type", "atomic"),
        ListType::Atomic => put(&mut value, "x-kubernetes-list-type", "atomic"),
        ListType::Set => put(&mut value, "x-kubernetes-list-type", "set"),
        ListType::Map(keys) => {
            put(&mut value, "x-kubernetes-list-type", "map");
            put(&mut value, "x-kubernetes-list-map-keys", keys.as_slice());
        }
    }
    value
}

fn shape(of: &Of, format: Format) -> Value {
    match of {
        Of::String => json!({"type": "string"}),
        Of::Bool => json!({"type": "boolean"}),
        Of::Int32 => json!({"type": "integer", "format": "int32"}),
        Of::Int64 => json!({"type": "integer", "format": "int64"}),
        Of::Number => json!({"type": "number", "format": "double"}),
        Of::Bytes => json!({"type": "string", "format": "byte"}),
        Of::Time | Of::MicroTime => json!({"type": "string", "format": "date-time"}),
        Of::Quantity if format == Format::V3 => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Of::Quantity => json!({"type": "string"}),
        Of::IntOrString if format == Format::V3 => {
            json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
        }
        Of::IntOrString => json!({"type": "string", "format": "int-or-string"}),
        Of::Any => json!({"type": "object"}),
        Of::Type(name) => json!({"$ref": format!("{}{}", format.reference(), name.full())}),
        Of::List(item) => json!({"type": "array", "items": shape(item, format)}),
        Of::Map(item) => json!({"type": "object", "additionalProperties": shape(item, format)}),
    }
}
