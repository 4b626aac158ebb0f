//! Event as `events.k8s.io` shows it: the same stored objects, under newer names for their fields.

use serde_json::Value;

use super::event;
use crate::field_error::{FieldError, Path};
use crate::kinds::common;
use crate::resource::{Durability, Resource, Rules, Stored};
use crate::value::Read as _;

/// The names here and those of the stored objects.
const NAMES: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

pub(super) static EVENTS: Resource = Resource {
    group: "events.k8s.io",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    durability: Durability::Memory,
    type_name: "io.k8s.api.events.v1.Event",
    columns: event::COLUMNS,
    rules: Rules {
        validate: |event, errors| event::validate(&stored(event), "reportingController", errors),
        validate_create,
        validate_update,
        fields: &[
            ("reason", "/reason"),
            ("regarding.kind", "/regarding/kind"),
            ("regarding.namespace", "/regarding/namespace"),
            ("regarding.name", "/regarding/name"),
            ("regarding.uid", "/regarding/uid"),
            ("regarding.apiVersion", "/regarding/apiVersion"),
            ("regarding.resourceVersion", "/regarding/resourceVersion"),
            ("regarding.fieldPath", "/regarding/fieldPath"),
            ("reportingController", "/reportingController"),
            ("type", "/type"),
        ],
        cells: |event, now| event::cells(&stored(event), now),
        stored: Some(Stored {
            as_: &event::EVENTS,
            to: |event| rename(event, NAMES.iter().copied()),
            from: |event| rename(event, NAMES.iter().map(|(new, old)| (*old, *new))),
        }),
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

fn rename<'a>(event: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)>) {
    let Some(fields) = event.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

fn stored(event: &Value) -> Value {
    let mut event = event.clone();
    rename(&mut event, NAMES.iter().copied());
    event
}

/// New ones come in the newer form only: what it replaces stays empty.
fn validate_create(event: &Value, errors: &mut Vec<FieldError>) {
    validate_series(event, errors);
    if !event.has("eventTime") {
        errors.push(FieldError::required(&Path::new("eventTime"), ""));
    }
    let kind = event.text("type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.push(FieldError::invalid(&Path::new("type"), "", format!("has invalid value: {kind}")));
    }
    for (field, old) in [("deprecatedFirstTimestamp", "firstTimestamp"), ("deprecatedLastTimestamp", "lastTimestamp")] {
        if event.has(field) {
            errors.push(FieldError::invalid(&Path::new(old), "", "needs to be unset"));
        }
    }
    if event.int("deprecatedCount").unwrap_or_default() != 0 {
        errors.push(FieldError::invalid(&Path::new("count"), "", "needs to be unset"));
    }
    let source = &event["deprecatedSource"];
    if source.has("component") || source.has("host") {
        errors.push(FieldError::invalid(&Path::new("source"), "", "needs to be unset"));
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if new["series"] != old["series"] {
        validate_series(new, errors);
    }
    let (new, old) = (stored(new), stored(old));
    for field in [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ] {
        if (new.has(field) || old.has(field)) && new[field] != old[field] {
            let shown = if field == "reportingComponent" { "reportingController" } else { field };
            errors.push(FieldError::invalid(&Path::new(shown), new[field].clone(), common::IMMUTABLE));
        }
    }
}

fn validate_series(event: &Value, errors: &mut Vec<FieldError>) {
    let series = &event["series"];
    if !series.is_object() {
        return;
    }
    let at = Path::new("series");
    if series.int("count").unwrap_or_default() < 2 {
        errors.push(FieldError::invalid(&at.child("count"), "", "should be at least 2"));
    }
    if !series.has("lastObservedTime") {
        errors.push(FieldError::required(&at.child("lastObservedTime"), ""));
    }
}
