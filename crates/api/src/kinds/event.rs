//! Event: what happened to an object. Kept in memory only.

use serde_json::Value;

use crate::field_error::{FieldError, Path};
use crate::meta;
use crate::resource::{Column, Durability, Resource, Rules, Scope};
use crate::time;
use crate::value::Read as _;

pub(super) static EVENTS: Resource = Resource {
    group: "",
    version: "v1",
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: super::ALL_VERBS,
    subresources: &[],
    durability: Durability::Memory,
    type_name: "io.k8s.api.core.v1.Event",
    columns: &[
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
    ],
    rules: Rules {
        validate,
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
};

fn validate(event: &Value, errors: &mut Vec<FieldError>) {
    let involved = event["involvedObject"].text("namespace");
    let own = meta::namespace(event);
    let agrees = if involved.is_empty() { own == "default" } else { involved == own };
    if !agrees {
        let object = Path::new("involvedObject");
        errors.push(FieldError::invalid(&object.child("namespace"), involved, "does not match event.namespace"));
    }
}

fn cells(event: &Value, now: jiff::Timestamp) -> Vec<Value> {
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
