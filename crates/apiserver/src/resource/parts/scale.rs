//! `scale`: the number of replicas, whatever the kind is.

use axum::body::Body;
use serde_json::Value;
use skiff_api::{
    resource::FieldValidation,
    scale, schema,
    status::{Qualified, Status},
};

use super::super::{
    apply, form,
    patch::Patch,
    update::{self, Changed, Part, Proposal},
    write::{self, WriteOptions},
};
use super::Call;
use crate::{
    conversion,
    http::respond::{self, Answer},
};

const TYPE: &str = "io.k8s.api.autoscaling.v1.Scale";
const KIND: Qualified<'static> = Qualified::new("autoscaling", "Scale");

pub(super) async fn get(call: &Call) -> Answer {
    let entry = call.find(&call.state.store.snapshot())?;
    answer(call, &conversion::decode(&call.state, &call.kind, &entry.value).await?)
}

pub(super) async fn replace(call: &Call, body: Body) -> Answer {
    let options = WriteOptions::parse(call, "UpdateOptions")?;
    let bytes = write::read_json(call, body, TYPE).await?;
    let mut source = serde_json::Deserializer::from_slice(&bytes);
    let scale = accept(call, schema::decode(TYPE, &mut source), &options)?;
    finish(call, &options, |_| Ok(scale.clone())).await
}

pub(super) async fn patch(call: &Call, body: Body) -> Answer {
    if apply::is_apply(call) {
        return changed(call, apply::scale(call, body).await?).await;
    }
    let options = Patch::options(call)?;
    let patch = Patch::read(call, body).await?;
    finish(call, &options, |present| {
        let patched = patch.apply(present, TYPE)?;
        accept(call, schema::decode(TYPE, &patched), &options)
    })
    .await
}

/// A scale that was parsed already.
pub(crate) fn read(call: &Call, document: &Value, options: &WriteOptions) -> Result<Value, Status> {
    accept(call, schema::decode(TYPE, document), options)
}

fn accept(
    call: &Call,
    decoded: Result<schema::Decoded, schema::DecodeError>,
    options: &WriteOptions,
) -> Result<Value, Status> {
    let cannot =
        |why: String| Status::bad_request(format!("Scale in version \"v1\" cannot be handled as a Scale: {why}"));
    let decoded = decoded.map_err(|error| cannot(error.to_string()))?;
    if options.validation == FieldValidation::Strict && !decoded.strict.is_empty() {
        return Err(cannot(format!("strict decoding error: {}", decoded.strict.join(", "))));
    }
    let name = decoded.object["metadata"]["name"].as_str().unwrap_or_default();
    if !name.is_empty() && name != call.name() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name()
        )));
    }
    Ok(decoded.object)
}

/// Changes the workload to the scale that `make` gives for its present one.
async fn finish(call: &Call, options: &WriteOptions, make: impl Fn(&Value) -> Result<Value, Status>) -> Answer {
    let propose = |workload: &Value| {
        let wanted = make(&call.kind.resource.scale(workload)?)?;
        let errors = scale::validate(&wanted, workload);
        if !errors.is_empty() {
            return Err(Status::invalid(KIND, call.name(), &errors));
        }
        let mut object = workload.clone();
        call.kind.resource.apply_scale(&mut object, &wanted);
        for field in ["resourceVersion", "uid"] {
            if let Some(value) = wanted["metadata"][field].as_str().filter(|value| !value.is_empty()) {
                object["metadata"][field] = value.into();
            }
        }
        Ok(Proposal::new(object, Vec::new()))
    };
    changed(call, update::change(call, Part::Whole, options, propose).await?).await
}

async fn changed(call: &Call, Changed { after, warnings }: Changed) -> Answer {
    let mut response = answer(call, &after.object(call).await?)?;
    respond::warn(&mut response, &warnings);
    Ok(response)
}

fn answer(call: &Call, workload: &Value) -> Answer {
    form::scale(call, &call.kind.resource.scale(workload)?, TYPE)
}
