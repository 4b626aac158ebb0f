//! The registry: every kind of the API, described once. Routes, discovery, OpenAPI, tables, storage
//! and the command line all read these descriptions; none of them knows a kind by itself.

mod any;
mod decode;
mod strategy;
mod unheeded;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::Value;

use crate::field_error::FieldError;
use crate::kinds;
use crate::meta;
use crate::status::Qualified;
use crate::validate::names::{self, NameCheck};

pub(crate) use any::definition;
pub use any::{AnyResource, Part};
pub use decode::FieldValidation;
pub(crate) use strategy::{carry, carry_metadata};
pub use unheeded::Unheeded;

/// Where the objects of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster as a whole.
    Cluster,
}

/// How long the objects of a kind are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Until they are deleted.
    Disk,
    /// Until the server ends: it writes nothing to disk for them.
    Memory,
    /// Not at all: a question that is answered (`create`), or what is seen when somebody looks (`get`, `list`).
    Virtual,
}

/// A part of an object of one of our own kinds with a path of its own.
pub type Subresource = Part<'static>;

/// A column of the table that kubectl prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// `string`, `integer`, `boolean` or `date`.
    pub type_: &'static str,
    /// `name` for the column that holds the object's name.
    pub format: &'static str,
    /// What stands there.
    pub description: &'static str,
    /// 0: always shown; 1: shown by `-o wide`.
    pub priority: u8,
}

impl Column {
    pub(crate) const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, type_: "string", format: "", description, priority: 0 }
    }

    pub(crate) const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    pub(crate) const fn boolean(mut self) -> Self {
        self.type_ = "boolean";
        self
    }

    pub(crate) const fn format(mut self, format: &'static str) -> Self {
        self.format = format;
        self
    }

    pub(crate) const fn integer(mut self) -> Self {
        self.type_ = "integer";
        self
    }

    pub(crate) const NAME: Self = Self { format: "name", ..Self::new("Name", "The name, unique in its scope.") };
    pub(crate) const AGE: Self = Self::new("Age", "How long ago it was made.");
    /// What kinds have instead that nobody has made columns for.
    pub(crate) const CREATED: Self = Self { type_: "date", ..Self::new("Created At", "When it was made.") };
}

/// How the objects of a kind are stored, if that is not as this kind's version shows them: several
/// groups or versions may show the objects of one storage, each in its own words.
pub(crate) struct Stored {
    /// The kind that is stored.
    pub(crate) as_: &'static Resource,
    /// From this kind's words to those of the stored one. What has none there must not get lost.
    pub(crate) to: fn(&mut Value),
    /// From the words of the stored kind to this one's.
    pub(crate) from: fn(&mut Value),
}

/// What is special about a part with a path of its own.
pub(crate) enum PartRules {
    /// Only the status changes there, and annotations and the like.
    Status {
        /// Further changes to an update (new, old).
        prepare: fn(&mut Value, &Value, Timestamp),
        /// What must hold for an update (new, old), apart from metadata.
        validate: fn(&Value, &Value, &mut Vec<FieldError>),
    },
    /// Something else changes: reduces a new version (new, old) to what may change there; answers with
    /// what is wrong.
    Other(fn(&mut Value, &Value) -> Vec<FieldError>),
}

impl PartRules {
    /// A status that is only checked.
    pub(crate) const fn status(validate: fn(&Value, &Value, &mut Vec<FieldError>)) -> Self {
        Self::Status { prepare: |_, _, _| {}, validate }
    }
}

/// What is special about a kind. Everything else is the same for all of them.
pub(crate) struct Rules {
    /// Fills in what is not said.
    pub(crate) default: fn(&mut Value),
    /// What its objects may be called.
    pub(crate) name: NameCheck,
    /// What must hold for its objects, apart from metadata.
    pub(crate) validate: fn(&Value, &mut Vec<FieldError>),
    /// What must hold for new objects only, apart from metadata and `validate`.
    pub(crate) validate_create: fn(&Value, &mut Vec<FieldError>),
    /// What must hold for a change (new, old), apart from metadata and `validate`.
    pub(crate) validate_update: fn(&Value, &Value, &mut Vec<FieldError>),
    /// The status of a new object; `None`: what the client sent, or no status at all.
    pub(crate) initial_status: Option<fn(&Value) -> Value>,
    /// Further changes to a new object.
    pub(crate) prepare_create: fn(&mut Value),
    /// Further changes to an update (new, old).
    pub(crate) prepare_update: fn(&mut Value, &Value),
    /// Which changes (new, old) count as a new generation; `None`: it has no generations.
    pub(crate) generation: Option<fn(&Value, &Value) -> bool>,
    /// The fields that a field selector may name, besides name and namespace, and where they are.
    pub(crate) fields: &'static [(&'static str, &'static str)],
    /// The cells of its row.
    pub(crate) cells: fn(&Value, Timestamp) -> Vec<Value>,
    /// Whether it has done its work, for its row: a word and a sentence.
    pub(crate) ended: fn(&Value) -> Option<[&'static str; 2]>,
    /// What an object's name becomes a part of that ought to be a DNS label.
    pub(crate) named_after: Option<&'static str>,
    /// What whoever creates or changes one has to be told about what it says.
    pub(crate) warnings: fn(&Value) -> Vec<String>,
    /// The parts with a path of their own that have rules of their own, by name.
    pub(crate) parts: &'static [(&'static str, PartRules)],
    /// Whether dependents are kept unless the client says otherwise.
    pub(crate) keeps_dependents: bool,
    /// What is stored, if it is not this kind itself.
    pub(crate) stored: Option<Stored>,
}

