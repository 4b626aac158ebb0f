//! The patch that leads from an object as it is to what its manifest says, given what the manifest said
//! before.
//!
//! Fields that the manifest never named are left alone: defaults and what controllers wrote stay.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use skiff_api::schema::{self, Field, Of, Type};

type Object = Map<String, Value>;

/// What is known of an object or map.
#[derive(Clone, Copy)]
enum At {
    Known(&'static Type),
    MapOf(&'static Of),
    Unknown,
}

/// How a list is merged.
#[derive(Clone, Copy)]
enum Merge {
    /// As a whole.
    Whole,
    /// By the values themselves.
    Values,
    /// By a key of its items.
    Key(&'static str),
}

impl At {
    fn of(of: Option<&'static Of>) -> Self {
        match of {
            Some(Of::Type(name)) => name.find().map_or(Self::Unknown, Self::Known),
            Some(Of::Map(of)) => Self::MapOf(of),
            Some(Of::List(of)) => Self::of(Some(of)),
            _ => Self::Unknown,
        }
    }

    fn field(self, name: &str) -> (Self, Merge, bool) {
        let known = |field: &'static Field| {
            let merge = match field.merge {
                None => Merge::Whole,
                Some("") => Merge::Values,
                // Strategic merges know one key only.
                Some(key) => Merge::Key(key),
            };
            (Self::of(Some(&field.of)), merge, field.retain_keys)
        };
        match self {
            Self::Known(of) => of.field(name).map_or((Self::Unknown, Merge::Whole, false), known),
            Self::MapOf(of) => (Self::of(Some(of)), Merge::Whole, false),
            Self::Unknown => (Self::Unknown, Merge::Whole, false),
        }
    }
}

/// The patch; empty if nothing is to be changed. A strategic merge patch if the type is known, else a
/// merge patch.
pub(crate) fn three_way(last: &Value, new: &Value, live: &Value, type_name: Option<&str>) -> Value {
    let at = type_name.and_then(schema::find).map_or(At::Unknown, At::Known);
    let empty = Object::new();
    let of = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
    let (new, live) = (of(new), of(live));
    Value::Object(objects(last.as_object().unwrap_or(&empty), &new, &live, at))
}

fn objects(last: &Object, new: &Object, live: &Object, at: At) -> Object {
    let mut patch = Object::new();
    for (key, value) in new {
        field(&mut patch, key, last.get(key).unwrap_or(&Value::Null), value, live.get(key), at);
    }
    let gone = last.keys().filter(|key| !new.contains_key(*key) && live.contains_key(*key));
    patch.extend(gone.map(|key| (key.clone(), Value::Null)));
    patch
}

fn field(patch: &mut Object, key: &str, last: &Value, new: &Value, live: Option<&Value>, at: At) {
    let (inner, merge, retain) = at.field(key);
    match (new, live) {
        // `null` in a manifest says that there is to be nothing; the server owns times of creation.
        (Value::Null, Some(live)) if !live.is_null() && key != "creationTimestamp" => {
            patch.insert(key.to_owned(), Value::Null);
        }
        (Value::Null, _) => {}
        (Value::Object(new), None) if new.is_empty() => {}
        (Value::Object(new), Some(Value::Object(live))) => {
            let empty = Object::new();
            let mut changed = objects(last.as_object().unwrap_or(&empty), new, live, inner);
            if changed.is_empty() {
                return;
            }
            if retain {
                changed.insert("$retainKeys".to_owned(), new.keys().cloned().collect());
            }
            patch.insert(key.to_owned(), Value::Object(changed));
        }
        (Value::Array(new), Some(Value::Array(live))) => {
            let none = Vec::new();
            let last = last.as_array().unwrap_or(&none);
            lists(patch, key, &List { last, new, live, at: inner, retain }, merge);
        }
        (new, live) if live != Some(new) => {
            patch.insert(key.to_owned(), new.clone());
        }
        _ => {}
    }
}

/// A list in its three forms.
struct List<'a> {
    last: &'a [Value],
    new: &'a [Value],
    live: &'a [Value],
    at: At,
    retain: bool,
}

fn lists(patch: &mut Object, name: &str, list: &List<'_>, merge: Merge) {
    match merge {
        Merge::Whole if list.new != list.live => {
            patch.insert(name.to_owned(), json!(list.new));
        }
        Merge::Whole => {}
        Merge::Values => values(patch, name, list),
        Merge::Key(key) => keyed(patch, name, list, key),
    }
}

fn values(patch: &mut Object, name: &str, list: &List<'_>) {
    let fresh: Vec<&Value> = list.new.iter().filter(|one| !list.live.contains(one)).collect();
    let gone: Vec<&Value> = list.last.iter().filter(|one| !list.new.contains(one) && list.live.contains(one)).collect();
    if !gone.is_empty() {
        patch.insert(format!("$deleteFromPrimitiveList/{name}"), json!(gone));
    }
    if !fresh.is_empty() || !gone.is_empty() {
        patch.insert(format!("$setElementOrder/{name}"), json!(list.new));
    }
    if !fresh.is_empty() {
        patch.insert(name.to_owned(), json!(fresh));
    }
}

fn keyed(patch: &mut Object, name: &str, list: &List<'_>, key: &str) {
    // Where the key does not tell the items apart (one port for TCP and UDP), the list is replaced.
    if !told_apart(list.new, key) || !told_apart(list.live, key) {
        if !covered(list.new, list.live) {
            let replaced = std::iter::once(json!({ "$patch": "replace" })).chain(list.new.iter().cloned());
            patch.insert(name.to_owned(), replaced.collect());
        }
        return;
    }
    let with = |items: &'_ [Value], item: &Value| items.iter().find(|one| one[key] == item[key]).cloned();
    let mut items = Vec::new();
    for new in list.new {
        match (with(list.live, new), new.as_object()) {
            (Some(Value::Object(live)), Some(fields)) => {
                let last = with(list.last, new).and_then(|last| last.as_object().cloned()).unwrap_or_default();
                let mut changed = objects(&last, fields, &live, list.at);
                if changed.is_empty() {
                    continue;
                }
                if list.retain {
                    changed.insert("$retainKeys".to_owned(), fields.keys().cloned().collect());
                }
                changed.insert(key.to_owned(), new[key].clone());
                items.push(Value::Object(changed));
            }
            _ => items.push(new.clone()),
        }
    }
    let gone = list.last.iter().filter(|one| with(list.new, one).is_none() && with(list.live, one).is_some());
    items.extend(gone.map(|one| json!({ "$patch": "delete", key: one[key] })));
    if !items.is_empty() || !in_order(list.new, list.live, key) {
        let order: Vec<Value> = list.new.iter().map(|one| json!({ key: one[key] })).collect();
        patch.insert(format!("$setElementOrder/{name}"), Value::Array(order));
    }
    if !items.is_empty() {
        patch.insert(name.to_owned(), Value::Array(items));
    }
}

fn told_apart(items: &[Value], key: &str) -> bool {
    let keys: HashSet<String> = items.iter().map(|one| one[key].to_string()).collect();
    keys.len() == items.len()
}

/// Whether each live item has all that the manifest's says.
fn covered(new: &[Value], live: &[Value]) -> bool {
    let none = Object::new();
    let same = |(new, live): (&Value, &Value)| match (new, live) {
        (Value::Object(new), Value::Object(live)) => objects(&none, new, live, At::Unknown).is_empty(),
        (new, live) => new == live,
    };
    new.len() == live.len() && new.iter().zip(live).all(same)
}

fn in_order(new: &[Value], live: &[Value], key: &str) -> bool {
    let place = |one: &Value| live.iter().position(|held| held[key] == one[key]);
    new.iter().filter_map(place).is_sorted()
}

#[cfg(test)]
mod tests;
