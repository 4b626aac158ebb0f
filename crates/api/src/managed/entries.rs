//! `metadata.managedFields`: who owns what, read and written in Kubernetes's form and order.

use serde_json::{Map, Value};

use super::{Author, FieldsError, Rules, Set};
use crate::time;

/// So many managers that only update are told apart; the oldest are then taken together.
const MOST_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";

/// Who owns something: one entry of the list, but for what it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manager {
    pub(super) name: String,
    /// Whether it applies (its entry then stands for its last configuration), or updates.
    pub(super) applies: bool,
    pub(super) api_version: String,
    pub(super) subresource: String,
}

impl Manager {
    /// Whether two are the same: an applier stays the same in all versions.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.applies == other.applies
            && self.subresource == other.subresource
            && (self.applies || self.api_version == other.api_version)
    }
}

/// One entry of the list.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) manager: Manager,
    /// When it last changed something, in whole seconds.
    pub(super) time: Option<String>,
    pub(super) set: Set,
}

impl Entry {
    fn read(entry: &Value) -> Result<Self, FieldsError> {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let bad = |why: &str| FieldsError(why.to_owned());
        let applies = match entry["operation"].as_str() {
            Some("Apply") => true,
            Some("Update") => false,
            _ => return Err(bad("operation must be `Apply` or `Update`")),
        };
        if text("apiVersion").is_empty() {
            return Err(bad("apiVersion must not be empty"));
        }
        if entry["fieldsType"] != "FieldsV1" {
            return Err(bad("fieldsType must be FieldsV1"));
        }
        let manager = Manager {
            name: text("manager"),
            applies,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
        };
        let set = match entry.get("fieldsV1") {
            Some(fields) => Set::from_json(fields)?,
            None => Set::default(),
        };
        Ok(Self { manager, time: entry["time"].as_str().map(str::to_owned), set })
    }

    fn write(&self) -> Value {
        let Manager { name, applies, api_version, subresource } = &self.manager;
        let mut entry = Map::new();
        let mut put = |field: &str, value: Value| drop(entry.insert(field.to_owned(), value));
        if !name.is_empty() {
            put("manager", name.as_str().into());
        }
        put("operation", if *applies { "Apply" } else { "Update" }.into());
        put("apiVersion", api_version.as_str().into());
        if let Some(time) = &self.time {
            put("time", time.as_str().into());
        }
        put("fieldsType", "FieldsV1".into());
        put("fieldsV1", self.set.to_json());
        if !subresource.is_empty() {
            put("subresource", subresource.as_str().into());
        }
        Value::Object(entry)
    }

    fn seconds(&self) -> i64 {
        self.time.as_deref().and_then(time::parse).map_or(0, |time| time.as_second())
    }
}

/// Reads the list; of two entries of one manager the last counts.
pub(super) fn read(list: &Value) -> Result<Vec<Entry>, FieldsError> {
    let mut entries: Vec<Entry> = Vec::new();
    for entry in list.as_array().into_iter().flatten() {
        let entry = Entry::read(entry)?;
        match entries.iter_mut().find(|other| other.manager.is(&entry.manager)) {
            Some(other) => *other = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

/// The entries as their schemas are now.
pub(super) fn fit(entries: &mut [Entry], rules: Rules<'_>, author: &Author<'_>) {
    for entry in entries {
        if let Some(schema) = rules.schema_of(author, &entry.manager.api_version) {
            entry.set = std::mem::take(&mut entry.set).fitted(schema);
        }
    }
}

/// Writes the list in its order: appliers first, each sort by time.
pub(super) fn write(mut entries: Vec<Entry>) -> Value {
    entries.sort_by(|a, b| {
        let (one, other) = (&a.manager, &b.manager);
        (other.applies.cmp(&one.applies))
            .then_with(|| a.seconds().cmp(&b.seconds()))
            .then_with(|| one.name.cmp(&other.name))
            .then_with(|| one.api_version.cmp(&other.api_version))
            .then_with(|| one.subresource.cmp(&other.subresource))
    });
    entries.iter().map(Entry::write).collect()
}

/// Takes the oldest managers that update together, one for each version, until few enough are left.
pub(super) fn cap(entries: &mut Vec<Entry>) {
    let mut count = entries.iter().filter(|entry| !entry.manager.applies).count();
    if count <= MOST_UPDATERS {
        return;
    }
    let (mut updaters, mut kept): (Vec<Entry>, Vec<Entry>) =
        std::mem::take(entries).into_iter().partition(|entry| !entry.manager.applies);
    updaters.sort_by(|a, b| a.seconds().cmp(&b.seconds()).then_with(|| a.manager.name.cmp(&b.manager.name)));
    let mut rest: Vec<Entry> = Vec::new();
    for entry in updaters {
        let same = |other: &&mut Entry| other.manager.api_version == entry.manager.api_version;
        match rest.iter_mut().find(same).filter(|_| count > MOST_UPDATERS) {
            Some(bucket) => {
                bucket.manager.name = ANCIENT.to_owned();
                bucket.manager.subresource = String::new();
                bucket.set = bucket.set.union(&entry.set);
                bucket.time = entry.time;
                count -= 1;
            }
            None => rest.push(entry),
        }
    }
    for entry in rest {
        match kept.iter_mut().find(|other| other.manager.is(&entry.manager)) {
            Some(other) => {
                other.set = other.set.union(&entry.set);
                other.time = entry.time;
            }
            None => kept.push(entry),
        }
    }
    *entries = kept;
}
