//! The items of lists that are merged item by item: how each is told apart from the others.

use serde_json::Value;

use super::schema::Schema;
use super::{Element, ShapeError};

/// One item of a list, or several with the same keys.
pub(super) struct Item<'v> {
    pub(super) element: Element,
    pub(super) values: Vec<&'v Value>,
}

/// The items of a list, each once, in the order of their first appearance.
pub(super) fn index<'v>(
    schema: Schema<'_>,
    keys: &[&str],
    list: Option<&'v Value>,
) -> Result<Vec<Item<'v>>, ShapeError> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut items: Vec<Item<'v>> = Vec::with_capacity(list.len());
    let mut places = std::collections::BTreeMap::new();
    for (at, value) in list.iter().enumerate() {
        let element = element(schema, keys, value).map_err(|why| ShapeError::new(format!("element {at}: {why}")))?;
        if let Some(place) = places.get(&element) {
            let item: &mut Item<'v> = &mut items[*place];
            item.values.push(value);
            continue;
        }
        places.insert(element.clone(), items.len());
        items.push(Item { element, values: vec![value] });
    }
    Ok(items)
}

/// How an item is told apart; no keys: it is its own key. `schema` is the item's.
pub(super) fn element(schema: Schema<'_>, keys: &[&str], item: &Value) -> Result<Element, String> {
    if keys.is_empty() {
        return match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
            value => Ok(Element::Value(value.clone())),
        };
    }
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let value = |key: &str| fields.get(key).cloned().or_else(|| schema.key_default(key));
    let mut found: Vec<(Box<str>, Value)> = keys.iter().filter_map(|key| Some(((*key).into(), value(key)?))).collect();
    if found.is_empty() {
        let names: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default \
             values for any key fields)",
            names.join(" ")
        ));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Element::Key(found))
}
