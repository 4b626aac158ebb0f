//! `binding`: a scheduler says on which node a pod runs.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use skiff_api::{
    field_error::{FieldError, Path},
    meta, schema,
    status::{Qualified, Status},
    time,
};

use super::super::{
    create,
    update::{self, Part, Proposal},
    write::{self, WriteOptions},
};
use super::Call;
use crate::{http::respond::Answer, state::now};

const TYPE: &str = "io.k8s.api.core.v1.Binding";

/// Answers a create of a binding; the call is about the pod.
pub(crate) async fn create(call: &Call, body: Body) -> Answer {
    let options = WriteOptions::parse(call, "CreateOptions")?;
    let bytes = write::read_json(call, body, TYPE).await?;
    let mut source = serde_json::Deserializer::from_slice(&bytes);
    let binding = schema::decode(TYPE, &mut source)
        .map_err(|error| {
            Status::bad_request(format!("Binding in version \"v1\" cannot be handled as a Binding: {error}"))
        })?
        .object;
    check(call, &binding)?;
    let propose = |pod: &Value| Ok(Proposal::new(bound(call, pod, &binding)?, Vec::new()));
    update::change(call, Part::Server, &options, propose).await?;
    let done: Response<Body> = create::done(StatusCode::CREATED);
    Ok(done)
}

fn check(call: &Call, binding: &Value) -> Result<(), Status> {
    let name = meta::name(binding);
    if !name.is_empty() && name != call.name() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name()
        )));
    }
    let target = Path::new("target");
    let mut errors = Vec::new();
    let kind = binding["target"]["kind"].as_str().unwrap_or_default();
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported(&target.child("kind"), kind, &["Node", "<empty>"]));
    }
    if binding["target"]["name"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required(&target.child("name"), ""));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(Qualified::new("", "Binding"), call.name(), &errors)) }
}

/// The pod on its node.
fn bound(call: &Call, pod: &Value, binding: &Value) -> Result<Value, Status> {
    let conflict = |why: String| {
        let pods = Qualified::new("", "pods/binding");
        Err(Status::conflict(pods, call.name(), &why))
    };
    let name = call.name();
    let node = binding["target"]["name"].as_str().unwrap_or_default();
    if meta::deletion_timestamp(pod).is_some() {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    if let Some(there) = pod["spec"]["nodeName"].as_str().filter(|there| !there.is_empty()) {
        return conflict(format!("pod {name} is already assigned to node {there:?}"));
    }
    if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut pod = pod.clone();
    for field in ["uid", "resourceVersion"] {
        if let Some(wanted) = binding["metadata"][field].as_str().filter(|wanted| !wanted.is_empty()) {
            meta::set(&mut pod, field, wanted);
        }
    }
    pod["spec"]["nodeName"] = json!(node);
    for (key, value) in meta::annotations(binding) {
        meta::set_annotation(&mut pod, key, Some(value));
    }
    set_scheduled(&mut pod);
    Ok(pod)
}

fn set_scheduled(pod: &mut Value) {
    let condition = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": time::format(now()),
    });
    if !pod["status"]["conditions"].is_array() {
        pod["status"]["conditions"] = json!([]);
    }
    if let Some(conditions) = pod["status"]["conditions"].as_array_mut() {
        conditions.retain(|condition| condition["type"] != "PodScheduled");
        conditions.push(condition);
    }
}
