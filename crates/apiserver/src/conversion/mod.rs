//! Objects of custom kinds in other versions, by the webhook that their definition names.
//!
//! # Flow
//! Objects are stored in the storage version. Before anything is done with what is stored, whoever handles
//! the request has it turned into the request's version here; what is written is turned into the storage
//! version before it is encoded. Kinds without such a webhook, and objects that are of the right version
//! already, pass without anybody being asked.
//!
//! # Errors
//! What a webhook fails at is a `Status` with code 500 and kube-apiserver's words.

mod review;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use skiff_api::{
    custom::{Conversion, CustomResource},
    resource::AnyResource,
    status::Status,
};
use skiff_store::{Change, Entry, Event};
use tokio::sync::Mutex;

use crate::{kind::Kind, state::State, webhook::Webhook};

const TIMEOUT: Duration = Duration::from_secs(30);
/// So many objects go into one question.
const TOGETHER: usize = 500;
/// So many objects are remembered for watches, which all see the same ones.
const RECENT: usize = 64;

/// Who turns objects of one version into ones of another.
pub(crate) struct Converter {
    webhook: Webhook,
    /// The version of the question.
    review: Option<&'static str>,
    kind: String,
    recent: Mutex<VecDeque<Arc<Entry>>>,
}

impl Converter {
    /// The converter of a kind, if it has one.
    pub(crate) fn of(resource: &AnyResource) -> Option<Box<Self>> {
        let of: &CustomResource = resource.custom()?;
        let Conversion::Webhook(config) = &of.conversion else { return None };
        let versions = config["conversionReviewVersions"].as_array().into_iter().flatten();
        let review = versions.into_iter().find_map(|version| match version.as_str() {
            Some("v1") => Some("v1"),
            Some("v1beta1") => Some("v1beta1"),
            _ => None,
        });
        let webhook = Webhook::new(&config["clientConfig"]);
        Some(Box::new(Self { webhook, review, kind: of.names.kind.clone(), recent: Mutex::default() }))
    }

    /// The objects as that version shows them; all of them are of another one.
    pub(crate) async fn convert(&self, state: &State, to: &str, objects: &[Value]) -> Result<Vec<Value>, Status> {
        let mut done = Vec::with_capacity(objects.len());
        for some in objects.chunks(TOGETHER) {
            done.extend(self.ask(state, to, some).await.map_err(failure)?);
        }
        Ok(done)
    }

    async fn ask(&self, state: &State, to: &str, objects: &[Value]) -> Result<Vec<Value>, String> {
        let review = self.review.ok_or("no supported conversion review versions")?;
        let from = objects.first().and_then(|object| object["apiVersion"].as_str()).unwrap_or_default();
        let hook = format!("conversion webhook for {}", review::named(from, &self.kind));
        let failed = |why: String| format!("{hook} failed: {why}");
        let uid = uuid::Uuid::new_v4().to_string();
        let question = review::request(review, &uid, to, objects).to_string();
        let answer = self.webhook.post(state, question.into(), TIMEOUT).await.map_err(|why| failed(why.to_string()))?;
        let converted = review::converted(review, &uid, &answer).map_err(failed)?;
        if converted.len() != objects.len() {
            return Err(format!("{hook} returned {} objects, expected {}", converted.len(), objects.len()));
        }
        let all = objects.iter().zip(converted).enumerate().map(|(index, (original, object))| {
            let place = if objects.len() == 1 { "{}".to_owned() } else { format!("converted {{}} at index {index}") };
            review::accept(original, object, to, &place).map_err(|why| format!("{hook} returned invalid {why}"))
        });
        all.collect()
    }
}

/// 500 in the words of what failed, and nothing else: that is how kube-apiserver passes them on.
fn failure(message: String) -> Status {
    Status { status: "Failure".to_owned(), message, reason: String::new(), details: None, code: 500 }
}

/// Stored entries as the kind shows them: those of other versions are converted, together. `only_metadata`:
/// that is all that is asked for, and no webhook has to work for it.
pub(crate) async fn entries(
    state: &State,
    kind: &Kind,
    entries: &[Arc<Entry>],
    only_metadata: bool,
) -> Result<Vec<Arc<Entry>>, Status> {
    let Some(converter) = &kind.converter else { return Ok(entries.to_vec()) };
    let foreign: Vec<&Arc<Entry>> = entries.iter().filter(|entry| kind.is_foreign(&entry.value)).collect();
    if foreign.is_empty() {
        return Ok(entries.to_vec());
    }
    let objects: Result<Vec<Value>, _> = foreign.iter().map(|entry| serde_json::from_slice(&entry.value)).collect();
    let shown = match converter.convert(state, &kind.api_version, &objects.map_err(Status::internal)?).await {
        Err(_) if only_metadata => foreign.iter().map(|entry| bare(kind, &entry.value)).collect(),
        shown => shown?.iter().map(|object| kind.laid_out(object).map_err(Status::internal)).collect(),
    };
    let shown: Result<Vec<Bytes>, Status> = shown;
    let mut shown = shown?.into_iter();
    let replace = |entry: &Arc<Entry>| match kind.is_foreign(&entry.value).then(|| shown.next()).flatten() {
        Some(value) => Arc::new(Entry { value, ..(**entry).clone() }),
        None => Arc::clone(entry),
    };
    Ok(entries.iter().map(replace).collect())
}

