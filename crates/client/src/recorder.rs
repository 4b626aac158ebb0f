//! Events: what a component has to tell the user about an object, as `kubectl describe` shows it.
//!
//! The same message about the same object again raises the count of the Event that is there
//! (as client-go's correlator does), so that a loop cannot fill the store.

use std::collections::HashMap;

use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use tokio::sync::mpsc;

/// How many messages are remembered for counting; past that all are forgotten at once.
const REMEMBERED: usize = 1024;

type Fingerprint = (String, String, String, String, String);

struct Note {
    about: ObjectReference,
    warning: bool,
    reason: &'static str,
    message: String,
    at: Timestamp,
}

/// Writes Events in the background, in order, for one component.
#[derive(Clone)]
pub struct Recorder {
    notes: mpsc::UnboundedSender<Note>,
}

impl Recorder {
    /// A recorder for `component` (`kubelet`) on `host` (empty: none).
    /// Must be called within a tokio runtime; ends with its last clone.
    #[must_use]
    pub fn new(client: Client, component: &str, host: &str) -> Self {
        let (notes, queue) = mpsc::unbounded_channel();
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let source = EventSource { component: set(component), host: set(host) };
        tokio::spawn(write(client, source, queue));
        Self { notes }
    }

    /// A `Normal` event.
    pub fn normal(&self, about: &ObjectReference, reason: &'static str, message: impl Into<String>) {
        self.note(about, false, reason, message.into());
    }

    /// A `Warning` event.
    pub fn warning(&self, about: &ObjectReference, reason: &'static str, message: impl Into<String>) {
        self.note(about, true, reason, message.into());
    }

    fn note(&self, about: &ObjectReference, warning: bool, reason: &'static str, message: String) {
        let note = Note { about: about.clone(), warning, reason, message, at: Timestamp::now() };
        // The writer ends only with the runtime; an Event lost then is no loss.
        let _ = self.notes.send(note);
    }
}

async fn write(client: Client, source: EventSource, mut queue: mpsc::UnboundedReceiver<Note>) {
    let mut written: HashMap<Fingerprint, (String, i32)> = HashMap::new();
    while let Some(note) = queue.recv().await {
        if written.len() > REMEMBERED {
            written.clear();
        }
        let namespace = note.about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let print = fingerprint(&note);
        if let Some((name, count)) = written.get_mut(&print)
            && raise(&events, name, *count + 1, note.at).await.is_ok()
        {
            *count += 1;
            continue;
        }
        let event = event(&note, &source, namespace);
        let name = event.metadata.name.clone().unwrap_or_default();
        match events.create(&PostParams::default(), &event).await {
            Ok(_) => {
                written.insert(print, (name, 1));
            }
            Err(error) => tracing::debug!(reason = note.reason, %error, "an Event could not be written"),
        }
    }
}

async fn raise(events: &Api<Event>, name: &str, count: i32, at: Timestamp) -> Result<(), kube::Error> {
    let patch = serde_json::json!({ "count": count, "lastTimestamp": Time(at) });
    events.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

fn fingerprint(note: &Note) -> Fingerprint {
    let about = &note.about;
    let object = format!("{}/{}", about.kind.as_deref().unwrap_or_default(), about.name.as_deref().unwrap_or_default());
    let place = format!(
        "{}/{}",
        about.namespace.as_deref().unwrap_or_default(),
        about.field_path.as_deref().unwrap_or_default()
    );
    (object, place, about.uid.clone().unwrap_or_default(), note.reason.to_owned(), note.message.clone())
}

fn event(note: &Note, source: &EventSource, namespace: String) -> Event {
    let about = note.about.name.clone().unwrap_or_default();
    let unique = format!("{about}.{:x}", note.at.as_nanosecond());
    Event {
        metadata: ObjectMeta { name: Some(unique), namespace: Some(namespace), ..ObjectMeta::default() },
        involved_object: note.about.clone(),
        reason: Some(note.reason.to_owned()),
        message: Some(note.message.clone()),
        source: Some(source.clone()),
        first_timestamp: Some(Time(note.at)),
        last_timestamp: Some(Time(note.at)),
        count: Some(1),
        type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
        reporting_component: source.component.clone(),
        reporting_instance: source.host.clone(),
        ..Event::default()
    }
}
