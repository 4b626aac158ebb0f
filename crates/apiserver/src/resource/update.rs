//! Changing objects: by a whole new version, or by whatever makes one out of the present version.
//!
//! A change is tried on the present state, and again when somebody else was faster, unless the client
//! said which version it means.

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use skiff_api::{
    field_error::{FieldError, Path},
    managed, meta,
    status::Status,
};
use skiff_store::{Entry, Expect, Op, TransactError};

use super::{
    Call, admit, create, decide, form, owners,
    write::{self, WriteOptions},
};
use crate::{
    admission, allocate, conversion,
    http::respond::{self, Answer},
    state::now,
};

/// So often a change is tried against others that are faster.
const TRIES: usize = 256;

/// Kinds that an update creates if they are not there, as in Kubernetes.
const CREATED_BY_UPDATE: &[&str] =
    &["endpoints", "events", "leases", "services", "roles", "rolebindings", "clusterroles", "clusterrolebindings"];

/// Which part of the object the client may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Status,
    /// What those decide who approve.
    Approval,
    /// A namespace's own finalizers.
    Finalize,
    /// What that part says may change, such as a pod's ephemeral containers.
    Named(&'static str),
    /// What the server itself changes, such as the node that a pod is bound to.
    Server,
}

/// A new version, and what was left out of what the client sent.
pub(super) struct Proposal {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
    /// Whether it says already who owns what.
    pub(super) owned: bool,
}

impl Proposal {
    /// A new version whose changes belong to the client.
    pub(super) const fn new(object: Value, warnings: Vec<String>) -> Self {
        Self { object, warnings, owned: false }
    }
}

/// What became of a change, or of something new.
pub(super) struct Changed {
    pub(super) after: After,
    pub(super) warnings: Vec<String>,
}

impl Changed {
    /// The same with what else there is to say, which comes first.
    pub(super) fn also(mut self, mut warnings: Vec<String>) -> Self {
        warnings.append(&mut self.warnings);
        Self { warnings, ..self }
    }

    /// The answer of the call's kind, with all warnings.
    pub(super) async fn answer(self, call: &Call, code: StatusCode) -> Answer {
        let mut response = match self.after {
            After::Stored(bytes) => form::object(call, code, bytes).await?,
            After::Tried(object) => form::value(call, code, &object)?,
        };
        respond::warn(&mut response, &self.warnings);
        Ok(response)
    }
}

/// The object afterwards.
pub(super) enum After {
    Stored(Bytes),
    Tried(Value),
}

impl After {
    pub(super) async fn object(self, call: &Call) -> Result<Value, Status> {
        match self {
            Self::Stored(bytes) => conversion::decode(&call.state, &call.kind, &bytes).await,
            Self::Tried(object) => Ok(object),
        }
    }
}

/// Answers a PUT of the whole object.
pub(super) async fn replace(call: &Call, body: Body) -> Answer {
    replace_part(call, Part::Whole, body).await
}

/// Answers a PUT of that part.
pub(super) async fn replace_part(call: &Call, part: Part, body: Body) -> Answer {
    let options = WriteOptions::parse(call, "UpdateOptions")?;
    let (mut object, warnings) = options.read(call, body).await?;
    named(call, &mut object)?;
    let missing = call.state.store.snapshot().get(&call.key()).is_none();
    let plural = if call.kind.resource.custom().is_some() { "" } else { call.kind.resource.plural() };
    if missing && part == Part::Whole && CREATED_BY_UPDATE.contains(&plural) && meta::uid(&object).is_empty() {
        meta::unset(&mut object, "resourceVersion");
        return create::answer(call, create::insert(call, object, &options).await?.also(warnings)).await;
    }
    call.kind.resource.default(&mut object);
    let propose = |_: &Value| Ok(Proposal::new(object.clone(), warnings.clone()));
    answer(call, change(call, part, &options, propose).await?).await
}

/// The object is the one that the path names.
pub(super) fn named(call: &Call, object: &mut Value) -> Result<(), Status> {
    let name = meta::name(object).to_owned();
    if name.is_empty() {
        meta::set(object, "name", call.name());
    } else if name != call.name() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name()
        )));
    }
    if !call.kind.namespaced() {
        return Ok(());
    }
    match meta::namespace(object) {
        "" => meta::set(object, "namespace", call.namespace()),
        namespace if namespace == call.namespace() => {}
        namespace => {
            return Err(Status::bad_request(format!(
                "the namespace of the object ({namespace}) does not match the namespace on the URL ({})",
                call.namespace()
            )));
        }
    }
    Ok(())
}

/// The answer to a change of the call's kind.
pub(super) async fn answer(call: &Call, changed: Changed) -> Answer {
    changed.answer(call, StatusCode::OK).await
}

