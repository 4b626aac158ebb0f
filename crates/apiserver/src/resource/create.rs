//! Creating objects.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use skiff_api::{meta, resource::Durability, status::Status};
use skiff_store::{Expect, TransactError};

use super::{
    Call, admit, form, owners,
    update::{After, Changed},
    write::{self, WriteOptions},
};
use crate::{
    admission, conversion, expiry,
    http::respond::{self, Answer},
    state::now,
};

/// A generated name that is taken is made anew this often.
const TRIES: usize = 8;
/// With the five generated letters a name still fits a label.
const LONGEST_BASE: usize = 58;

/// Answers a create.
pub(super) async fn create(call: &Call, body: Body) -> Answer {
    if call.kind.resource.durability() == Durability::Virtual {
        return crate::review::answer(call, body).await;
    }
    let options = WriteOptions::parse(call, "CreateOptions")?;
    let (object, warnings) = options.read(call, body).await?;
    answer(call, insert(call, object, &options).await?.also(warnings)).await
}

/// The answer to a create of the call's kind.
pub(super) async fn answer(call: &Call, created: Changed) -> Answer {
    created.answer(call, StatusCode::CREATED).await
}

/// Puts a new object into the store; its fields belong to who sent it.
pub(super) async fn insert(call: &Call, mut object: Value, options: &WriteOptions) -> Result<Changed, Status> {
    prepare(call, &mut object)?;
    owners::created(call, options, &mut object);
    name_and_insert(call, object, options).await
}

/// Puts a new object into the store that says already whose its fields are.
pub(super) async fn insert_owned(call: &Call, mut object: Value, options: &WriteOptions) -> Result<Changed, Status> {
    prepare(call, &mut object)?;
    name_and_insert(call, object, options).await
}

fn prepare(call: &Call, object: &mut Value) -> Result<(), Status> {
    if call.kind.resource.custom().is_some_and(|of| of.terminating) {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(Status { message: why.to_owned(), ..Status::method_not_allowed(call.resource(), "create") });
    }
    place(call, object)?;
    if !meta::resource_version(object).is_empty() {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    call.kind.resource.default(object);
    Ok(())
}

async fn name_and_insert(call: &Call, object: Value, options: &WriteOptions) -> Result<Changed, Status> {
    let base = generate_base(&object);
    if base.is_none() {
        return insert_named(call, object, options).await;
    }
    let base = base.unwrap_or_default();
    for _ in 0..TRIES {
        let mut named = object.clone();
        meta::set(&mut named, "name", format!("{base}{}", write::suffix()));
        match insert_named(call, named, options).await {
            Err(status) if status.reason == "AlreadyExists" => {}
            other => return other,
        }
    }
    Err(Status::generate_name_conflict(call.resource(), &base))
}

/// The base of a name that the server is to generate.
fn generate_base(object: &Value) -> Option<String> {
    let base = meta::text(object, "generateName");
    if !meta::name(object).is_empty() || base.is_empty() {
        return None;
    }
    Some(base.chars().take(LONGEST_BASE).collect())
}

/// The object belongs where the path says.
fn place(call: &Call, object: &mut Value) -> Result<(), Status> {
    if !call.kind.namespaced() {
        return Ok(());
    }
    match meta::namespace(object) {
        "" => meta::set(object, "namespace", call.namespace()),
        namespace if namespace == call.namespace() => {}
        _ => {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(())
}

async fn insert_named(call: &Call, mut object: Value, options: &WriteOptions) -> Result<Changed, Status> {
    let kind = &call.kind;
    admission::create(&call.state, kind, &call.user, &mut object).await?;
    write::stamp(kind, &mut object, now());
    let errors = kind.resource.validate(&object);
    if !errors.is_empty() {
        return Err(Status::invalid(kind.resource.qualified_kind(), meta::name(&object), &errors));
    }
    let taken = || Status::already_exists(call.resource(), meta::name(&object));
    let key = kind.key(meta::namespace(&object), meta::name(&object));
    if call.state.store.snapshot().get(&key).is_some() {
        return Err(taken());
    }
    let warnings = kind.resource.warnings(&object, None);
    let claims = admit::claim(&call.state, kind, &mut object, None)?;
    if options.dry_run {
        return Ok(Changed { after: After::Tried(object), warnings });
    }
    let value = conversion::encode(&call.state, kind, &object).await?;
    let put = write::put(kind, key, value, Expect::Absent);
    match admit::commit(call, meta::name(&object), vec![put], claims).await {
        Ok(committed) => {
            let entry = committed.entries.into_iter().next().flatten();
            let entry = entry.ok_or_else(|| Status::internal("the commit gave nothing back"))?;
            expiry::created(&call.state, kind, now());
            Ok(Changed { after: After::Stored(entry.value.clone()), warnings })
        }
        Err(TransactError::Conflict { .. }) => Err(Status::already_exists(call.resource(), meta::name(&object))),
        Err(error) => Err(write::refused(&error)),
    }
}

/// An object that exists only as an answer, such as a token.
pub(crate) fn unstored(call: &Call, object: &Value) -> Answer {
    form::value(call, StatusCode::CREATED, object)
}

/// The `Status` that says that something was done.
pub(super) fn done(code: StatusCode) -> Response<Body> {
    let body =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code.as_u16()});
    respond::status_value(code, &body)
}
