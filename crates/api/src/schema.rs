//! The schema of every type of the API: which fields, of which type, merged how.
//!
//! The table is text (`table.txt`, made by `scripts/schema/derive`). Opening it indexes the lines;
//! a type's fields are parsed when the type is first asked for.

mod decode;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::OnceLock;

pub use decode::{DecodeError, Decoded, decode};

const TABLE: &str = include_str!("schema/table.txt");
const API: &str = "io.k8s.api.";
const MACHINERY: &str = "io.k8s.apimachinery.pkg.";

/// The metadata of every object.
pub const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// The metadata of every list.
pub const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
/// The body of a delete.
pub const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// One type.
#[derive(Debug)]
pub struct Type {
    /// Its full name: `io.k8s.api.core.v1.Pod`.
    pub name: String,
    /// Its group, version and kind, if it is an object of the API.
    pub kind: Option<[&'static str; 3]>,
    /// Its fields in the order of their names; none: anything may stand there.
    pub fields: Vec<Field>,
    /// Whether a map-like type is replaced as a whole.
    pub atomic: bool,
}

/// One field of a [`Type`].
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What stands there.
    pub of: Of,
    /// Whether it must be there.
    pub required: bool,
    /// How lists are told apart and merged; atomic maps too.
    pub list: ListType,
    /// Whether a strategic merge patch merges the list, and by which key (`""`: values themselves).
    pub merge: Option<&'static str>,
    /// Whether a strategic merge patch may say which fields it keeps.
    pub retain_keys: bool,
}

/// What stands in a field.
#[derive(Debug, PartialEq, Eq)]
pub enum Of {
    /// Text.
    String,
    /// True or false.
    Bool,
    /// A number of 32 bits.
    Int32,
    /// A number of 64 bits.
    Int64,
    /// A number with a fraction.
    Number,
    /// Base64.
    Bytes,
    /// A time in whole seconds.
    Time,
    /// A time in microseconds.
    MicroTime,
    /// An amount.
    Quantity,
    /// A number or text.
    IntOrString,
    /// Anything.
    Any,
    /// A type of the table.
    Type(Name),
    /// A list.
    List(Box<Of>),
    /// A map with strings as keys.
    Map(Box<Of>),
}

/// The name of a type of the table, as the table writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(&'static str);

/// How the items of a list are told apart.
#[derive(Debug, PartialEq, Eq)]
pub enum ListType {
    /// Nothing is said.
    Unset,
    /// The list (or map) is replaced as a whole.
    Atomic,
    /// The items are unique values.
    Set,
    /// The items are objects with these keys.
    Map(Vec<&'static str>),
}

impl Name {
    /// The full name: `io.k8s.api.core.v1.Pod`.
    #[must_use]
    pub fn full(self) -> String {
        match self.0.strip_prefix('~') {
            Some(rest) => format!("{MACHINERY}{rest}"),
            None if self.0.starts_with("io.k8s.") => self.0.to_owned(),
            None => format!("{API}{}", self.0),
        }
    }

    /// The last part of the name: `Pod`.
    #[must_use]
    pub fn base(self) -> &'static str {
        self.0.rsplit('.').next().unwrap_or(self.0)
    }

    /// The type of this name.
    #[must_use]
    pub fn find(self) -> Option<&'static Type> {
        lookup(self.0)
    }

    fn go(self) -> String {
        let mut parts = self.0.rsplit('.');
        let (base, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        format!("{package}.{base}")
    }
}

