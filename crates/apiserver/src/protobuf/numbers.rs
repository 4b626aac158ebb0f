//! The table of field numbers, read when protobuf is first spoken.

use std::{collections::HashMap, sync::OnceLock};

/// What a number stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// A field; `own_zero`: zero is a value, not an absence.
    Field { name: &'static str, own_zero: bool },
    /// A struct whose fields belong to the one that holds it: the table's name of its type.
    Inline(&'static str),
}

/// The fields of a type by their numbers.
pub(super) type Fields = Vec<(u64, Entry)>;

/// The fields of the type with this full name (`io.k8s.api.core.v1.Pod`).
pub(super) fn of(full_name: &str) -> Option<&'static Fields> {
    let rest = full_name.strip_prefix("io.k8s.")?;
    match (rest.strip_prefix("api."), rest.strip_prefix("apimachinery.pkg.")) {
        (Some(name), _) => by_short_name(name),
        (None, Some(name)) => by_short_name(&format!("~{name}")),
        (None, None) => by_short_name(full_name),
    }
}

/// The same by the name that the table uses.
pub(super) fn by_short_name(name: &str) -> Option<&'static Fields> {
    static TABLE: OnceLock<HashMap<&'static str, Fields>> = OnceLock::new();
    let table = TABLE.get_or_init(|| include_str!("numbers.txt").lines().filter_map(line).collect());
    table.get(name)
}

fn line(line: &'static str) -> Option<(&'static str, Fields)> {
    let mut words = line.split(' ');
    Some((words.next()?, words.filter_map(entry).collect()))
}

fn entry(word: &'static str) -> Option<(u64, Entry)> {
    let (left, right) = word.split_once('=')?;
    if let Some(number) = left.strip_prefix('*') {
        return Some((number.parse().ok()?, Entry::Inline(right)));
    }
    let number = right.trim_end_matches('?');
    Some((number.parse().ok()?, Entry::Field { name: left, own_zero: number.len() < right.len() }))
}
