//! Server-side apply: a client says what it wants of an object, and owns that and nothing else. What it
//! wanted before and does not want any more goes, unless somebody else wants it too.

use serde_json::{Map, Value};

use super::compare::is_nobodys;
use super::conflict::Conflict;
use super::entries::{self, Entry};
use super::schema::Schema;
use super::update::{BEFORE, put, settle, take, take_away};
use super::versions::Changes;
use super::{ApplyError, Author, Rules, Set, Unconverted, fields, last_applied, merge, remove};

/// `live` (`None`: there is no object) with `config` applied to it by the author, with the new owners.
pub fn apply(
    rules: Rules<'_>,
    live: Option<&Value>,
    config: &Value,
    author: &Author<'_>,
    force: bool,
) -> Result<Value, ApplyError> {
    let attempt = Attempt { rules, live, config, author };
    let applied = match attempt.run(force) {
        Err(ApplyError::Conflicts(conflicts)) if author.manager == last_applied::KUBECTL => {
            let left = last_applied::unexpected(rules.schema, live, author.api_version, conflicts);
            if !left.is_empty() {
                return Err(ApplyError::Conflicts(left));
            }
            attempt.run(true)
        }
        other => other,
    };
    let mut applied = applied?;
    if author.manager == last_applied::KUBECTL {
        last_applied::refresh(&mut applied, config);
    }
    Ok(applied)
}

struct Attempt<'a> {
    rules: Rules<'a>,
    live: Option<&'a Value>,
    config: &'a Value,
    author: &'a Author<'a>,
}

impl Attempt<'_> {
    fn run(&self, force: bool) -> Result<Value, ApplyError> {
        let (schema, shape) = (self.rules.schema, |why| ApplyError::shape(self.config, why));
        let mut live = self.live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let list = take(&mut live).unwrap_or_default();
        let mut entries = entries::read(&list).map_err(ApplyError::Owners)?;
        entries::fit(&mut entries, self.rules, self.author);
        if entries.is_empty() {
            self.track(&live, &mut entries)?;
        }
        let merged = merge::merge(schema, &live, self.config).map_err(shape)?;
        let manager = self.author.manager(true);
        let mut wanted = fields::fields(schema, self.config).without(self.rules.reset);
        wanted = wanted.difference(&nobodys(&wanted));
        let at = entries.iter().position(|entry| entry.manager.is(&manager));
        let before = at.map(|at| entries.remove(at));
        let mut own = Entry { manager, time: before.as_ref().and_then(|entry| entry.time.clone()), set: wanted };
        let object = match &before {
            Some(last) => self.prune(merged, &entries, &own, last)?,
            None => merged,
        };
        self.settle_others(&live, &object, &mut entries, force)?;
        let mut object = if object == live {
            live
        } else {
            own.time = Some(self.author.time.to_owned());
            object
        };
        if !own.set.is_empty() {
            entries.push(own);
        }
        put(&mut object, entries::write(entries));
        Ok(object)
    }

    /// The fields of an object of which nobody kept track belong to nobody in particular.
    fn track(&self, live: &Value, entries: &mut Vec<Entry>) -> Result<(), Unconverted> {
        let (nothing, before) = (Value::Object(Map::new()), Author { manager: BEFORE, ..*self.author });
        settle(entries, &mut Changes::between(self.rules, &before, &nothing, live), &before)
    }

    /// Takes away what the author wanted before and does not want any more, but for what others own.
    fn prune(&self, merged: Value, others: &[Entry], own: &Entry, last: &Entry) -> Result<Value, ApplyError> {
        let (rules, ours, version) = (self.rules, self.author.api_version, &last.manager.api_version);
        let Some(schema) = rules.schema_of(self.author, version).filter(|_| !last.set.is_empty()) else {
            return Ok(merged);
        };
        let unwanted = last.set.with_named_fields(Some(schema));
        let whole = rules.convert(&merged, ours, version)?;
        let mut pruned = remove::remove(schema, &whole, &unwanted);
        let mut at: &str = version;
        // Back comes what somebody owns, first in the version in which it was taken away.
        for (version, owned) in by_version(others.iter().chain([own]), version) {
            let Some(schema) = rules.schema_of(self.author, version) else { continue };
            let whole = rules.convert(&merged, ours, version)?;
            let left = rules.convert(&pruned, at, version)?;
            let gone = missing(schema, &whole, &left, &owned);
            pruned = remove::remove(schema, &whole, &gone);
            at = version;
        }
        // And what is left of something that was not the author's.
        let left = rules.convert(&pruned, at, version)?;
        let gone = missing(schema, &whole, &left, &Set::NONE).intersection(&unwanted);
        let pruned = remove::remove(schema, &whole, &gone);
        Ok(rules.convert(&pruned, version, ours)?.into_owned())
    }

    /// Takes what changes from its present owners; without force that is a conflict.
    fn settle_others(
        &self,
        live: &Value,
        object: &Value,
        entries: &mut Vec<Entry>,
        force: bool,
    ) -> Result<(), ApplyError> {
        let mut changes = Changes::between(self.rules, self.author, live, object);
        if changes.own().is_empty() {
            return Ok(());
        }
        if !force {
            let mut conflicts = Vec::new();
            for entry in entries.iter() {
                let Some(found) = changes.at(&entry.manager.api_version)? else { continue };
                let taken = entry.set.intersection(&found.changed());
                taken.each(&mut |path| conflicts.push(Conflict::new(&entry.manager, path)));
            }
            if !conflicts.is_empty() {
                return Err(ApplyError::Conflicts(conflicts));
            }
        }
        take_away(entries, &mut changes)?;
        entries.retain(|entry| !entry.set.is_empty());
        Ok(())
    }
}

/// What the entries own together in each version, that one first.
fn by_version<'e>(entries: impl Iterator<Item = &'e Entry>, first: &'e str) -> Vec<(&'e str, Set)> {
    let mut found = vec![(first, Set::NONE)];
    for entry in entries {
        match found.iter_mut().find(|(version, _)| *version == entry.manager.api_version) {
            Some((_, set)) => *set = set.union(&entry.set),
            None => found.push((&entry.manager.api_version, entry.set.clone())),
        }
    }
    found
}

/// What the whole object has and neither what is left of it nor the other set.
fn missing(schema: Schema<'_>, whole: &Value, left: &Value, owned: &Set) -> Set {
    let named = |set: &Set| set.with_named_fields(Some(schema));
    let present = named(&fields::fields(schema, left)).union(&named(owned));
    named(&fields::fields(schema, whole)).difference(&present)
}

fn nobodys(set: &Set) -> Set {
    let mut found = Set::default();
    set.each(&mut |path| {
        if is_nobodys(path) {
            found.insert(path);
        }
    });
    found
}
