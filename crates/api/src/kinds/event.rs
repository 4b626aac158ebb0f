//! Event: what happened to an object. Kept in memory only.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::resource::{Column, Durability, Resource, Rules};
use crate::time;
use crate::validate::names;
use crate::value::Read as _;

pub(super) const COLUMNS: &[Column] = &[
    Column::new("Last Seen", "How long ago it happened last."),
    Column::new("Type", "Normal or Warning."),
    Column::new("Reason", "Why it happened, in a word."),
    Column::new("Object", "What it happened to."),
    Column::new("Subobject", "Which part of that.").wide(),
    Column::new("Source", "Who reported it.").wide(),
    Column::new("Message", "What happened."),
    Column::new("First Seen", "How long ago it happened first.").wide(),
    Column::new("Count", "How often it happened.").wide(),
    Column { format: "name", ..Column::new("Name", "The name, unique in its scope.").wide() },
];

pub(super) static EVENTS: Resource = Resource {
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    durability: Durability::Memory,
    type_name: "io.k8s.api.core.v1.Event",
    columns: COLUMNS,
    rules: Rules {
        validate: |event, errors| validate(event, "reportingComponent", errors),
        fields: &[
            ("involvedObject.kind", "/involvedObject/kind"),
            ("involvedObject.namespace", "/involvedObject/namespace"),
            ("involvedObject.name", "/involvedObject/name"),
            ("involvedObject.uid", "/involvedObject/uid"),
            ("involvedObject.apiVersion", "/involvedObject/apiVersion"),
            ("involvedObject.resourceVersion", "/involvedObject/resourceVersion"),
            ("involvedObject.fieldPath", "/involvedObject/fieldPath"),
            ("reason", "/reason"),
            ("reportingComponent", "/reportingComponent"),
            ("source", "/source/component"),
            ("type", "/type"),
        ],
        cells,
        ..Rules::PLAIN
    },
    ..Resource::NAMESPACED
};

/// What holds for an Event however it came; `controller` is what the field is called there.
pub(super) fn validate(event: &Value, controller: &'static str, errors: &mut Vec<FieldError>) {
    let own = meta::namespace(event);
    let involved = event["involvedObject"].text("namespace");
    let timed = event.has("eventTime");
    let agrees = match (involved.is_empty(), timed) {
        (true, true) => matches!(own, "default" | "kube-system"),
        (true, false) => own == "default",
        (false, true) => true,
        (false, false) => involved == own,
    };
    if !agrees {
        let object = Path::new("involvedObject");
        errors.push(FieldError::invalid(&object.child("namespace"), involved, "does not match event.namespace"));
    }
    if timed {
        validate_timed(event, controller, errors);
    }
}

/// An Event of the newer form says who reports it and what was done.
fn validate_timed(event: &Value, controller: &'static str, errors: &mut Vec<FieldError>) {
    let reporter = event.text("reportingComponent");
    let path = Path::new(controller);
    if reporter.is_empty() {
        errors.push(FieldError::required(&path, ""));
    }
    errors.extend(names::qualified_name(reporter).into_iter().map(|p| FieldError::invalid(&path, reporter, p)));
    for (field, most, required) in
        [("reportingInstance", 128, true), ("action", 128, true), ("reason", 128, true), ("message", 1024, false)]
    {
        let path = Path::new(field);
        match event.text(field).len() {
            0 if required => errors.push(FieldError::required(&path, "")),
            n if n > most => {
                errors.push(FieldError::invalid(&path, "", format!("can have at most {most} characters")));
            }
            _ => {}
        }
    }
}

pub(super) fn cells(event: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let age = |times: [&Value; 3]| {
        let found = times.into_iter().find(|t| t.as_str().is_some_and(|t| !t.is_empty()));
        time::age(found.unwrap_or(&Value::Null), now)
    };
    let series = &event["series"];
    let first = age([&event["firstTimestamp"], &event["eventTime"], &Value::Null]);
    let last = if series.is_object() {
        age([&series["lastObservedTime"], &Value::Null, &Value::Null])
    } else {
        age([&event["lastTimestamp"], &event["firstTimestamp"], &event["eventTime"]])
    };
    let count = series.int("count").or_else(|| event.int("count")).filter(|n| *n > 0).unwrap_or(1);
    let object = &event["involvedObject"];
    let kind = object.text("kind").to_lowercase();
    let target = match object.text("name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        last.into(),
        event.text("type").into(),
        event.text("reason").into(),
        target.into(),
        object.text("fieldPath").into(),
        source(event).into(),
        event.text("message").trim().into(),
        first.into(),
        count.into(),
        meta::name(event).into(),
    ]
}

fn source(event: &Value) -> String {
    let either = |old: &str, new: &str| {
        let old = event["source"].text(old);
        if old.is_empty() { event.text(new).to_owned() } else { old.to_owned() }
    };
    let (component, host) = (either("component", "reportingComponent"), either("host", "reportingInstance"));
    if host.is_empty() { component } else { format!("{component}, {host}") }
}
