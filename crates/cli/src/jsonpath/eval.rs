//! Applies a template to data.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Filter, Index, Node, Operand, Operator, PathError, Step};

/// Renders nodes over `data`; `root` is what `$` means.
pub(super) fn render(nodes: &[Node], data: &Value, root: &Value, out: &mut String) -> Result<(), PathError> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Path(steps) => {
                let found: Vec<String> = walk(steps, data, root)?.into_iter().map(shown).collect();
                out.push_str(&found.join(" "));
            }
            Node::Range(steps, inner) => {
                for one in walk(steps, data, root)? {
                    render(inner, one, root, out)?;
                }
            }
        }
    }
    Ok(())
}

/// A value as kubectl prints it: strings bare, all else as JSON.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What the steps lead to. Missing fields lead nowhere.
pub(super) fn walk<'a>(steps: &[Step], data: &'a Value, root: &'a Value) -> Result<Vec<&'a Value>, PathError> {
    let mut here = vec![data];
    for step in steps {
        let mut next = Vec::new();
        if let Step::Fields(names) = step {
            names.iter().for_each(|name| next.extend(here.iter().filter_map(|value| value.get(name))));
        } else {
            for value in here {
                take(step, value, root, &mut next)?;
            }
        }
        here = next;
    }
    Ok(here)
}

fn take<'a>(step: &Step, value: &'a Value, root: &'a Value, next: &mut Vec<&'a Value>) -> Result<(), PathError> {
    match step {
        Step::Field(name) => next.extend(value.get(name)),
        Step::Descend(name) => descend(name, value, next),
        Step::All => next.extend(children(value)),
        Step::Fields(_) => {}
        Step::Union(all) => {
            for index in all {
                pick(*index, value, next)?;
            }
        }
        Step::Filter(filter) => {
            for child in children(value) {
                // An index that leads nowhere makes the filter false.
                match holds(filter, child, root) {
                    Ok(true) => next.push(child),
                    Ok(false) | Err(PathError::OutOfBounds { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(list) => Box::new(list.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn descend<'a>(name: &str, value: &'a Value, next: &mut Vec<&'a Value>) {
    if name.is_empty() || name == "*" {
        next.extend(children(value));
    } else {
        next.extend(value.get(name));
    }
    children(value).for_each(|child| descend(name, child, next));
}

fn pick<'a>(index: Index, value: &'a Value, next: &mut Vec<&'a Value>) -> Result<(), PathError> {
    let Value::Array(list) = value else { return Ok(()) };
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let absolute = |number: i64| if number < 0 { number + length } else { number };
    match index {
        Index::At(number) => {
            let found = usize::try_from(absolute(number)).ok().and_then(|at| list.get(at));
            next.push(found.ok_or(PathError::OutOfBounds { index: number, length: list.len() })?);
        }
        Index::Slice { from, to, step } => {
            let clamp = |number: i64| usize::try_from(absolute(number).clamp(0, length)).unwrap_or_default();
            let (from, to) = (from.map_or(0, clamp), to.map_or(list.len(), clamp));
            let step = usize::try_from(step).unwrap_or(1).max(1);
            next.extend(list.get(from..to).into_iter().flatten().step_by(step));
        }
    }
    Ok(())
}

fn holds(filter: &Filter, value: &Value, root: &Value) -> Result<bool, PathError> {
    match filter {
        Filter::Exists(steps) => Ok(!walk(steps, value, root)?.is_empty()),
        Filter::Compare { left, operator, right } => {
            let (left, right) = (resolve(left, value, root)?, resolve(right, value, root)?);
            Ok(match (left, right) {
                (Some(left), Some(right)) => compare(&left, *operator, &right),
                _ => false,
            })
        }
    }
}

fn resolve(operand: &Operand, value: &Value, root: &Value) -> Result<Option<Value>, PathError> {
    match operand {
        Operand::Value(value) => Ok(Some(value.clone())),
        Operand::Path(steps) => Ok(walk(steps, value, root)?.first().map(|value| (*value).clone())),
    }
}

fn compare(left: &Value, operator: Operator, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (left, right) if left == right => Some(Ordering::Equal),
        _ => None,
    };
    match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::NotEqual => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::More => order == Some(Ordering::Greater),
        Operator::MoreOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}
