//! Server-side apply: the client says what it wants to be so, and the server finds out what that changes,
//! what it makes new, and with whom it is in conflict.

use axum::body::Body;
use serde_json::{Value, json};
use skiff_api::{
    field_error::{FieldError, Path},
    managed::{self, Rules},
    patch,
    resource::FieldValidation,
    status::Status,
};

use super::{
    Call, create, owners,
    parts::scale_of,
    patch::PATCH_OPTIONS,
    update::{self, Changed, Part, Proposal},
    versions::Others,
    write::WriteOptions,
};
use crate::{
    authz::{Attributes, Object, refusal},
    http::{body, respond::Answer},
};

/// Somebody may create or delete the object while it is looked at.
const TRIES: usize = 16;

/// Whether the request is one to apply.
pub(super) fn is_apply(call: &Call) -> bool {
    body::media_type(&call.headers).as_deref() == Some(patch::APPLY)
}

fn options(call: &Call) -> Result<WriteOptions, Status> {
    if call.query().get("fieldManager").is_none() {
        let error = FieldError::required(&Path::new("fieldManager"), "is required for apply patch");
        return Err(Status::invalid(PATCH_OPTIONS, "", &[error]));
    }
    WriteOptions::parse(call, PATCH_OPTIONS.name)
}

async fn read(call: &Call, body: Body) -> Result<Value, Status> {
    let bytes = body::read(&call.headers, body).await?;
    let undecodable = |why: String| Status::bad_request(format!("error decoding patch: {why}"));
    let document: Value = match serde_json::from_slice(&bytes) {
        Ok(document) => document,
        Err(_) => serde_saphyr::from_slice(&bytes).map_err(|error| undecodable(error.to_string()))?,
    };
    if document.is_object() { Ok(document) } else { Err(undecodable("it is no object".to_owned())) }
}

/// The configuration is about this version and kind.
fn check_kind(document: &Value, api_version: &str, kind: &str) -> Result<(), Status> {
    let text = |field: &str| document[field].as_str().unwrap_or_default();
    if (text("apiVersion"), text("kind")) == (api_version, kind) {
        return Ok(());
    }
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind={}", text("kind"))))
}

fn check(call: &Call, document: &Value) -> Result<(), Status> {
    check_kind(document, &call.kind.api_version, call.kind.resource.kind())?;
    if document["metadata"].get("managedFields").is_some_and(|list| !list.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    managed::check(owners::schema(call), document).map_err(|error| error.status())
}

/// The configuration with quantities, times and the like as objects hold them. A custom resource's is left
/// as it is: what its schema adds is not the client's.
fn normal(call: &Call, document: Value) -> Result<Value, Status> {
    match call.kind.resource.custom() {
        Some(_) => Ok(document),
        None => Ok(call.kind.resource.decode_patched(&document, b"", FieldValidation::Ignore)?.0),
    }
}

/// Answers an apply to the object or a part of it.
pub(super) async fn apply(call: &Call, part: Part, body: Body) -> Answer {
    let options = options(call)?;
    let document = read(call, body).await?;
    check(call, &document)?;
    let mut config = normal(call, document)?;
    update::named(call, &mut config)?;
    for _ in 0..TRIES {
        let missing = call.state.store.snapshot().get(&call.key()).is_none();
        if missing && part == Part::Whole {
            match make(call, &config, &options).await {
                Err(status) if status.reason == "AlreadyExists" => continue,
                made => return create::answer(call, made?).await,
            }
        }
        match change(call, part, &config, &options).await {
            Err(status) if status.reason == "NotFound" && part == Part::Whole => {}
            changed => return update::answer(call, changed?).await,
        }
    }
    Err(Status::stale(call.resource(), call.name()))
}

/// Creates the object that is not there.
async fn make(call: &Call, config: &Value, options: &WriteOptions) -> Result<Changed, Status> {
    may_create(call)?;
    let uid = skiff_api::meta::uid(config);
    if !uid.is_empty() {
        let why = format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
        return Err(Status::conflict(call.resource(), call.name(), &why));
    }
    let time = owners::time();
    let object = applied(call, Part::Whole, None, config, options, &Made { time: &time, versions: &Others::of(call) })?;
    create::insert_owned(call, object, options).await
}

fn may_create(call: &Call) -> Result<(), Status> {
    let (group, resource) = (call.kind.resource.group(), call.kind.resource.plural());
    let on = Object::Resource { namespace: call.namespace(), group, resource, subresource: "", name: call.name() };
    let wanted = Attributes { verb: "create", on };
    if call.state.authorizer.allows(&call.user, &wanted, &*call.state) {
        return Ok(());
    }
    Err(Status::forbidden(call.resource(), call.name(), &refusal(&call.user, &wanted)))
}

async fn change(call: &Call, part: Part, config: &Value, options: &WriteOptions) -> Result<Changed, Status> {
    let (time, versions) = (owners::time(), Others::of(call));
    for _ in 0..TRIES {
        let made = Made { time: &time, versions: &versions };
        let propose = |old: &Value| {
            let object = applied(call, part, Some(old), config, options, &made)?;
            Ok(Proposal { object, warnings: Vec::new(), owned: true })
        };
        let changed = update::change(call, part, options, propose).await;
        // Who owns something in another version may have to be looked at there first.
        if changed.is_ok() || !versions.fetch().await? {
            return changed;
        }
    }
    Err(Status::stale(call.resource(), call.name()))
}

/// When an apply is made, and what else the kind is.
struct Made<'a> {
    time: &'a str,
    versions: &'a Others<'a>,
}

/// The object with the configuration applied, in its normal form.
fn applied(
    call: &Call,
    part: Part,
    live: Option<&Value>,
    config: &Value,
    options: &WriteOptions,
    made: &Made<'_>,
) -> Result<Value, Status> {
    let reset = owners::reset(call, part, &[live.unwrap_or(&Value::Null), config]);
    let author = owners::author(call, options, made.time);
    let rules = Rules { schema: owners::schema(call), versions: made.versions, reset: &reset };
    let object = managed::apply(rules, live, config, &author, options.force).map_err(|error| error.status())?;
    let (mut object, _) = call.kind.resource.decode_patched(&object, b"", FieldValidation::Ignore)?;
    call.kind.resource.default(&mut object);
    Ok(object)
}

/// Applies a scale to the workload that the path names.
pub(super) async fn scale(call: &Call, body: Body) -> Result<Changed, Status> {
    let options = options(call)?;
    let document = read(call, body).await?;
    check_kind(&document, "autoscaling/v1", "Scale")?;
    let scale = scale_of(call, &document, &options)?;
    let mut config = json!({
        "apiVersion": call.kind.api_version,
        "kind": call.kind.resource.kind(),
        "metadata": {"name": call.name()},
    });
    for field in ["uid", "resourceVersion"] {
        if let Some(value) = scale["metadata"].get(field) {
            config["metadata"][field] = value.clone();
        }
    }
    if document["spec"].get("replicas").is_some() {
        call.kind.resource.apply_scale(&mut config, &scale);
    }
    change(call, Part::Whole, &config, &options).await
}