/// An object of which only the metadata is shown, as it is stored.
pub(crate) fn bare(kind: &Kind, stored: &[u8]) -> Result<Bytes, Status> {
    let stored: Value = serde_json::from_slice(stored).map_err(Status::internal)?;
    let object = json!({"apiVersion": kind.api_version, "kind": kind.resource.kind(), "metadata": stored["metadata"]});
    kind.laid_out(&object).map_err(Status::internal)
}

/// One stored object's bytes as the kind shows them.
pub(crate) async fn bytes(state: &State, kind: &Kind, stored: Bytes) -> Result<Bytes, Status> {
    match &kind.converter {
        Some(converter) if kind.is_foreign(&stored) => {
            let object: Value = serde_json::from_slice(&stored).map_err(Status::internal)?;
            let shown = converter.convert(state, &kind.api_version, &[object]).await?;
            kind.laid_out(shown.first().unwrap_or(&Value::Null)).map_err(Status::internal)
        }
        _ => Ok(stored),
    }
}

/// One stored object as the kind shows it.
pub(crate) async fn decode(state: &State, kind: &Kind, stored: &Bytes) -> Result<Value, Status> {
    if kind.is_foreign(stored) {
        let shown = bytes(state, kind, stored.clone()).await?;
        return kind.decode(&shown).map_err(Status::internal);
    }
    kind.decode(stored).map_err(Status::internal)
}

/// An object of the kind as it is stored.
pub(crate) async fn encode(state: &State, kind: &Kind, object: &Value) -> Result<skiff_store::Value, Status> {
    let stored = kind.resource.custom().map(|of| format!("{}/{}", of.group, of.storage_version));
    match (&kind.converter, stored) {
        (Some(converter), Some(stored)) if object["apiVersion"] != stored.as_str() => {
            let turned = converter.convert(state, &stored, std::slice::from_ref(object)).await?;
            kind.encode(turned.first().unwrap_or(&Value::Null)).map_err(Status::internal)
        }
        _ => kind.encode(object).map_err(Status::internal),
    }
}

/// What a watcher looks at.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// Also what was there before a change.
    pub(crate) previous: bool,
    /// Only the metadata.
    pub(crate) bare: bool,
}

/// Events as a watcher of the kind sees them. Watchers of one kind see the same events: each is converted
/// once for all that come in time.
pub(crate) async fn events(
    state: &State,
    kind: &Kind,
    events: Vec<Arc<Event>>,
    seen: Seen,
) -> Result<Vec<Arc<Event>>, Status> {
    let Some(converter) = &kind.converter else { return Ok(events) };
    let mut recent = converter.recent.lock().await;
    let before = |event: &Arc<Event>| event.previous().filter(|_| seen.previous).cloned();
    let mut wanted: Vec<Arc<Entry>> = Vec::new();
    for entry in events.iter().flat_map(|event| before(event).into_iter().chain([Arc::clone(event.entry())])) {
        let known = recent.iter().chain(&wanted).any(|one| is_same(one, &entry));
        if kind.is_foreign(&entry.value) && !known {
            wanted.push(entry);
        }
    }
    let fresh = entries(state, kind, &wanted, seen.bare).await?;
    let shown = |entry: &Arc<Entry>| {
        let found = fresh.iter().chain(recent.iter()).find(|one| is_same(one, entry));
        Arc::clone(found.filter(|_| kind.is_foreign(&entry.value)).unwrap_or(entry))
    };
    let past = |entry: &Arc<Entry>| if seen.previous { shown(entry) } else { Arc::clone(entry) };
    let turned = events.iter().map(|event| {
        let change = match &event.change {
            Change::Put { entry, previous } => {
                Change::Put { entry: shown(entry), previous: previous.as_ref().map(past) }
            }
            Change::Delete { previous, last } => Change::Delete { previous: past(previous), last: shown(last) },
        };
        Arc::new(event.translated(change))
    });
    let turned = turned.collect();
    if !seen.bare {
        recent.extend(fresh);
        let extra = recent.len().saturating_sub(RECENT);
        recent.drain(..extra);
    }
    Ok(turned)
}

fn is_same(a: &Entry, b: &Entry) -> bool {
    a.modified == b.modified && a.key == b.key
}
