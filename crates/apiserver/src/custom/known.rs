//! What is known of each definition: which kinds it makes, and which conditions it should have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use skiff_api::{
    custom::{
        Names,
        definition::{self, CLEANUP},
    },
    meta,
    resource::AnyResource,
};
use skiff_store::Entry;

use super::definitions;
use crate::{
    kind::Kind,
    state::{State, now},
};

/// One definition as it was last seen.
struct Known {
    modified: u64,
    group: String,
    names: Names,
    kinds: Vec<Arc<Kind>>,
    /// The definition with other conditions, to be written.
    pending: Option<Value>,
    /// Whether its objects are to be taken away.
    cleans: bool,
}

impl Known {
    /// Whether nothing about it can have changed: not itself, and not who else has its names.
    fn is_settled(&self, entry: &Entry) -> bool {
        self.modified == entry.modified && self.pending.is_none() && (!self.kinds.is_empty() || self.cleans)
    }
}

#[derive(Default)]
struct Inner {
    revision: u64,
    known: BTreeMap<String, Known>,
    cleaning: BTreeSet<String>,
}

/// All definitions.
#[derive(Default)]
pub(crate) struct Definitions {
    inner: Mutex<Inner>,
}

impl Definitions {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves the kinds of the definitions that are stored now. Only what changed is read.
    pub(crate) fn refresh(&self, state: &State) {
        let Some(kind) = definitions() else { return };
        let mut inner = self.lock();
        let snapshot = state.store.snapshot();
        if snapshot.revision() <= inner.revision {
            return;
        }
        inner.revision = snapshot.revision();
        let prefix = kind.prefix_in("");
        let entries: Vec<&Arc<Entry>> = snapshot.range(&prefix, None).collect();
        let same = entries.len() == inner.known.len()
            && entries.iter().all(|entry| {
                inner.known.get(kind.names(&entry.key).1).is_some_and(|known| known.modified == entry.modified)
            });
        if same {
            return;
        }
        let mut before = std::mem::take(&mut inner.known);
        let mut changed = Vec::new();
        for entry in entries {
            let name = kind.names(&entry.key).1.to_owned();
            match before.remove(&name) {
                Some(known) if known.is_settled(entry) => {
                    inner.known.insert(name, known);
                }
                old => changed.extend(kind.decode(&entry.value).ok().map(|object| (name, entry, object, old))),
            }
        }
        // Who has its names keeps them; of the others, who came first.
        changed.sort_by_key(|(_, entry, object, _)| (!definition::holds(object, "NamesAccepted"), entry.created));
        for (name, entry, object, old) in changed {
            let known = learn(&inner.known, entry, &object, old);
            inner.known.insert(name, known);
        }
        before.into_values().for_each(|known| retire(&known.kinds));
        state.kinds.serve(inner.known.values().flat_map(|known| known.kinds.iter().cloned()).collect());
    }

    /// The definitions that should have other conditions: name, revision, and how they should be.
    pub(super) fn pending(&self) -> Vec<(String, u64, Value)> {
        let inner = self.lock();
        let pending =
            inner.known.iter().filter_map(|(name, known)| Some((name, known.modified, known.pending.as_ref()?)));
        pending.map(|(name, modified, object)| (name.clone(), modified, object.clone())).collect()
    }

    /// The definitions whose objects are to be taken away; each is handed out once.
    pub(super) fn to_clean(&self) -> Vec<String> {
        let mut inner = self.lock();
        let Inner { known, cleaning, .. } = &mut *inner;
        let all = known.iter().filter(|(_, known)| known.cleans).map(|(name, _)| name);
        all.filter(|name| cleaning.insert((*name).clone())).cloned().collect()
    }

    /// Takes back that somebody cleans up after this definition.
    pub(super) fn cleaned(&self, name: &str) {
        self.lock().cleaning.remove(name);
    }
}

/// The watchers of these kinds have to begin anew.
fn retire(kinds: &[Arc<Kind>]) {
    kinds.iter().for_each(|kind| kind.retired.cancel());
}

fn learn(others: &BTreeMap<String, Known>, entry: &Entry, object: &Value, old: Option<Known>) -> Known {
    let names = Names::wanted(object);
    let group = object["spec"]["group"].as_str().unwrap_or_default().to_owned();
    let rivals = others.values().filter(|other| other.group == group && !other.names.plural.is_empty());
    let built_in = skiff_api::resource::all().iter().filter(|one| one.group == group);
    let conflict = rivals
        .map(|other| other.names.clone())
        .chain(built_in.map(|one| Names {
            kind: one.kind.to_owned(),
            list_kind: one.list_kind(),
            plural: one.plural.to_owned(),
            singular: one.singular.to_owned(),
            ..Names::default()
        }))
        .find_map(|other| names.conflict(&other));
    let can = conflict.is_none() && definition::has_usable_bundle(object);
    let serves = can || definition::holds(object, "Established");
    let terminating = meta::deletion_timestamp(object).is_some();
    let mut kinds = Vec::new();
    if serves {
        let made = old.as_ref().map(|old| old.kinds.as_slice()).unwrap_or_default();
        let same = made.first().and_then(|kind| kind.resource.custom()).is_some_and(|of| {
            of.origin == (meta::uid(object).to_owned(), meta::generation(object)) && of.terminating == terminating
        });
        if same {
            kinds = made.to_vec();
        } else {
            let fresh = definition::kinds(object).into_iter().map(|one| AnyResource::Custom(Arc::new(one)));
            kinds = fresh.map(|one| Arc::new(Kind::new(one))).collect();
            retire(made);
        }
    } else if let Some(old) = &old {
        retire(&old.kinds);
    }
    Known {
        modified: entry.modified,
        cleans: terminating && meta::finalizers(object).any(|one| one == CLEANUP),
        pending: definition::status(object, conflict.as_ref(), now()).filter(|_| !terminating),
        names: if conflict.is_none() || serves { names } else { Names::default() },
        group,
        kinds,
    }
}
