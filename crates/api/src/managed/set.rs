//! A set of paths, as a tree: what somebody owns, or what changed. Reads and writes `FieldsV1`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Element, FieldsError, Schema};

/// Deeper documents are no field sets.
const DEEPEST: usize = 128;

/// What becomes of an element that is in one set, in the other or in both.
type Join = dyn Fn(Option<&Node>, Option<&Node>) -> Option<Node>;

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Sorted; each is a member or has something below it.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    element: Element,
    member: bool,
    below: Set,
}

impl Node {
    fn if_any(element: &Element, member: bool, below: Set) -> Option<Self> {
        (member || !below.is_empty()).then(|| Self { element: element.clone(), member, below })
    }
}

impl Set {
    pub(super) const NONE: Self = Self { nodes: Vec::new() };

    /// The set of these paths of fields.
    #[must_use]
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(&path.iter().map(|name| Element::field(name)).collect::<Vec<_>>());
        }
        set
    }

    /// Whether no path is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn find(&self, element: &Element) -> Result<usize, usize> {
        // Sets are mostly filled in their order.
        match self.nodes.last().map(|last| last.element.cmp(element)) {
            None | Some(Ordering::Less) => Err(self.nodes.len()),
            _ => self.nodes.binary_search_by(|node| node.element.cmp(element)),
        }
    }

    /// Adds a path. The empty path, the object as a whole, is nobody's.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let at = self.find(first).unwrap_or_else(|at| {
            let node = Node { element: first.clone(), member: false, below: Self::default() };
            self.nodes.insert(at, node);
            at
        });
        let node = &mut self.nodes[at];
        if rest.is_empty() { node.member = true } else { node.below.insert(rest) }
    }

    /// Whether the path is in it.
    #[must_use]
    pub fn has(&self, path: &[Element]) -> bool {
        match path.split_first() {
            None => false,
            Some((first, [])) => self.is_member(first),
            Some((first, rest)) => self.below(first).is_some_and(|set| set.has(rest)),
        }
    }

    pub(super) fn is_member(&self, element: &Element) -> bool {
        self.find(element).is_ok_and(|at| self.nodes[at].member)
    }

    /// What is below a step; `None`: nothing.
    pub(super) fn below(&self, element: &Element) -> Option<&Self> {
        let at = self.find(element).ok()?;
        Some(&self.nodes[at].below).filter(|set| !set.is_empty())
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.join(other, &|a, b| match (a, b) {
            (Some(a), Some(b)) => Node::if_any(&a.element, a.member || b.member, a.below.union(&b.below)),
            (one, two) => one.or(two).cloned(),
        })
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.join(other, &|a, b| {
            let (a, b) = (a?, b?);
            Node::if_any(&a.element, a.member && b.member, a.below.intersection(&b.below))
        })
    }

    /// What is in this one only.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.join(other, &|a, b| match (a?, b) {
            (a, None) => Some(a.clone()),
            (a, Some(b)) => Node::if_any(&a.element, a.member && !b.member, a.below.difference(&b.below)),
        })
    }

    /// What is neither in the other nor below anything in it.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.join(other, &|a, b| match (a?, b) {
            (a, None) => Some(a.clone()),
            (_, Some(b)) if b.member => None,
            (a, Some(b)) => Node::if_any(&a.element, a.member, a.below.without(&b.below)),
        })
    }

    fn join(&self, other: &Self, make: &Join) -> Self {
        let (mut ours, mut theirs) = (self.nodes.iter().peekable(), other.nodes.iter().peekable());
        let mut nodes = Vec::new();
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return Self { nodes },
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.element.cmp(&b.element),
            };
            let a = if order.is_le() { ours.next() } else { None };
            let b = if order.is_ge() { theirs.next() } else { None };
            nodes.extend(make(a, b));
        }
    }

    /// Every path, those that end on a level before those that go on.
    pub fn each(&self, visit: &mut dyn FnMut(&[Element])) {
        self.each_below(&mut Vec::new(), visit);
    }

    fn each_below(&self, path: &mut Vec<Element>, visit: &mut dyn FnMut(&[Element])) {
        for node in self.nodes.iter().filter(|node| node.member) {
            path.push(node.element.clone());
            visit(path);
            path.pop();
        }
        for node in self.nodes.iter().filter(|node| !node.below.is_empty()) {
            path.push(node.element.clone());
            node.below.each_below(path, visit);
            path.pop();
        }
    }

    /// All paths.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.each(&mut |path| paths.push(path.to_vec()));
        paths
    }

    /// The set with every declared field that something is below of: taking away what is owned then
    /// takes the emptied object as well.
    pub(super) fn with_named_fields(&self, schema: Option<Schema<'_>>) -> Self {
        let nodes = self.nodes.iter().map(|node| {
            let (declared, next) = match (&node.element, schema) {
                (Element::Field(name), Some(schema)) => {
                    let field = schema.field(name);
                    (field.as_ref().is_some_and(|field| field.declared), field.map(|field| field.schema))
                }
                (Element::Key(_), Some(schema)) => (false, schema.item()),
                _ => (false, None),
            };
            let member = node.member || (declared && !node.below.is_empty());
            Node { element: node.element.clone(), member, below: node.below.with_named_fields(next) }
        });
        Self { nodes: nodes.collect() }
    }

    /// The set as the schema is now: what is merged as a whole by now is owned as a whole.
    pub(super) fn fitted(self, schema: Schema<'_>) -> Self {
        let nodes = self.nodes.into_iter().map(|node| {
            let next = match &node.element {
                Element::Field(name) => schema.field(name).map(|field| field.schema),
                _ => schema.item(),
            };
            match next {
                Some(_) | None if node.below.is_empty() => node,
                Some(next) if next.is_atomic() => Node { member: true, below: Self::NONE, ..node },
                Some(next) => Node { below: node.below.fitted(next), ..node },
                None => node,
            }
        });
        Self { nodes: nodes.collect() }
    }

    /// The set as `FieldsV1`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.to_map(false))
    }

    fn to_map(&self, member: bool) -> Map<String, Value> {
        let mut map = Map::new();
        if member && !self.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for node in &self.nodes {
            map.insert(node.element.to_text(), Value::Object(node.below.to_map(node.member)));
        }
        map
    }

    /// Reads `FieldsV1`.
    pub fn from_json(fields: &Value) -> Result<Self, FieldsError> {
        Ok(read(fields, 0)?.0)
    }
}

/// What is below a step, and whether the step itself is a member.
fn read(fields: &Value, depth: usize) -> Result<(Set, bool), FieldsError> {
    let map = match fields {
        Value::Object(map) if depth <= DEEPEST => map,
        Value::Null => return Ok((Set::default(), true)),
        other => return Err(FieldsError(other.to_string().chars().take(64).collect())),
    };
    let (mut set, mut member) = (Set::default(), false);
    for (key, value) in map {
        if key == "." {
            member = true;
            continue;
        }
        let Some(element) = Element::parse(key)? else { continue };
        let (below, is_member) = read(value, depth + 1)?;
        let node = Node { element, member: is_member, below };
        match set.find(&node.element) {
            Err(at) => set.nodes.insert(at, node),
            Ok(at) => set.nodes[at] = node,
        }
    }
    let alone = set.is_empty();
    Ok((set, member || alone))
}
