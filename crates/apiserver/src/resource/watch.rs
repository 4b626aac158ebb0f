//! Watches. A watcher is a position among the store's events; what it sends is encoded once for all
//! watchers of the usual form and shared between them.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use rand::Rng as _;
use skiff_api::status::Status;
use skiff_store::{Change, Event, Format, Snapshot, Watch, WatchError};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{Call, call::not_streamed, frame, options, select::Filter};
use crate::{
    conversion::{self, Seen},
    http::{
        accept::{Encoding, Form},
        respond::Answer,
        websocket::{self, Framing},
    },
    serve::Watched,
};

/// As kube-apiserver: unless the client says otherwise, a watch lasts this long, and up to twice.
const SHORTEST: u64 = 1800;
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// What is there at first is sent in lumps of about this many bytes.
const LUMP: usize = 64 << 10;
/// Events that came together are sent together, up to about this many bytes: what fits into one record of TLS.
const TOGETHER: usize = 12 << 10;

/// Where a watch begins.
enum Begin {
    /// With everything that is there; `marked`: a bookmark says when that is done.
    Initial { marked: bool },
    /// After that revision.
    After(u64),
}

/// Answers a watch.
pub(super) fn watch(call: &Call) -> Answer {
    if !call.accepted.encoding.streams() {
        return Err(not_streamed());
    }
    let filter = Filter::parse(call)?;
    let begin = begin(call)?;
    let lasts = lasts(call)?;
    let snapshot = call.state.store.snapshot();
    let (after, initial) = match begin {
        Begin::Initial { marked } => {
            let after = snapshot.revision();
            (after, Some(Initial { snapshot, after: None, marked }))
        }
        Begin::After(revision) if revision > snapshot.revision() => {
            return Err(Status::too_large_resource_version(revision, snapshot.revision()));
        }
        Begin::After(revision) => (revision, None),
    };
    let prefix = watched_prefix(call, &filter);
    let watch = match call.state.store.watch(&prefix, after) {
        Ok(watch) => watch,
        Err(error) => return deliver(call, stream::iter([frame::error(call.accepted.encoding, &gone(error))])),
    };
    let watcher = Watcher {
        bookmarks: call.query().flag("allowWatchBookmarks").then(|| Box::pin(sleep(BOOKMARK_EVERY))),
        stopping: Box::pin(call.state.stopping.clone().cancelled_owned()),
        retired: Box::pin(call.kind.retired.clone().cancelled_owned()),
        call: call.share(),
        prefix,
        everything: filter.is_everything(),
        filter,
        watch,
        initial,
        pending: Vec::new().into_iter(),
        columns: true,
        ends: Box::pin(sleep(lasts)),
        ended: false,
    };
    let lines = stream::unfold(watcher, |mut watcher| async move {
        let line = watcher.next().await?;
        Some((line, watcher))
    });
    deliver(call, lines)
}

/// Sends events over whatever the client wants them over.
fn deliver(call: &Call, events: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    let encoding = call.accepted.encoding;
    if !websocket::is_wanted(&call.headers) {
        let events = Watched::new(Box::pin(events.map(Ok::<_, Infallible>)));
        return Ok(frame::stream(encoding, Body::from_stream(events)));
    }
    let usual = if encoding == Encoding::Protobuf { Framing::Binary } else { Framing::Text };
    let (offer, answer) = websocket::accept(&call.headers, call.connection.clone(), usual)?;
    tokio::spawn(offer.pour(events, frame::split(encoding), call.state.config.patience));
    Ok(answer)
}

/// One object has a topic of its own, so that its watcher sleeps through what happens to others.
fn watched_prefix(call: &Call, filter: &Filter) -> Vec<u8> {
    match filter.name().or((!call.name().is_empty()).then(|| call.name())) {
        Some(name) if !call.kind.namespaced() || !call.namespace().is_empty() => {
            call.kind.key(call.namespace(), name).into_vec()
        }
        _ => call.kind.prefix_in(call.namespace()),
    }
}

fn begin(call: &Call) -> Result<Begin, Status> {
    let query = call.query();
    options::check_watch(query)?;
    let revision = call.revision()?.filter(|revision| *revision != 0);
    let Some(initial) = query.optional_flag("sendInitialEvents") else {
        return Ok(revision.map_or(Begin::Initial { marked: false }, Begin::After));
    };
    let current = call.state.store.snapshot().revision();
    match (initial, revision) {
        (true, Some(wanted)) if wanted > current => Err(Status::too_large_resource_version(wanted, current)),
        (true, _) => Ok(Begin::Initial { marked: query.flag("allowWatchBookmarks") }),
        (false, Some(wanted)) => Ok(Begin::After(wanted)),
        (false, None) => Ok(Begin::After(current)),
    }
}

