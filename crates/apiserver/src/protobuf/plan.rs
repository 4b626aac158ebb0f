//! How a type is written: the schema's fields joined with their numbers, once per type that is asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use skiff_api::schema::{self, Of};

use super::{
    ProtobufError,
    numbers::{self, Entry, Fields},
};

/// The type of objects of which only the metadata is wanted. It is in no schema.
pub(crate) const PARTIAL_METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";
/// Deeper than structs are inlined in one another.
const DEPTH: usize = 8;

/// A field as it is written.
pub(super) struct Slot {
    name: &'static str,
    /// The inlined structs around it, outermost first.
    pub(super) outer: Vec<u64>,
    pub(super) number: u64,
    pub(super) of: &'static Of,
    /// The plan of the messages in it, once one was met.
    inner: OnceLock<&'static Plan>,
}

/// What the objects of a type look like in protobuf.
pub(super) enum Plan {
    /// Fields with numbers, in the order of their names.
    Message(Vec<Slot>),
    /// Any JSON, in field 1.
    Json,
    /// A schema in 1, or several in 2.
    OneOrMany(&'static str),
    /// A truth in 1, or a schema in 2.
    TruthOr(&'static str),
    /// A schema in 1, or strings in 2.
    OneOrStrings(&'static str),
}

impl Slot {
    /// The plan of the type `name` that stands in this field.
    pub(super) fn inner(&self, name: schema::Name) -> Result<&'static Plan, ProtobufError> {
        if let Some(plan) = self.inner.get() {
            return Ok(plan);
        }
        let plan = of(&name.full())?;
        Ok(self.inner.get_or_init(|| plan))
    }
}

/// The slot of the field with this name.
pub(super) fn slot<'a>(slots: &'a [Slot], name: &str) -> Option<&'a Slot> {
    slots.binary_search_by(|slot| slot.name.cmp(name)).ok().map(|at| &slots[at])
}

/// The plan of the type with this full name.
pub(super) fn of(type_name: &str) -> Result<&'static Plan, ProtobufError> {
    static PLANS: OnceLock<Mutex<HashMap<String, &'static Plan>>> = OnceLock::new();
    let mut plans = PLANS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(plan) = plans.get(type_name) {
        return Ok(plan);
    }
    let made = make(type_name).ok_or_else(|| ProtobufError::Unknown(type_name.to_owned()))?;
    // There are as many of them as the table has types, each is made once and never changes.
    let plan: &'static Plan = Box::leak(Box::new(made));
    plans.insert(type_name.to_owned(), plan);
    Ok(plan)
}

fn make(type_name: &str) -> Option<Plan> {
    if type_name == PARTIAL_METADATA {
        let metadata = schema::find("io.k8s.api.core.v1.Pod")?.field("metadata")?;
        return Some(Plan::Message(vec![slot_of("metadata", &[], 1, &metadata.of)]));
    }
    if let Some(special) = special(type_name) {
        return Some(special);
    }
    let (known, fields) = message(type_name)?;
    let mut slots = Vec::new();
    collect(&mut slots, known, fields, &[]);
    slots.sort_by_key(|slot| slot.name);
    Some(Plan::Message(slots))
}

/// A type and the numbers of its fields.
pub(super) fn message(type_name: &str) -> Option<(&'static schema::Type, &'static Fields)> {
    static NONE: Fields = Vec::new();
    let known = schema::find(type_name)?;
    // A type can be without fields: that it is there says it all.
    let none = || known.fields.is_empty().then_some(&NONE);
    Some((known, numbers::of(type_name).or_else(none)?))
}

/// The types that are not the same in JSON and in protobuf.
pub(super) fn special(type_name: &str) -> Option<Plan> {
    const PROPS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    Some(match type_name.strip_prefix(EXTENSIONS)? {
        "JSON" => Plan::Json,
        "JSONSchemaPropsOrArray" => Plan::OneOrMany(PROPS),
        "JSONSchemaPropsOrBool" => Plan::TruthOr(PROPS),
        "JSONSchemaPropsOrStringArray" => Plan::OneOrStrings(PROPS),
        _ => return None,
    })
}

fn collect(slots: &mut Vec<Slot>, known: &'static schema::Type, fields: &'static Fields, outer: &[u64]) {
    for (number, entry) in fields {
        match entry {
            Entry::Field { name, .. } => {
                if let Some(field) = known.field(name) {
                    slots.push(slot_of(name, outer, *number, &field.of));
                }
            }
            Entry::Inline(name) => {
                if let Some(fields) = numbers::by_short_name(name).filter(|_| outer.len() < DEPTH) {
                    collect(slots, known, fields, &[outer, &[*number]].concat());
                }
            }
        }
    }
}

fn slot_of(name: &'static str, outer: &[u64], number: u64, of: &'static Of) -> Slot {
    Slot { name, outer: outer.to_vec(), number, of, inner: OnceLock::new() }
}