/// Changes the object that the path names into what `propose` makes of it.
pub(super) async fn change(
    call: &Call,
    part: Part,
    options: &WriteOptions,
    mut propose: impl FnMut(&Value) -> Result<Proposal, Status>,
) -> Result<Changed, Status> {
    for _ in 0..TRIES {
        let snapshot = call.state.store.snapshot();
        let entry =
            snapshot.get(&call.key()).cloned().ok_or_else(|| Status::not_found(call.resource(), call.name()))?;
        drop(snapshot);
        let old = conversion::decode(&call.state, &call.kind, &entry.value).await?;
        let Proposal { mut object, mut warnings, owned } = propose(&old)?;
        check_version(call, &mut object, &old, &entry)?;
        if !owned && part != Part::Server {
            owners::updated(call, part, options, &old, &mut object).await;
        }
        prepare(call, part, &mut object, &old)?;
        if part == Part::Whole {
            warnings.extend(call.kind.resource.warnings(&object, Some(&old)));
        }
        if let Some(after) = store(call, &entry, &old, object, options.dry_run).await? {
            return Ok(Changed { after, warnings });
        }
    }
    Err(Status::stale(call.resource(), call.name()))
}

/// The client means the version and the object that are there.
fn check_version(call: &Call, new: &mut Value, old: &Value, entry: &Entry) -> Result<(), Status> {
    let (uid, present) = (meta::uid(new), meta::uid(old));
    if !uid.is_empty() && uid != present {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {present}");
        return Err(Status::conflict(call.resource(), call.name(), &why));
    }
    let version = meta::resource_version(new);
    if !version.is_empty() && version != "0" {
        return match version.parse::<u64>() {
            Ok(version) if version == entry.modified => Ok(()),
            Ok(_) => Err(Status::stale(call.resource(), call.name())),
            Err(_) => Err(invalid_version(call, version, "must be an unsigned integer")),
        };
    }
    if call.kind.is("coordination.k8s.io", "leases") {
        return Err(invalid_version(call, "0", "must be specified for an update"));
    }
    // The client does not care which version it replaces.
    meta::set(new, "resourceVersion", meta::resource_version(old));
    Ok(())
}

fn invalid_version(call: &Call, version: &str, detail: &str) -> Status {
    let metadata = Path::new("metadata");
    let error = FieldError::invalid(&metadata.child("resourceVersion"), version, detail);
    Status::invalid(call.kind.resource.qualified_kind(), call.name(), &[error])
}

fn prepare(call: &Call, part: Part, new: &mut Value, old: &Value) -> Result<(), Status> {
    let resource = &call.kind.resource;
    let errors = match part {
        Part::Whole => {
            resource.prepare_update(new, old);
            if admit::is_service(&call.kind) {
                allocate::carry(new, old);
            }
            resource.validate_update(new, old)
        }
        Part::Status | Part::Approval => {
            let name = if part == Part::Status { "status" } else { "approval" };
            admission::update_part(call, name, old)?;
            resource.prepare_part_update(name, new, old, now());
            resource.validate_part_update(name, new, old)
        }
        Part::Finalize => {
            let finalizers = new["spec"]["finalizers"].clone();
            resource.prepare_update(new, old);
            new["spec"]["finalizers"] = finalizers;
            Vec::new()
        }
        Part::Named(part) => resource.change_part(part, new, old).ok_or_else(Status::method_not_allowed_here)?,
        Part::Server => Vec::new(),
    };
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(resource.qualified_kind(), call.name(), &errors)) }
}

/// Commits the new version; `None` if somebody else was faster.
async fn store(
    call: &Call,
    entry: &Entry,
    old: &Value,
    mut object: Value,
    dry_run: bool,
) -> Result<Option<After>, Status> {
    let kind = &call.kind;
    let expect = Expect::Modified(entry.modified);
    let claims = admit::claim(&call.state, kind, &mut object, Some(old))?;
    managed::keep_times(&mut object, old);
    if dry_run {
        return Ok(Some(After::Tried(object)));
    }
    let value = conversion::encode(&call.state, kind, &object).await?;
    if kind.same(&value, &entry.value) {
        return Ok(Some(After::Stored(entry.value.clone())));
    }
    if decide::is_over(kind, &object) {
        drop(claims);
        return super::delete::erase(call, &object, old, value, expect).await.map(|done| done.map(After::Stored));
    }
    let put: Op = write::put(kind, entry.key.clone(), value, expect);
    match admit::commit(call, call.name(), vec![put], claims).await {
        Ok(committed) => Ok(committed.entries.into_iter().next().flatten().map(|new| After::Stored(new.value.clone()))),
        Err(TransactError::Conflict { .. }) => Ok(None),
        Err(error) => Err(write::refused(&error)),
    }
}
