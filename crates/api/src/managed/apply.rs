//! Server-side apply: a client says what it wants of an object, and owns that and nothing else. What it
//! wanted before and does not want any more goes, unless somebody else wants it too.

use serde_json::{Map, Value};

use super::compare::{compare, is_nobodys};
use super::conflict::Conflict;
use super::entries::{self, Entry};
use super::schema::Schema;
use super::update::{BEFORE, put, settle, take};
use super::{ApplyError, Author, Set, fields, last_applied, merge, remove};

/// `live` (`None`: there is no object) with `config` applied to it by the author, with the new owners.
pub fn apply(
    schema: Schema<'_>,
    live: Option<&Value>,
    config: &Value,
    author: &Author<'_>,
    force: bool,
    reset: &Set,
) -> Result<Value, ApplyError> {
    let attempt = Attempt { schema, live, config, author, reset };
    let applied = match attempt.run(force) {
        Err(ApplyError::Conflicts(conflicts)) if author.manager == last_applied::KUBECTL => {
            let left = last_applied::unexpected(schema, live, author.api_version, conflicts);
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
    schema: Schema<'a>,
    live: Option<&'a Value>,
    config: &'a Value,
    author: &'a Author<'a>,
    reset: &'a Set,
}

impl Attempt<'_> {
    fn run(&self, force: bool) -> Result<Value, ApplyError> {
        let mut live = self.live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let list = take(&mut live).unwrap_or_default();
        let mut entries = entries::read(&list).map_err(ApplyError::Owners)?;
        if entries.is_empty() {
            self.track(&live, &mut entries);
        }
        let merged = merge::merge(self.schema, &live, self.config).map_err(|e| ApplyError::shape(self.config, e))?;
        let manager = self.author.manager(true);
        let mut wanted = fields::fields(self.schema, self.config).without(self.reset);
        wanted = wanted.difference(&nobodys(&wanted));
        let at = entries.iter().position(|entry| entry.manager.is(&manager));
        let before = at.map(|at| entries.remove(at));
        let mut own = Entry { manager, time: None, set: wanted };
        let (last, time) = before.map_or_else(Default::default, |entry| (entry.set, entry.time));
        own.time = time;
        let object = self.prune(merged, &entries, &own, &last);
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
    fn track(&self, live: &Value, entries: &mut Vec<Entry>) {
        let found = compare(self.schema, &Value::Object(Map::new()), live).without(self.reset);
        settle(entries, &found, &Author { manager: BEFORE, ..*self.author });
    }

    /// Takes away what the author wanted before and does not want any more, but for what others own.
    fn prune(&self, merged: Value, others: &[Entry], own: &Entry, last: &Set) -> Value {
        if last.is_empty() {
            return merged;
        }
        let schema = self.schema;
        let named = |set: &Set| set.with_named_fields(Some(schema));
        let last = named(last);
        let owned = others.iter().fold(own.set.clone(), |all, entry| all.union(&entry.set));
        let all = named(&fields::fields(schema, &merged));
        let pruned = remove::remove(schema, &merged, &last);
        let left = named(&fields::fields(schema, &pruned));
        // Back comes what somebody owns.
        let pruned = remove::remove(schema, &merged, &all.difference(&left.union(&named(&owned))));
        // And what is left of something that was not the author's.
        let left = named(&fields::fields(schema, &pruned));
        remove::remove(schema, &merged, &all.difference(&left).intersection(&last))
    }

    /// Takes what changes from its present owners; without force that is a conflict.
    fn settle_others(
        &self,
        live: &Value,
        object: &Value,
        entries: &mut Vec<Entry>,
        force: bool,
    ) -> Result<(), ApplyError> {
        let found = compare(self.schema, live, object).without(self.reset);
        if found.is_empty() {
            return Ok(());
        }
        let changed = found.changed();
        if !force {
            let mut conflicts = Vec::new();
            for entry in entries.iter() {
                let taken = entry.set.intersection(&changed);
                taken.each(&mut |path| conflicts.push(Conflict::new(&entry.manager, path)));
            }
            if !conflicts.is_empty() {
                return Err(ApplyError::Conflicts(conflicts));
            }
        }
        let lost = changed.union(&found.removed);
        for entry in entries.iter_mut() {
            entry.set = entry.set.difference(&lost);
        }
        entries.retain(|entry| !entry.set.is_empty());
        Ok(())
    }
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
