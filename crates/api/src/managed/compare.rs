//! What differs between two versions of an object, as sets of paths.

use serde_json::{Map, Value};

use super::items::{Item, index};
use super::schema::{Schema, Shape};
use super::{Element, Set};

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What only the new version has.
    pub added: Set,
    /// What both have, differently.
    pub modified: Set,
    /// What only the old version has.
    pub removed: Set,
}

impl Difference {
    /// What is new or other than it was.
    #[must_use]
    pub fn changed(&self) -> Set {
        self.added.union(&self.modified)
    }

    /// What nobody owns any more but who made it so.
    pub(super) fn lost(&self) -> Set {
        self.changed().union(&self.removed)
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// The difference without what nobody can own.
    #[must_use]
    pub fn without(self, set: &Set) -> Self {
        if set.is_empty() || self.is_empty() {
            return self;
        }
        Self {
            added: self.added.without(set),
            modified: self.modified.without(set),
            removed: self.removed.without(set),
        }
    }
}

/// The fields of every object that nobody owns: its name and what the server keeps by itself.
const NOBODYS: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Whether nobody owns the path.
pub(super) fn is_nobodys(path: &[Element]) -> bool {
    let Some((Element::Field(first), rest)) = path.split_first() else { return false };
    match (&**first, rest) {
        ("apiVersion" | "kind" | "metadata", []) => true,
        ("metadata", [Element::Field(name)]) => NOBODYS.contains(&&**name),
        _ => false,
    }
}

/// Compares two versions of an object, apart from the fields that nobody owns.
#[must_use]
pub fn compare(schema: Schema<'_>, old: &Value, new: &Value) -> Difference {
    let mut walk = Walk { path: Vec::new(), found: Difference::default() };
    walk.value(schema, Some(old), Some(new));
    walk.found
}

struct Walk {
    path: Vec<Element>,
    found: Difference,
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

impl Walk {
    fn value(&mut self, schema: Schema<'_>, old: Option<&Value>, new: Option<&Value>) {
        let (shape, other) = match (old, new) {
            (None, None) => return,
            (Some(one), None | Some(Value::Null)) | (None | Some(Value::Null), Some(one)) => (schema.shape(one), None),
            (Some(old), Some(new)) => (schema.shape(new), Some(schema.shape(old))),
        };
        if let Some(other) = other.filter(|other| *other != shape) {
            self.inside(&other, schema, old, None);
            return self.leaf(old, new);
        }
        self.shaped(&shape, schema, old, new);
    }

    fn shaped(&mut self, shape: &Shape<'_>, schema: Schema<'_>, old: Option<&Value>, new: Option<&Value>) {
        if matches!(shape, Shape::Leaf(_)) || is_empty(old) && is_empty(new) {
            return self.leaf(old, new);
        }
        self.inside(shape, schema, old, new);
        if old.is_none() {
            self.found.added.insert(&self.path);
        } else if new.is_none() {
            self.found.removed.insert(&self.path);
        }
    }

    fn inside(&mut self, shape: &Shape<'_>, schema: Schema<'_>, old: Option<&Value>, new: Option<&Value>) {
        match shape {
            Shape::Leaf(_) => {}
            Shape::Map => self.map(schema, old, new),
            Shape::Set => self.list(schema, &[], old, new),
            Shape::Keyed(keys) => self.list(schema, keys, old, new),
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (old, new) if old != new => self.found.modified.insert(&self.path),
            _ => {}
        }
    }

    fn map(&mut self, schema: Schema<'_>, old: Option<&Value>, new: Option<&Value>) {
        let none = Map::new();
        let ours = old.and_then(Value::as_object).unwrap_or(&none);
        let theirs = new.and_then(Value::as_object).unwrap_or(&none);
        for (name, before) in ours {
            self.field(schema, name, (old, Some(before)), (new, theirs.get(name)));
        }
        for (name, after) in theirs.iter().filter(|(name, _)| !ours.contains_key(*name)) {
            self.field(schema, name, (old, None), (new, Some(after)));
        }
    }

    /// A field of two objects: each with the field's value, if it has it.
    fn field(
        &mut self,
        schema: Schema<'_>,
        name: &str,
        (old, before): (Option<&Value>, Option<&Value>),
        (new, after): (Option<&Value>, Option<&Value>),
    ) {
        if before == after {
            return;
        }
        let implied = |parent: Option<&Value>| parent.filter(|p| !p.is_null()).and_then(|_| schema.implied(name));
        let before = before.or_else(|| implied(old));
        let after = after.or_else(|| implied(new));
        let next = schema.field(name).map_or(Schema::Deduced, |field| field.schema);
        self.path.push(Element::field(name));
        if !(self.path.len() <= 2 && self.is_skipped()) {
            self.value(next, before, after);
        }
        self.path.pop();
    }

    fn is_skipped(&self) -> bool {
        is_nobodys(&self.path) && self.path != [Element::field("metadata")]
    }

    fn list(&mut self, schema: Schema<'_>, keys: &[&str], old: Option<&Value>, new: Option<&Value>) {
        let Some(item) = schema.item() else { return self.leaf(old, new) };
        let (Ok(ours), Ok(theirs)) = (index(item, keys, old), index(item, keys, new)) else {
            return self.leaf(old, new);
        };
        for Item { element, values } in &ours {
            let other = theirs.iter().find(|other| other.element == *element);
            self.item(item, element, values, other.map_or(&[], |other| &other.values));
        }
        for Item { element, values } in theirs.iter().filter(|i| !ours.iter().any(|o| o.element == i.element)) {
            self.item(item, element, &[], values);
        }
    }

    /// An item, of which there may be several where keys are not unique.
    fn item(&mut self, schema: Schema<'_>, element: &Element, old: &[&Value], new: &[&Value]) {
        self.path.push(element.clone());
        let several = (old.len() > 1, new.len() > 1);
        match several {
            (false, false) if old == new => {}
            (false, false) => self.value(schema, old.first().copied(), new.first().copied()),
            (true, true) if old == new => {}
            (true, true) => self.found.modified.insert(&self.path),
            (true, false) => {
                self.value(schema, None, new.first().copied());
                self.found.removed.insert(&self.path);
            }
            (false, true) => {
                self.value(schema, old.first().copied(), None);
                self.found.added.insert(&self.path);
            }
        }
        self.path.pop();
    }
}
