//! Deleting one object.

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use skiff_api::{meta, schema, status::Status};
use skiff_store::{Entry, Expect, Op, TransactError};

use super::{
    Call, admit,
    decide::{self, Decision, Propagation, Wish},
    form, write,
};
use crate::{
    admission,
    http::{
        body,
        query::Query,
        respond::{self, Answer},
    },
    state::{State, now},
};

const TRIES: usize = 64;
/// Kinds of which a delete answers with the object's last state.
const RETURNED: &[&str] = &[
    "csidrivers",
    "csinodes",
    "deviceclasses",
    "pods",
    "resourceclaims",
    "resourceclaimtemplates",
    "resourceslices",
    "serviceaccounts",
    "services",
    "storageclasses",
    "volumeattachments",
    "volumeattributesclasses",
];
/// What surprises those who delete a Job.
const PODS_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background \
                         to remove them or set propagationPolicy=Orphan to suppress this warning";

/// The options of a delete.
#[derive(Clone, Debug, Default)]
pub(super) struct DeleteOptions {
    pub(super) wish: Wish,
    pub(super) dry_run: bool,
    uid: Option<String>,
    version: Option<String>,
}

impl DeleteOptions {
    /// From the body, or from the query if there is none.
    pub(super) async fn read(call: &Call, sent: Body) -> Result<Self, Status> {
        let format = body::format(&call.headers);
        let bytes = body::read(&call.headers, sent).await?;
        if bytes.is_empty() {
            return Self::from_query(call.query());
        }
        let bytes = body::json(format?, bytes, schema::DELETE_OPTIONS)?;
        let mut source = serde_json::Deserializer::from_slice(&bytes);
        let options = schema::decode(schema::DELETE_OPTIONS, &mut source)
            .map_err(|error| Status::bad_request(format!("cannot read the DeleteOptions: {error}")))?
            .object;
        let mut options = Self::of(&options)?;
        options.dry_run |= Self::from_query(call.query())?.dry_run;
        Ok(options)
    }

    /// From a `DeleteOptions` object.
    pub(super) fn of(options: &Value) -> Result<Self, Status> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let dry_run = options["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(Self {
            dry_run: write::dry_run(dry_run, "DeleteOptions")?,
            wish: Wish {
                grace: options["gracePeriodSeconds"].as_i64(),
                propagation: propagation(options["propagationPolicy"].as_str(), options["orphanDependents"].as_bool())?,
            },
            uid: text(&options["preconditions"]["uid"]),
            version: text(&options["preconditions"]["resourceVersion"]),
        })
    }

    /// Asks for that version, unless the client already asked for one; whether it did not.
    pub(super) fn pin(&mut self, version: &str) -> bool {
        let free = self.version.is_none();
        self.version.get_or_insert_with(|| version.to_owned());
        free
    }

    fn from_query(query: &Query) -> Result<Self, Status> {
        let propagation = propagation(query.get("propagationPolicy"), query.optional_flag("orphanDependents"))?;
        let wish = Wish { grace: query.integer("gracePeriodSeconds")?, propagation };
        let dry_run = write::dry_run(query.all("dryRun"), "DeleteOptions")?;
        Ok(Self { wish, dry_run, uid: None, version: None })
    }

    fn check(&self, call: &Call, object: &Value) -> Result<(), Status> {
        let fields = [("UID", &self.uid, meta::uid(object))];
        let version = [("ResourceVersion", &self.version, meta::resource_version(object))];
        for (what, wanted, present) in fields.into_iter().chain(version) {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != present) {
                let why =
                    format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {present}");
                return Err(Status::conflict(call.resource(), meta::name(object), &why));
            }
        }
        Ok(())
    }
}

fn propagation(policy: Option<&str>, orphan: Option<bool>) -> Result<Option<Propagation>, Status> {
    match (policy, orphan) {
        (Some(_), Some(_)) => Err(Status::bad_request("orphanDependents and propagationPolicy cannot be both set")),
        (Some("Background"), None) | (None, Some(false)) => Ok(Some(Propagation::Background)),
        (Some("Foreground"), None) => Ok(Some(Propagation::Foreground)),
        (Some("Orphan"), None) | (None, Some(true)) => Ok(Some(Propagation::Orphan)),
        (None, None) => Ok(None),
        (Some(other), None) => Err(Status::bad_request(format!(
            "invalid propagationPolicy {other:?}: must be one of Background, Foreground, Orphan"
        ))),
    }
}

/// Answers a delete of the object that the path names.
pub(super) async fn delete(call: &Call, body: Body) -> Answer {
    let options = DeleteOptions::read(call, body).await?;
    let mut response = answer(call, by_name(call, &options).await?, &options).await?;
    if options.wish.propagation.is_none() && call.kind.is("batch", "jobs") {
        respond::warn(&mut response, &[PODS_STAY.to_owned()]);
    }
    Ok(response)
}

