//! Objects that are not stored but seen: made when somebody asks, from what is the case at that moment.

mod components;
mod meter;
mod metrics;

use http::StatusCode;
use serde_json::{Value, json};
use skiff_api::{meta, status::Status};

pub(crate) use self::meter::Meter;
use super::{Call, form, select::Filter};
use crate::http::respond::{self, Answer};

/// What is told about ComponentStatuses whenever one is read.
const DEPRECATED: &str = "v1 ComponentStatus is deprecated in v1.19+";

/// Answers a get or a list.
pub(super) async fn answer(call: &Call) -> Answer {
    let filter = Filter::parse(call)?;
    let (objects, warning) = match call.kind.resource.kind() {
        "ComponentStatus" => (components::all(call), Some(DEPRECATED)),
        "NodeMetrics" => (metrics::nodes(call, &filter).await?, None),
        "PodMetrics" => (metrics::pods(call, &filter).await?, None),
        kind => return Err(Status::not_implemented(format!("{kind} is not implemented"))),
    };
    let answer = if call.verb() == "get" { one(call, &objects) } else { list(call, &filter, objects) };
    let mut response = answer.unwrap_or_else(|status| respond::status(&status));
    respond::warn(&mut response, warning.map(str::to_owned).as_slice());
    Ok(response)
}

fn one(call: &Call, objects: &[Value]) -> Answer {
    let found = objects.iter().find(|object| meta::name(object) == call.name());
    let missing = || match call.kind.resource.kind() {
        // As metrics-server calls them.
        kind @ "PodMetrics" => not_found(call, kind, &format!("{}/{}", call.namespace(), call.name())),
        kind @ "NodeMetrics" => not_found(call, kind, call.name()),
        _ => Status::not_found(call.resource(), call.name()),
    };
    form::value(call, StatusCode::OK, found.ok_or_else(missing)?)
}

fn not_found(call: &Call, kind: &str, name: &str) -> Status {
    let resource = kind.to_lowercase();
    Status::not_found(skiff_api::status::Qualified::new(call.kind.resource.group(), &resource), name)
}

fn list(call: &Call, filter: &Filter, mut objects: Vec<Value>) -> Answer {
    objects.retain(|object| filter.matches_object(object));
    form::values(call, json!({}), &objects)
}
