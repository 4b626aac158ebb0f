//! What all writes have in common: their options, their bodies, and what a refused commit means.

use axum::body::Body;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use skiff_api::{
    field_error::{FieldError, Path},
    resource::{Durability, FieldValidation},
    status::{Qualified, Status},
};
use skiff_store::{Expect, Op, TransactError};

use super::{Call, owners};
use crate::{http::body, kind::Kind};

/// The options of a write.
#[derive(Clone, Debug)]
pub(super) struct WriteOptions {
    pub(super) dry_run: bool,
    pub(super) validation: FieldValidation,
    /// Whose the changed fields are; empty if nobody says so.
    pub(super) manager: String,
    /// Whether an apply takes what others own.
    pub(super) force: bool,
}

impl WriteOptions {
    pub(super) fn parse(call: &Call, kind: &'static str) -> Result<Self, Status> {
        let query = call.query();
        let dry_run = dry_run(query.all("dryRun"), kind)?;
        let validation = FieldValidation::parse(query.get("fieldValidation").unwrap_or_default())?;
        let manager = owners::manager(query.get("fieldManager"), &call.headers, kind)?;
        Ok(Self { dry_run, validation, manager, force: query.flag("force") })
    }

    /// Reads an object of the call's kind, with warnings about what was left out.
    pub(super) async fn read(&self, call: &Call, body: Body) -> Result<(Value, Vec<String>), Status> {
        let bytes = read_json(call, body, call.kind.resource.type_name()).await?;
        call.kind.resource.decode(&bytes, self.validation)
    }
}

/// Reads an object that is only a question.
pub(crate) async fn read_object(call: &Call, body: Body) -> Result<(Value, Vec<String>), Status> {
    WriteOptions::parse(call, "CreateOptions")?.read(call, body).await
}

/// Whether nothing is to be done for good; `All` is the only way to say so.
pub(super) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, kind: &'static str) -> Result<bool, Status> {
    let mut dry = false;
    for value in values.filter(|value| !value.is_empty()) {
        if value != "All" {
            let error = FieldError::not_supported(&Path::new("dryRun"), value, &["All"]);
            return Err(Status::invalid(Qualified::new("meta.k8s.io", kind), "", &[error]));
        }
        dry = true;
    }
    Ok(dry)
}

/// A body as JSON text, whatever its format; `type_name` is what it holds.
pub(crate) async fn read_json(call: &Call, body: Body, type_name: &str) -> Result<Bytes, Status> {
    let format = body::format(&call.headers)?;
    if format == body::Format::Protobuf && !crate::protobuf::knows(type_name) {
        return Err(Status::unsupported_media_type(&["application/json", "application/yaml"]));
    }
    body::json(format, body::read(&call.headers, body).await?, type_name)
}

/// A write of an object of that kind.
pub(super) fn put(kind: &Kind, key: Box<[u8]>, value: skiff_store::Value, expect: Expect) -> Op {
    let durability = match kind.resource.durability() {
        Durability::Disk => skiff_store::Durability::Disk,
        Durability::Memory | Durability::Virtual => skiff_store::Durability::Memory,
    };
    Op::Put { key, value, expect, durability }
}

/// What a refused commit means to the client, but for conflicts, which callers handle.
pub(super) fn refused(error: &TransactError) -> Status {
    tracing::warn!(%error, "a write was not done");
    match error {
        TransactError::Unavailable(_) | TransactError::Closed => Status::service_unavailable(error.to_string()),
        _ => Status::internal(error),
    }
}

/// Five letters and digits that cannot spell anything.
pub(crate) fn suffix() -> String {
    use rand::Rng as _;
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut random = rand::rng();
    (0..5).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

/// Sets the fields that only a write's time decides.
pub(super) fn stamp(kind: &Kind, object: &mut Value, now: Timestamp) {
    let uid = uuid::Uuid::new_v4().to_string();
    kind.resource.prepare_create(object, &uid, now);
}