fn lasts(call: &Call) -> Result<Duration, Status> {
    let asked = call.query().seconds("timeoutSeconds")?.filter(|asked| !asked.is_zero());
    Ok(asked.unwrap_or_else(|| Duration::from_secs(rand::rng().random_range(SHORTEST..2 * SHORTEST))))
}

fn gone(error: WatchError) -> Status {
    match error {
        WatchError::Compacted { wanted, oldest } => Status::too_old_resource_version(wanted, oldest),
        WatchError::Overrun { seen } => {
            Status::expired(format!("the watch was too slow; events after {seen} are gone"))
        }
        _ => Status::service_unavailable("the server is stopping"),
    }
}

/// What is there when the watch begins, and how far it has been sent.
struct Initial {
    snapshot: Snapshot,
    after: Option<Box<[u8]>>,
    marked: bool,
}

struct Watcher {
    call: Call,
    filter: Filter,
    /// What the keys of interest begin with.
    prefix: Vec<u8>,
    everything: bool,
    watch: Watch,
    initial: Option<Initial>,
    pending: std::vec::IntoIter<Arc<Event>>,
    /// When the next bookmark is due, for clients that want them.
    bookmarks: Option<Pin<Box<Sleep>>>,
    /// Whether the next table tells its columns.
    columns: bool,
    ends: Pin<Box<Sleep>>,
    /// Kept from one wait to the next, as the times are: to join and leave them each time would cost more than an event.
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The kind itself may go while it is watched.
    retired: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl Watcher {
    /// The next bytes to send; `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        match self.next_initial().await {
            Ok(Some(lump)) => return Some(lump),
            Ok(None) => {}
            Err(status) => return Some(self.fail(&status)),
        }
        loop {
            if self.ended {
                return None;
            }
            if let Some(lines) = self.lines() {
                return Some(lines);
            }
            tokio::select! {
                biased;
                events = self.watch.next() => match events {
                    Ok(events) => match self.shown(events).await {
                        Ok(events) => self.pending = events.into_iter(),
                        Err(status) => return Some(self.fail(&status)),
                    },
                    Err(error) => {
                        self.ended = true;
                        return (error != WatchError::Closed).then(|| frame::error(self.call.accepted.encoding, &gone(error)));
                    }
                },
                () = due(&mut self.bookmarks) => {
                    if let Some(next) = &mut self.bookmarks {
                        next.as_mut().reset(Instant::now() + BOOKMARK_EVERY);
                    }
                    return Some(frame::bookmark(&self.call, self.watch.progress(), false));
                }
                () = self.ends.as_mut() => {
                    self.ended = true;
                    return self.bookmarks.is_some().then(|| frame::bookmark(&self.call, self.watch.progress(), false));
                }
                () = self.stopping.as_mut() => return None,
                () = self.retired.as_mut() => return None,
            }
        }
    }

    /// What is pending, as much of it as is sent together. A single line is shared with all other watchers.
    fn lines(&mut self) -> Option<Bytes> {
        let first = self.next_line()?;
        if self.pending.len() == 0 || first.len() >= TOGETHER {
            return Some(first);
        }
        let mut together = Vec::with_capacity(TOGETHER.min(first.len() * (self.pending.len() + 1)));
        together.extend_from_slice(&first);
        while together.len() < TOGETHER
            && let Some(line) = self.next_line()
        {
            together.extend_from_slice(&line);
        }
        Some(together.into())
    }

    fn next_line(&mut self) -> Option<Bytes> {
        loop {
            let event = self.pending.next()?;
            if let Some(line) = self.line(&event) {
                return Some(line);
            }
        }
    }

    /// What cannot be shown ends the watch: the client begins anew.
    fn fail(&mut self, status: &Status) -> Bytes {
        self.ended = true;
        frame::error(self.call.accepted.encoding, status)
    }

    /// Events as this kind shows them.
    async fn shown(&mut self, events: Vec<Arc<Event>>) -> Result<Vec<Arc<Event>>, Status> {
        if self.call.kind.converter.is_none() {
            return Ok(events);
        }
        let (state, kind) = (Arc::clone(&self.call.state), self.call.kind.clone());
        let ours = events.into_iter().filter(|event| self.is_ours(event.key())).collect();
        let seen = Seen { previous: !self.everything, bare: self.call.accepted.form == Form::Metadata };
        conversion::events(&state, &kind, ours, seen).await
    }

    async fn next_initial(&mut self) -> Result<Option<Bytes>, Status> {
        if self.call.kind.converter.is_none() {
            return Ok(self.next_lump());
        }
        while let Some(initial) = self.initial.take() {
            let lump = self.next_converted(initial).await?;
            if !lump.is_empty() {
                return Ok(Some(lump.into()));
            }
        }
        Ok(None)
    }

    /// A lump of what is there at first, converted together.
    async fn next_converted(&mut self, mut initial: Initial) -> Result<Vec<u8>, Status> {
        let (state, kind) = (Arc::clone(&self.call.state), self.call.kind.clone());
        let (mut found, mut size) = (Vec::new(), 0);
        let mut entries = initial.snapshot.range(&self.prefix, initial.after.as_deref());
        while size < LUMP
            && let Some(entry) = entries.next()
        {
            size += entry.value.len();
            found.push(Arc::clone(entry));
        }
        drop(entries);
        let last = found.last().filter(|_| size >= LUMP).map(|entry| entry.key.clone());
        found.retain(|entry| self.is_ours(&entry.key));
        let bare = self.call.accepted.form == Form::Metadata;
        let mut lump = Vec::new();
        for entry in conversion::entries(&state, &kind, &found, bare).await? {
            if self.filter.matches(&entry) {
                frame::append(&mut lump, &self.call, "ADDED", &entry.value, std::mem::take(&mut self.columns));
            }
        }
        if last.is_some() {
            initial.after = last;
            self.initial = Some(initial);
        } else if initial.marked {
            lump.extend_from_slice(&frame::bookmark(&self.call, initial.snapshot.revision(), true));
        }
        Ok(lump)
    }

    fn next_lump(&mut self) -> Option<Bytes> {
        let mut initial = self.initial.take()?;
        let mut lump = Vec::new();
        let mut last = None;
        for entry in initial.snapshot.range(&self.prefix, initial.after.as_deref()) {
            if self.is_ours(&entry.key) && self.filter.matches(entry) {
                frame::append(&mut lump, &self.call, "ADDED", &entry.value, std::mem::take(&mut self.columns));
            }
            if lump.len() >= LUMP {
                last = Some(entry.key.clone());
                break;
            }
        }
        if last.is_some() {
            initial.after = last;
            self.initial = Some(initial);
        } else if initial.marked {
            lump.extend_from_slice(&frame::bookmark(&self.call, initial.snapshot.revision(), true));
        }
        (!lump.is_empty()).then(|| lump.into())
    }

    /// A watch of one object sees those whose names only begin like it, too.
    fn is_ours(&self, key: &[u8]) -> bool {
        self.prefix.ends_with(b"/") || self.prefix == key
    }

    fn line(&mut self, event: &Event) -> Option<Bytes> {
        if !self.is_ours(event.key()) {
            return None;
        }
        let kind = if self.everything { usual(event) } else { self.selected(event)? };
        if kind == usual(event) {
            let entry = event.entry();
            let made = |call: &Call, columns| frame::event(call, kind, &entry.value, columns);
            return Some(match shared(&self.call) {
                Some(format) => self.watch.encoded(event, format, || made(&self.call, false)).clone(),
                None => made(&self.call, std::mem::take(&mut self.columns)),
            });
        }
        // It left the selection: watchers see it as it was, at the revision at which it left.
        let bytes = match (kind, event.previous()) {
            ("DELETED", Some(previous)) => self.call.kind.at_revision(&previous.value, event.revision),
            _ => event.entry().value.clone(),
        };
        Some(frame::event(&self.call, kind, &bytes, std::mem::take(&mut self.columns)))
    }

    /// What the change is to a watcher of a selection.
    fn selected(&self, event: &Event) -> Option<&'static str> {
        let before = event.previous().is_some_and(|entry| self.filter.matches(entry));
        let after = matches!(&event.change, Change::Put { entry, .. } if self.filter.matches(entry));
        match (before, after) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }
}

/// The encoding that is shared with other watchers: that of whole objects as they are stored.
fn shared(call: &Call) -> Option<Format> {
    if call.accepted.form != Form::Object || call.kind.resource.is_view() {
        return None;
    }
    Some(if call.accepted.encoding == Encoding::Protobuf { Format::Binary } else { Format::Text })
}

/// What a change is to a watcher of everything.
fn usual(event: &Event) -> &'static str {
    match &event.change {
        Change::Put { previous: None, .. } => "ADDED",
        Change::Put { previous: Some(_), .. } => "MODIFIED",
        Change::Delete { .. } => "DELETED",
    }
}

async fn due(bookmark: &mut Option<Pin<Box<Sleep>>>) {
    match bookmark {
        Some(at) => at.as_mut().await,
        None => std::future::pending().await,
    }
}
