//! What an update, a patch or a create does to the ownership of fields.

use serde_json::Value;

use super::entries::{self, Entry, Manager};
use super::versions::Changes;
use super::{Author, Rules, Set, Unconverted};
use crate::meta;

/// Objects that somebody applied to before anybody was asked about ownership.
pub(super) const BEFORE: &str = "before-first-apply";

/// Writes into `new`, which is to replace `live` (`None`: it is created), who owns what afterwards. What
/// changed belongs to the author alone. Nothing is read or written that the change does not concern.
pub fn update(rules: Rules<'_>, live: Option<&Value>, new: &mut Value, author: &Author<'_>) -> Result<(), Unconverted> {
    let sent = take(new);
    let list = listed(rules, live, new, sent.as_ref(), author)?;
    if let Some(list) = list {
        put(new, list);
    }
    Ok(())
}

/// The list of owners of `new`, to which the client `sent` one, too.
fn listed(
    rules: Rules<'_>,
    live: Option<&Value>,
    new: &Value,
    sent: Option<&Value>,
    author: &Author<'_>,
) -> Result<Option<Value>, Unconverted> {
    let kept = live.map_or(&Value::Null, |live| &live["metadata"]["managedFields"]);
    let source = match sent {
        Some(sent) if author.subresource.is_empty() && is_reset(sent) => return Ok(None),
        Some(sent) if author.subresource.is_empty() && sent != kept && is_usable(sent) => sent,
        _ => kept,
    };
    let has_entries = source.as_array().is_some_and(|list| !list.is_empty());
    if !has_entries && live.is_some() {
        // It was not kept track of so far, and nobody asked for it.
        return Ok(None);
    }
    let empty = Value::Object(serde_json::Map::new());
    let mut changes = Changes::between(rules, author, live.unwrap_or(&empty), new);
    if changes.own().is_empty() && std::ptr::eq(source, kept) {
        return Ok(Some(kept.clone()));
    }
    let Ok(mut entries) = entries::read(source) else { return Ok(Some(kept.clone())) };
    entries::fit(&mut entries, rules, author);
    settle(&mut entries, &mut changes, author)?;
    entries::cap(&mut entries);
    Ok(Some(entries::write(entries)))
}

/// Takes what changed from everybody, and gives it to the author.
pub(super) fn settle(
    entries: &mut Vec<Entry>,
    changes: &mut Changes<'_>,
    author: &Author<'_>,
) -> Result<(), Unconverted> {
    take_away(entries, changes)?;
    let changed = changes.own().changed();
    if !changed.is_empty() {
        let manager = author.manager(false);
        let time = Some(author.time.to_owned());
        match entries.iter_mut().find(|entry| entry.manager.is(&manager)) {
            Some(entry) => {
                entry.set = entry.set.union(&changed);
                entry.time = time;
            }
            None => entries.push(Entry { manager, time, set: changed }),
        }
    }
    entries.retain(|entry| !entry.set.is_empty());
    Ok(())
}

/// Takes what changed from everybody. Who wrote a version that is no more owns nothing.
pub(super) fn take_away(entries: &mut [Entry], changes: &mut Changes<'_>) -> Result<(), Unconverted> {
    if changes.own().is_empty() {
        return Ok(());
    }
    for entry in entries.iter_mut() {
        entry.set = match changes.at(&entry.manager.api_version)? {
            Some(found) => entry.set.difference(&found.lost()),
            None => Set::NONE,
        };
    }
    Ok(())
}

impl Author<'_> {
    pub(super) fn manager(&self, applies: bool) -> Manager {
        let name = if self.manager.is_empty() { "unknown" } else { self.manager };
        Manager {
            name: name.to_owned(),
            applies,
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.to_owned(),
        }
    }
}

/// Takes the list out of an object's metadata.
pub(super) fn take(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

pub(super) fn put(object: &mut Value, list: Value) {
    if list.as_array().is_some_and(|list| !list.is_empty()) {
        meta::set(object, "managedFields", list);
    }
}

/// Whether a client wants to have the list cleared: it is empty, or its only entry is.
fn is_reset(list: &Value) -> bool {
    match list.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([Value::Object(only)]) => only.is_empty(),
        _ => false,
    }
}

fn is_usable(list: &Value) -> bool {
    entries::read(list).is_ok_and(|entries| !entries.is_empty())
}

/// Gives `new` the times of `old`'s entries if nothing but these times is different in the lists: a write
/// that changes nothing else then changes nothing at all.
pub fn keep_times(new: &mut Value, old: &Value) {
    let (ours, theirs) = (&new["metadata"]["managedFields"], &old["metadata"]["managedFields"]);
    if ours == theirs || !same_but_for_times(ours, theirs) {
        return;
    }
    let Some(mine) = take(new) else { return };
    put(new, theirs.clone());
    if new != old {
        put(new, mine);
    }
}

fn same_but_for_times(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_array(), b.as_array()) else { return false };
    let timeless = |entry: &'_ Value| {
        entry.as_object().map_or(0, |fields| fields.len()) - usize::from(entry.get("time").is_some())
    };
    let same = |a: &Value, b: &Value| {
        let fields = a.as_object().into_iter().flatten().filter(|(name, _)| *name != "time");
        timeless(a) == timeless(b) && fields.into_iter().all(|(name, value)| b.get(name) == Some(value))
    };
    // The order depends on the times.
    a.len() == b.len() && a.iter().all(|one| b.iter().any(|other| same(one, other)))
}