impl Type {
    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|i| &self.fields[i])
    }

    /// The last part of the name: `Pod`.
    #[must_use]
    pub fn base(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

impl Of {
    /// The type's name in the messages of kube-apiserver: `[]v1.Container`.
    fn go(&self) -> String {
        match self {
            Self::String => "string".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Int32 => "int32".to_owned(),
            Self::Int64 => "int64".to_owned(),
            Self::Number => "float64".to_owned(),
            Self::Bytes => "[]uint8".to_owned(),
            Self::Time => "v1.Time".to_owned(),
            Self::MicroTime => "v1.MicroTime".to_owned(),
            Self::Quantity => "resource.Quantity".to_owned(),
            Self::IntOrString => "intstr.IntOrString".to_owned(),
            Self::Any => "interface {}".to_owned(),
            Self::Type(name) => name.go(),
            Self::List(of) => format!("[]{}", of.go()),
            Self::Map(of) if **of == Self::Quantity => "v1.ResourceList".to_owned(),
            Self::Map(of) => format!("map[string]{}", of.go()),
        }
    }
}

struct Line {
    name: &'static str,
    rest: &'static str,
    parsed: OnceLock<Type>,
}

struct Table {
    lines: Vec<Line>,
    index: HashMap<&'static str, usize>,
}

fn table() -> &'static Table {
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| {
        let split = |line: &'static str| line.split_once(' ').unwrap_or((line, ""));
        let lines: Vec<Line> =
            TABLE.lines().map(split).map(|(name, rest)| Line { name, rest, parsed: OnceLock::new() }).collect();
        let index = lines.iter().enumerate().map(|(i, line)| (line.name, i)).collect();
        Table { lines, index }
    })
}

fn lookup(short: &str) -> Option<&'static Type> {
    let table = table();
    let line = &table.lines[*table.index.get(short)?];
    Some(line.parsed.get_or_init(|| parse_type(line)))
}

/// The type of this full name (`io.k8s.api.core.v1.Pod`).
#[must_use]
pub fn find(name: &str) -> Option<&'static Type> {
    if let Some(rest) = name.strip_prefix(MACHINERY) {
        return lookup(&format!("~{rest}"));
    }
    lookup(name.strip_prefix(API).unwrap_or(name))
}

fn parse_type(line: &Line) -> Type {
    let mut parsed = Type { name: Name(line.name).full(), kind: None, fields: Vec::new(), atomic: false };
    for word in line.rest.split(' ').filter(|word| !word.is_empty()) {
        if let Some(kind) = word.strip_prefix('#') {
            let mut parts = kind.split('/');
            let mut next = || parts.next().unwrap_or_default();
            parsed.kind = Some([next(), next(), next()]);
        } else if word == "|atomic" {
            parsed.atomic = true;
        } else {
            parsed.fields.push(parse_field(word));
        }
    }
    parsed.fields.sort_by_key(|field| field.name);
    parsed
}

fn parse_field(word: &'static str) -> Field {
    let mut parts = word.split('|');
    let (name, of) = parts.next().and_then(|first| first.split_once(':')).unwrap_or((word, "*"));
    let mut field = Field {
        name: name.trim_end_matches('!'),
        of: parse_of(of),
        required: name.ends_with('!'),
        list: ListType::Unset,
        merge: None,
        retain_keys: false,
    };
    for attribute in parts {
        let (word, keys) = attribute.trim_end_matches(')').split_once('(').unwrap_or((attribute, ""));
        match word {
            "atomic" => field.list = ListType::Atomic,
            "set" => field.list = ListType::Set,
            "map" => field.list = ListType::Map(keys.split(',').collect()),
            "merge" => field.merge = Some(keys),
            "retainKeys" => field.retain_keys = true,
            _ => {}
        }
    }
    field
}

fn parse_of(text: &'static str) -> Of {
    let inside = |open, close| text.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    if let Some(item) = inside('[', ']') {
        return Of::List(Box::new(parse_of(item)));
    }
    if let Some(item) = inside('{', '}') {
        return Of::Map(Box::new(parse_of(item)));
    }
    match text {
        "s" => Of::String,
        "b" => Of::Bool,
        "i" => Of::Int32,
        "l" => Of::Int64,
        "n" => Of::Number,
        "y" => Of::Bytes,
        "t" => Of::Time,
        "u" => Of::MicroTime,
        "q" => Of::Quantity,
        "x" => Of::IntOrString,
        "*" => Of::Any,
        name => Of::Type(Name(name)),
    }
}
