//! Lists: the bytes of the objects one after the other, straight from the snapshot.

use std::sync::Arc;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;
use skiff_api::status::Status;
use skiff_store::{Entry, PastError, Snapshot};

use super::{
    Call, form, options,
    pages::{self, Token},
    select::Filter,
};
use crate::{
    conversion,
    http::respond::{self, Answer},
    kind::Kind,
};

/// One page of a list.
pub(super) struct Page {
    pub(super) snapshot: Snapshot,
    pub(super) entries: Vec<Arc<Entry>>,
    /// The token of the next page.
    pub(super) next: Option<Token>,
}

/// Answers a list.
pub(super) async fn list(call: &Call) -> Answer {
    let filter = Filter::parse(call)?;
    let limit = usize::try_from(call.query().integer("limit")?.unwrap_or(0)).unwrap_or(0);
    let moment = match start(call, limit > 0)? {
        Start::At(moment) => moment,
        Start::Gone(response) => return Ok(response),
    };
    let page = if call.kind.converter.is_some() && filter.reads_objects() {
        let (prefix, after) = (call.kind.prefix_in(call.namespace()), after(call, moment.token.as_ref()));
        let all: Vec<Arc<Entry>> = moment.snapshot.range(&prefix, after.as_deref()).cloned().collect();
        let shown = conversion::entries(&call.state, &call.kind, &all, false).await?;
        let matching = shown.into_iter().filter(|entry| filter.matches(entry));
        collect(call, &filter, moment, limit, matching)
    } else {
        page(call, &filter, moment, limit)
    };
    form::list(call, &page).await
}

/// The moment that a list is of.
struct Moment {
    snapshot: Snapshot,
    token: Option<Token>,
    /// Of the past only what the list is about is known.
    is_past: bool,
}

enum Start {
    At(Moment),
    Gone(Response<Body>),
}

impl Start {
    fn present(snapshot: Snapshot, token: Option<Token>) -> Self {
        Self::At(Moment { snapshot, token, is_past: false })
    }

    fn past(snapshot: Snapshot, token: Option<Token>) -> Self {
        Self::At(Moment { snapshot, token, is_past: true })
    }
}

fn start(call: &Call, limited: bool) -> Result<Start, Status> {
    let (revision, exact) = (call.revision()?, options::check_list(call.query())?);
    // As kube-apiserver: pages of a revision are of that revision unless the client says otherwise.
    let exact = exact || (limited && !call.query().has("resourceVersionMatch"));
    let prefix = call.kind.prefix_in(call.namespace());
    let now = call.state.store.snapshot();
    if let Some(text) = call.query().get("continue") {
        if call.query().has("resourceVersion") && revision.is_some_and(|revision| revision != 0) {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        let token = Token::decode(text)?;
        let Some(wanted) = token.revision else { return Ok(Start::present(now, Some(token))) };
        return match call.state.store.at(&prefix, wanted) {
            Ok(snapshot) => Ok(Start::past(snapshot, Some(token))),
            Err(PastError::Future { wanted, current }) => Err(Status::too_large_resource_version(wanted, current)),
            Err(_) => Ok(Start::Gone(gone(&token))),
        };
    }
    let Some(wanted) = revision.filter(|revision| *revision != 0) else { return Ok(Start::present(now, None)) };
    if wanted > now.revision() {
        return Err(Status::too_large_resource_version(wanted, now.revision()));
    }
    if !exact {
        return Ok(Start::present(now, None));
    }
    let past = call.state.store.at(&prefix, wanted);
    let too_old = |_| Status::expired("The resourceVersion for the provided list is too old.");
    Ok(Start::past(past.map_err(too_old)?, None))
}

fn gone(token: &Token) -> Response<Body> {
    let (status, go_on) = pages::expired(token);
    let mut body = status.to_json();
    body["metadata"] = json!({"continue": go_on});
    respond::status_value(StatusCode::GONE, &body)
}

fn after(call: &Call, token: Option<&Token>) -> Option<Vec<u8>> {
    token.map(|token| start_after(&call.kind, &token.after))
}

fn page(call: &Call, filter: &Filter, moment: Moment, limit: usize) -> Page {
    let snapshot = moment.snapshot.clone();
    if let Some(name) = filter.name().filter(|_| !call.kind.namespaced() || !call.namespace().is_empty()) {
        let found = snapshot.get(&call.kind.key(call.namespace(), name)).filter(|entry| filter.matches(entry)).cloned();
        return Page { snapshot, entries: found.into_iter().collect(), next: None };
    }
    let (prefix, after) = (call.kind.prefix_in(call.namespace()), after(call, moment.token.as_ref()));
    let matching = snapshot.range(&prefix, after.as_deref()).filter(|entry| filter.matches(entry)).cloned();
    collect(call, filter, moment, limit, matching)
}

/// A page of what matches.
fn collect(
    call: &Call,
    filter: &Filter,
    Moment { snapshot, token, is_past }: Moment,
    limit: usize,
    matching: impl Iterator<Item = Arc<Entry>>,
) -> Page {
    let mut entries = Vec::new();
    let mut more = false;
    for entry in matching {
        if limit > 0 && entries.len() == limit {
            more = true;
            break;
        }
        entries.push(entry);
    }
    let next = more.then(|| {
        let left = filter.is_everything().then(|| {
            let prefix = call.kind.prefix_in(call.namespace());
            let before = token.and_then(|token| token.left).unwrap_or_else(|| snapshot.count(&prefix));
            before.saturating_sub(entries.len())
        });
        if !is_past {
            call.state.store.keep(&snapshot);
        }
        let all = call.kind.prefix_in("").len();
        let last = entries.last().and_then(|entry| entry.key.get(all..)).unwrap_or_default();
        Token { revision: Some(snapshot.revision()), after: String::from_utf8_lossy(last).into_owned(), left }
    });
    Page { snapshot, entries, next }
}

fn start_after(kind: &Kind, rest: &str) -> Vec<u8> {
    let mut key = kind.prefix_in("");
    key.extend_from_slice(rest.as_bytes());
    key
}
