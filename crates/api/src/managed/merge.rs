//! An object with an applied configuration laid over it. Nothing is taken away here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Element;
use super::ShapeError;
use super::items::element;
use super::schema::{Schema, Shape};

/// `live` with `config` over it: what the configuration says counts; lists keep their order as far as
/// the configuration's allows.
pub(super) fn merge(schema: Schema<'_>, live: &Value, config: &Value) -> Result<Value, ShapeError> {
    let shape = schema.shape(config);
    if config.is_null() || live.is_null() || shape != schema.shape(live) {
        return Ok(config.clone());
    }
    match (shape, live, config) {
        (Shape::Map, Value::Object(live), Value::Object(config)) => Ok(Value::Object(maps(schema, live, config)?)),
        (Shape::Set, Value::Array(live), Value::Array(config)) if !(live.is_empty() && config.is_empty()) => {
            lists(schema, &[], live, config)
        }
        (Shape::Keyed(keys), Value::Array(live), Value::Array(config)) if !(live.is_empty() && config.is_empty()) => {
            lists(schema, &keys, live, config)
        }
        _ => Ok(config.clone()),
    }
}

fn maps(
    schema: Schema<'_>,
    live: &Map<String, Value>,
    config: &Map<String, Value>,
) -> Result<Map<String, Value>, ShapeError> {
    let mut merged = live.clone();
    for (name, value) in config {
        let value = match (live.get(name), schema.field(name)) {
            (Some(before), Some(field)) => {
                merge(field.schema, before, value).map_err(|e| e.within(&Element::field(name)))?
            }
            _ => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Ok(merged)
}

fn elements(schema: Schema<'_>, keys: &[&str], list: &[Value]) -> Result<Vec<Element>, ShapeError> {
    let items = list.iter().enumerate();
    items
        .map(|(at, v)| element(schema, keys, v).map_err(|why| ShapeError::new(format!("element {at}: {why}"))))
        .collect()
}

/// Where the items of a list are; `None` for one that is there twice.
type Places<'e> = BTreeMap<&'e Element, Option<usize>>;

fn places(elements: &[Element]) -> Places<'_> {
    let mut places = Places::new();
    for (at, element) in elements.iter().enumerate() {
        places.entry(element).and_modify(|place| *place = None).or_insert(Some(at));
    }
    places
}

/// Which items of two lists come next.
enum Step {
    /// One of the live list alone.
    Live(usize),
    /// One of the configuration.
    Config(usize),
}

/// The items that both have come in the order of the configuration; items of the live list alone stay
/// before the shared item that they stood before.
fn lists(schema: Schema<'_>, keys: &[&str], live: &[Value], config: &[Value]) -> Result<Value, ShapeError> {
    let item = schema.item().unwrap_or(Schema::Untyped);
    let (left, right) = (elements(item, keys, live)?, elements(item, keys, config)?);
    let there = places(&left);
    let merged = order(&left, &right).into_iter().map(|step| match step {
        Step::Live(at) => Ok(live[at].clone()),
        Step::Config(at) => match there.get(&right[at]) {
            Some(Some(before)) => merge(item, &live[*before], &config[at]).map_err(|error| error.within(&right[at])),
            _ => Ok(config[at].clone()),
        },
    });
    merged.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn order(left: &[Element], right: &[Element]) -> Vec<Step> {
    let (there, here) = (places(left), places(right));
    let mut shared = right.iter().filter(|element| there.contains_key(element));
    let mut next = shared.next();
    let mut taken = BTreeSet::new();
    let mut steps = Vec::with_capacity(left.len().max(right.len()));
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let Some(element) = left.get(l) {
            let is_shared = here.contains_key(element);
            let meets = right.get(r) == Some(element);
            if r < right.len() && is_shared && !meets && next.is_some_and(|next| next != element) {
                // It is another one's turn.
                l += 1;
                continue;
            }
            if !is_shared {
                steps.push(Step::Live(l));
                l += 1;
                continue;
            }
            if meets || taken.contains(element) {
                l += 1;
            }
        }
        if let Some(element) = right.get(r) {
            taken.insert(element);
            steps.push(Step::Config(r));
            r += 1;
            if next == Some(element) {
                next = shared.next();
            }
        }
    }
    steps
}