impl Rules {
    /// A kind with nothing special.
    pub(crate) const PLAIN: Self = Self {
        default: |_| {},
        name: names::subdomain_name,
        validate: |_, _| {},
        validate_create: |_, _| {},
        validate_update: |_, _, _| {},
        initial_status: None,
        prepare_create: |_| {},
        prepare_update: |_, _| {},
        generation: None,
        fields: &[],
        cells: |object, now| vec![meta::name(object).into(), crate::print::age(object, now)],
        ended: |_| None,
        named_after: None,
        warnings: |_| Vec::new(),
        parts: &[],
        keeps_dependents: false,
        stored: None,
    };
}

/// A kind of the API.
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// `Pod`
    pub kind: &'static str,
    /// `pods`
    pub plural: &'static str,
    /// `pod`
    pub singular: &'static str,
    /// `po`
    pub short_names: &'static [&'static str],
    /// The groups of kinds it belongs to: `all`.
    pub categories: &'static [&'static str],
    /// Where its objects live.
    pub scope: Scope,
    /// What can be done with it, sorted.
    pub verbs: &'static [&'static str],
    /// The parts with a path of their own.
    pub subresources: &'static [Subresource],
    /// How long its objects are kept.
    pub durability: Durability,
    /// Its type in the schema: `io.k8s.api.core.v1.Pod`.
    pub type_name: &'static str,
    /// What nothing here does with its objects, though the API promises it.
    pub unheeded: Option<Unheeded>,
    /// The columns of its table.
    pub columns: &'static [Column],
    pub(crate) rules: Rules,
}

/// All kinds.
#[must_use]
pub fn all() -> &'static [&'static Resource] {
    kinds::ALL
}

/// The kind with this group, version and plural.
#[must_use]
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    type Index = BTreeMap<(&'static str, &'static str, &'static str), &'static Resource>;
    static INDEX: OnceLock<Index> = OnceLock::new();
    let index = INDEX.get_or_init(|| all().iter().map(|r| ((r.group, r.version, r.plural), *r)).collect());
    index.get(&(group, version, plural)).copied()
}

/// The kind with this group, version and name. Kinds that are stored come before mere questions.
#[must_use]
pub fn find_kind(group: &str, version: &str, kind: &str) -> Option<&'static Resource> {
    all().iter().find(|r| (r.group, r.version, r.kind) == (group, version, kind)).copied()
}

/// The kind with this `apiVersion` (`apps/v1`) and name.
#[must_use]
pub fn find_api_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    find_kind(group, version, kind)
}

impl Subresource {
    /// A part that is read and written as an object of that kind, such as `status`.
    pub(crate) const fn of_kind(
        name: &'static str,
        group: &'static str,
        kind: &'static str,
        type_name: &'static str,
    ) -> Self {
        Self { name, group, version: "v1", kind, verbs: kinds::PART_VERBS, type_name }
    }

    /// `scale`, the same for whatever has replicas.
    pub(crate) const SCALE: Self = Self {
        name: "scale",
        group: "autoscaling",
        version: "v1",
        kind: "Scale",
        verbs: kinds::PART_VERBS,
        type_name: "io.k8s.api.autoscaling.v1.Scale",
    };
}

impl Resource {
    /// What most kinds in namespaces have in common; the names are still missing.
    pub(crate) const NAMESPACED: Self = Self {
        group: "",
        version: "v1",
        kind: "",
        plural: "",
        singular: "",
        short_names: &[],
        categories: &[],
        scope: Scope::Namespaced,
        verbs: kinds::ALL_VERBS,
        subresources: &[],
        durability: Durability::Disk,
        type_name: "",
        unheeded: None,
        columns: &[Column::NAME, Column::AGE],
        rules: Rules::PLAIN,
    };

    /// The same for kinds of the cluster as a whole.
    pub(crate) const CLUSTER: Self = Self { scope: Scope::Cluster, ..Self::NAMESPACED };

    /// `v1`, `apps/v1`
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `PodList`
    #[must_use]
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// The resource as errors name it: `deployments.apps`.
    #[must_use]
    pub const fn qualified(&self) -> Qualified<'static> {
        Qualified::new(self.group, self.plural)
    }

    /// The kind as errors name it: `Deployment.apps`.
    #[must_use]
    pub const fn qualified_kind(&self) -> Qualified<'static> {
        Qualified::new(self.group, self.kind)
    }

    /// Whether its objects live in namespaces.
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether it knows this verb.
    #[must_use]
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    /// The kind that its objects are stored as: itself, unless it only shows another one's.
    #[must_use]
    pub fn stored_as(&'static self) -> &'static Resource {
        self.rules.stored.as_ref().map_or(self, |stored| stored.as_)
    }

    /// Whether its objects are those of another kind, shown in other words.
    #[must_use]
    pub fn is_view(&self) -> bool {
        self.rules.stored.is_some()
    }

    /// Turns an object of this kind into one of the kind that is stored.
    pub fn to_stored(&self, object: &mut Value) {
        if let Some(stored) = &self.rules.stored {
            (stored.to)(object);
            stored.as_.set_kind(object);
        }
    }

    /// Turns a stored object into one of this kind.
    pub fn from_stored(&self, object: &mut Value) {
        if let Some(stored) = &self.rules.stored {
            (stored.from)(object);
            self.set_kind(object);
        }
    }

    /// The part with this name.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }
}