/// Deletes the object that the path names.
pub(super) async fn by_name(call: &Call, options: &DeleteOptions) -> Result<Outcome, Status> {
    admission::delete(&call.kind, call.name())?;
    for _ in 0..TRIES {
        let entry = call.state.store.snapshot().get(&call.key()).cloned();
        let entry = entry.ok_or_else(|| Status::not_found(call.resource(), call.name()))?;
        if let Some(outcome) = remove(call, &entry, options).await? {
            return Ok(outcome);
        }
    }
    Err(Status::stale(call.resource(), call.name()))
}

/// What became of a delete.
pub(super) enum Outcome {
    /// The object is gone; this is its last state.
    Gone(Bytes),
    /// It is still there.
    Stays(Bytes),
}

async fn answer(call: &Call, outcome: Outcome, options: &DeleteOptions) -> Answer {
    let success = |bytes: &Bytes| {
        let object: Value = serde_json::from_slice(bytes).map_err(Status::internal)?;
        Ok(respond::status(&Status::success(call.resource(), meta::name(&object), meta::uid(&object))))
    };
    match outcome {
        Outcome::Stays(bytes) => {
            let foreground = options.wish.propagation == Some(Propagation::Foreground);
            let code = if foreground { StatusCode::ACCEPTED } else { StatusCode::OK };
            match form::object(call, code, bytes.clone()).await {
                // It was done, even if the object cannot be shown in this version now.
                Err(_) if call.kind.is_foreign(&bytes) => success(&bytes),
                answer => answer,
            }
        }
        Outcome::Gone(bytes)
            if call.kind.resource.custom().is_none() && RETURNED.contains(&call.kind.resource.plural()) =>
        {
            form::object(call, StatusCode::OK, bytes).await
        }
        Outcome::Gone(bytes) => success(&bytes),
    }
}

/// Deletes the object in `entry`, or marks it; `None` if somebody else was faster.
async fn remove(call: &Call, entry: &Entry, options: &DeleteOptions) -> Result<Option<Outcome>, Status> {
    let old = call.kind.stored(&entry.value).map_err(Status::internal)?;
    options.check(call, &old)?;
    let expect = Expect::Modified(entry.modified);
    match decide::decide(&call.kind, &old, &options.wish, now()) {
        Decision::Unchanged => Ok(Some(Outcome::Stays(entry.value.clone()))),
        Decision::Gone(_) if options.dry_run => Ok(Some(Outcome::Gone(entry.value.clone()))),
        Decision::Marked(new) if options.dry_run => {
            let mut stored = new;
            call.kind.resource.to_stored(&mut stored);
            Ok(Some(Outcome::Stays(serde_json::to_vec(&stored).map_err(Status::internal)?.into())))
        }
        Decision::Gone(last) => {
            let value = if decide::is_graceful(&call.kind) {
                call.kind.encode(&last).map_err(Status::internal)?
            } else {
                call.kind.reopen(&entry.value)
            };
            Ok(erase(call, &last, &old, value, expect).await?.map(Outcome::Gone))
        }
        Decision::Marked(new) => {
            let value = call.kind.encode(&new).map_err(Status::internal)?;
            let put = write::put(&call.kind, entry.key.clone(), value, expect);
            match call.state.store.transact(vec![put]).await {
                Ok(committed) => {
                    Ok(committed.entries.into_iter().next().flatten().map(|new| Outcome::Stays(new.value.clone())))
                }
                Err(TransactError::Conflict { .. }) => Ok(None),
                Err(error) => Err(write::refused(&error)),
            }
        }
    }
}

/// Takes an object out of the store; `None` if somebody else was faster.
pub(super) async fn erase(
    call: &Call,
    last: &Value,
    old: &Value,
    value: skiff_store::Value,
    expect: Expect,
) -> Result<Option<Bytes>, Status> {
    let kind = call.kind.clone();
    let key = kind.key(meta::namespace(last), meta::name(last));
    let operations = vec![Op::delete(key).expecting(expect).showing(value)];
    let committed = if admit::has_aftermath(&kind) {
        let old = old.clone();
        call.state.commit(operations, move |state: &State, _| admit::released(state, &kind, &old)).await
    } else {
        call.state.store.transact(operations).await
    };
    match committed {
        Ok(committed) => Ok(committed.entries.into_iter().next().flatten().map(|entry| entry.value.clone())),
        Err(TransactError::Conflict { .. }) => Ok(None),
        Err(error) => Err(write::refused(&error)),
    }
}
