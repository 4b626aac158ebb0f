//! Whose the fields are that a request writes: the manager's name, and the lists of owners that updates
//! and creates keep.

use std::borrow::Cow;

use http::{HeaderMap, header::USER_AGENT};
use serde_json::Value;
use skiff_api::{
    field_error::{FieldError, Path},
    managed::{self, Author, Rules, Schema, Set, Unconverted},
    meta,
    status::{Qualified, Status},
    time,
};

use super::{Call, update::Part, versions::Others, write::WriteOptions};
use crate::state::now;

/// A manager's name has at most so many bytes.
const LONGEST: usize = 128;

/// The manager's name: what the client says, or the first part of the name of its program.
pub(super) fn manager(said: Option<&str>, headers: &HeaderMap, kind: &'static str) -> Result<String, Status> {
    let Some(name) = said else {
        let agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        return Ok(program(&agent.unwrap_or(Cow::Borrowed(""))));
    };
    let path = Path::new("fieldManager");
    let mut errors = Vec::new();
    if name.len() > LONGEST {
        errors.push(FieldError::too_long(&path, LONGEST));
    }
    for (at, letter) in name.char_indices().filter(|(_, letter)| !is_printable(*letter)) {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(letter));
        errors.push(FieldError::invalid(&path, name, detail));
    }
    if errors.is_empty() {
        Ok(name.to_owned())
    } else {
        Err(Status::invalid(Qualified::new("meta.k8s.io", kind), "", &errors))
    }
}

/// Letters, marks, numbers, signs, and of the spaces only the plain one.
fn is_printable(letter: char) -> bool {
    letter == ' '
        || !(letter.is_control()
            || letter.is_whitespace()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}'))
}

fn program(agent: &str) -> String {
    let mut name = String::new();
    for letter in agent.split('/').next().unwrap_or_default().chars().filter(|letter| is_printable(*letter)) {
        if name.len() + letter.len_utf8() > LONGEST {
            break;
        }
        name.push(letter);
    }
    name
}

/// The schema that the kind's objects are merged by.
pub(super) fn schema(call: &Call) -> Schema<'_> {
    call.kind.resource.schema()
}

/// The time of a write, as entries hold it.
pub(super) fn time() -> String {
    time::format(now())
}

/// Who writes.
pub(super) fn author<'a>(call: &'a Call, options: &'a WriteOptions, time: &'a str) -> Author<'a> {
    let subresource = call.subresource().unwrap_or_default();
    Author { manager: &options.manager, api_version: &call.kind.api_version, subresource, time }
}

/// What cannot be changed through this part, and so is not owned by who tries.
pub(super) fn reset(call: &Call, part: Part, objects: &[&Value]) -> Set {
    let resource = &call.kind.resource;
    if part != Part::Status {
        let has_status = resource.part("status").is_some();
        return if has_status { Set::of_fields(&[&["status"]]) } else { Set::default() };
    }
    let mut set = Set::of_fields(&[&["metadata", "labels"], &["metadata", "ownerReferences"]]);
    let fields = objects.iter().filter_map(|object| object.as_object()).flat_map(serde_json::Map::keys);
    for field in fields.filter(|field| !matches!(field.as_str(), "metadata" | "status")) {
        set.insert(&[managed::Element::field(field)]);
    }
    set
}

/// Writes down who owns the fields of a new object.
pub(super) fn created(call: &Call, options: &WriteOptions, object: &mut Value) {
    let (time, reset, versions) = (time(), reset(call, Part::Whole, &[]), Others::of(call));
    let rules = Rules { schema: schema(call), versions: &versions, reset: &reset };
    // Nobody owned anything in any other version.
    let _: Result<(), Unconverted> = managed::update(rules, None, object, &author(call, options, &time));
}

/// Writes down who owns the fields of an object after a change.
pub(super) async fn updated(call: &Call, part: Part, options: &WriteOptions, old: &Value, new: &mut Value) {
    let (time, reset, versions) = (time(), reset(call, part, &[old, new]), Others::of(call));
    let sent = call.kind.converter.is_some().then(|| new.clone());
    loop {
        let rules = Rules { schema: schema(call), versions: &versions, reset: &reset };
        let done = managed::update(rules, Some(old), new, &author(call, options, &time));
        if done.is_ok() {
            return;
        }
        if let Some(sent) = &sent {
            new.clone_from(sent);
        }
        match versions.fetch().await {
            Ok(true) => {}
            // Whoever converts is not there: that keeps nobody from writing, but owners stay as they were.
            Ok(false) | Err(_) => {
                return match &old["metadata"]["managedFields"] {
                    Value::Null => meta::unset(new, "managedFields"),
                    list => meta::set(new, "managedFields", list.clone()),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_manager_unless_it_says_so() {
        assert_eq!(program("kubectl/v1.32.4 (linux/amd64) kubernetes/59526cd"), "kubectl");
        assert_eq!(program("a\u{7}b\u{2028}c"), "abc");
        assert_eq!(program(&"é".repeat(100)).len(), 128);
        assert_eq!(program(""), "");
        let said = |name: &str| manager(Some(name), &HeaderMap::new(), "PatchOptions");
        assert_eq!(said("me"), Ok("me".to_owned()));
        let wrong = said("a\u{7}").unwrap_err().message;
        assert!(wrong.ends_with("invalid character U+0007 (at position 1)"), "{wrong}");
        assert!(said(&"x".repeat(129)).unwrap_err().message.contains("Too long"));
    }
}
