//! What the algorithms ask of a schema: how a value is merged, what its fields and items are. It is
//! answered by the table of built-in types, by the structural schema of a custom resource, or by
//! looking at the value where nothing is declared.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::custom::schema::{Additional, ListType as CustomList, Schema as CustomSchema, Sort};
use crate::schema::{Field as TableField, ListType, Of, Type};

/// What is known about a value.
#[derive(Clone, Copy, Debug)]
pub enum Schema<'s> {
    /// A type of the table.
    Type(&'static Type),
    /// A field of such a type.
    Field(&'static TableField),
    /// A value in a list or map of such a field.
    Of(&'static Of),
    /// A custom resource with this schema.
    Custom(&'s CustomSchema),
    /// A value within one.
    Structural(&'s CustomSchema),
    /// Nothing: objects are merged by field, lists replaced.
    Deduced,
    /// Nothing: everything is replaced as a whole.
    Untyped,
}

/// How a value is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape<'s> {
    /// As a whole; `true`: it is a list or a map.
    Leaf(bool),
    /// Field by field.
    Map,
    /// Item by item, each its own key.
    Set,
    /// Item by item, told apart by these fields.
    Keyed(Vec<&'s str>),
}

/// A field of a value.
pub(super) struct Child<'s> {
    pub(super) schema: Schema<'s>,
    /// Whether the field is one of a fixed number; otherwise it is a map's key.
    pub(super) declared: bool,
}

/// Fields that are there even when nothing is said: structures within structures. Besides these,
/// `metadata`, `spec` and `status` of every object.
const VALUES: &[(&str, &[&str])] = &[
    ("apps.v1.DaemonSetSpec", &["template", "updateStrategy"]),
    ("apps.v1.DeploymentSpec", &["strategy", "template"]),
    ("apps.v1.ReplicaSetSpec", &["template"]),
    ("apps.v1.StatefulSetSpec", &["template", "updateStrategy"]),
    ("autoscaling.v1.HorizontalPodAutoscalerSpec", &["scaleTargetRef"]),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", &["scaleTargetRef"]),
    ("batch.v1.CronJobSpec", &["jobTemplate"]),
    ("batch.v1.JobSpec", &["template"]),
    ("batch.v1.JobTemplateSpec", &["metadata", "spec"]),
    ("core.v1.Event", &["involvedObject", "source"]),
    ("core.v1.NodeDaemonEndpoints", &["kubeletEndpoint"]),
    ("core.v1.NodeStatus", &["daemonEndpoints", "nodeInfo"]),
    ("core.v1.PersistentVolumeClaimSpec", &["resources"]),
    ("core.v1.PodTemplate", &["template"]),
    ("core.v1.PodTemplateSpec", &["metadata", "spec"]),
    ("core.v1.ServiceStatus", &["loadBalancer"]),
    ("events.v1.Event", &["deprecatedSource", "regarding"]),
    ("flowcontrol.v1.FlowSchemaSpec", &["priorityLevelConfiguration"]),
    ("networking.v1.IngressStatus", &["loadBalancer"]),
    ("networking.v1.NetworkPolicySpec", &["podSelector"]),
    ("rbac.v1.ClusterRoleBinding", &["roleRef"]),
    ("rbac.v1.RoleBinding", &["roleRef"]),
    ("resource.v1.ResourceClaimSpec", &["devices"]),
    ("resource.v1.ResourceClaimTemplateSpec", &["metadata", "spec"]),
    ("resource.v1.ResourceSliceSpec", &["pool"]),
    ("storage.v1.VolumeAttachmentSpec", &["source"]),
];

/// The keys of list items that may be left out, and what they then are.
const KEY_DEFAULTS: &[(&str, &str, &str)] =
    &[("core.v1.ContainerPort", "protocol", "TCP"), ("core.v1.ServicePort", "protocol", "TCP")];

struct Constants {
    object: Value,
    text: Value,
    zero: Value,
    no: Value,
}

fn constants() -> &'static Constants {
    static CONSTANTS: OnceLock<Constants> = OnceLock::new();
    CONSTANTS.get_or_init(|| Constants { object: json!({}), text: json!(""), zero: json!(0), no: json!(false) })
}

impl<'s> Schema<'s> {
    /// The schema of a built-in type (`io.k8s.api.core.v1.Pod`).
    #[must_use]
    pub fn of_type(name: &str) -> Self {
        crate::schema::find(name).map_or(Self::Deduced, Self::Type)
    }

    fn of(self) -> Option<&'static Of> {
        match self {
            Self::Field(field) => Some(&field.of),
            Self::Of(of) => Some(of),
            _ => None,
        }
    }

    /// The type with fixed fields that is here.
    fn structure(self) -> Option<&'static Type> {
        let of = match self {
            Self::Type(of) => Some(of),
            _ => match self.of() {
                Some(Of::Type(name)) => name.find(),
                _ => None,
            },
        };
        of.filter(|of| !of.fields.is_empty())
    }

    /// How a value is merged here.
    pub(super) fn shape(self, value: &Value) -> Shape<'s> {
        match self {
            Self::Untyped => Shape::Leaf(is_container(value)),
            Self::Deduced | Self::Custom(_) => deduced(value),
            Self::Structural(schema) => structural(schema, value),
            Self::Type(_) if self.structure().is_some() => Shape::Map,
            Self::Type(_) => deduced(value),
            Self::Field(field) => field_shape(field, value),
            Self::Of(of) => of_shape(of, value),
        }
    }

    /// Whether lists or maps here are merged as a whole, whatever is in them.
    pub(super) fn is_atomic(self) -> bool {
        self.shape(&Value::Null) == Shape::Leaf(true)
    }

    /// The schema of a field; `None`: no such field is declared.
    pub(super) fn field(self, name: &str) -> Option<Child<'s>> {
        let value = |schema| Some(Child { schema, declared: false });
        match self {
            Self::Deduced => value(Self::Deduced),
            Self::Untyped => value(Self::Untyped),
            Self::Structural(schema) => structural_field(schema, name),
            Self::Custom(schema) => match name {
                "metadata" => Some(Child { schema: Self::of_type(crate::schema::OBJECT_META), declared: true }),
                "apiVersion" | "kind" => Some(Child { schema: Self::Untyped, declared: true }),
                _ => structural_field(schema, name),
            },
            _ => match (self.structure(), self.of()) {
                (Some(of), _) => of.field(name).map(|field| Child { schema: Schema::Field(field), declared: true }),
                (None, Some(Of::Map(of))) => value(Schema::Of(of)),
                (None, _) => value(Self::Deduced),
            },
        }
    }

    /// The schema of a list's items.
    pub(super) fn item(self) -> Option<Self> {
        match self {
            Self::Deduced | Self::Untyped => Some(Self::Untyped),
            Self::Structural(schema) => Some(schema.items.as_deref().map_or(Self::Deduced, Schema::Structural)),
            _ => match self.of() {
                Some(Of::List(of)) => Some(Schema::Of(of)),
                Some(Of::Any) => Some(Self::Untyped),
                _ => None,
            },
        }
    }

    /// What a key of an item is where the item does not say so; `self` is the item's schema.
    pub(super) fn key_default(self, key: &str) -> Option<Value> {
        if let Self::Structural(schema) = self {
            return schema.properties.get(key)?.default.clone();
        }
        let of = self.structure()?;
        let short = of.name.strip_prefix("io.k8s.api.").unwrap_or(&of.name);
        if let Some((.., value)) = KEY_DEFAULTS.iter().find(|(name, field, _)| (*name, *field) == (short, key)) {
            return Some(Value::from(*value));
        }
        let field = of.field(key).filter(|field| field.required)?;
        zero(&field.of).cloned()
    }

    /// What a field is where an object is silent about it, as Kubernetes's own types have it.
    pub(super) fn implied(self, name: &str) -> Option<&'static Value> {
        let of = self.structure()?;
        let short = of.name.strip_prefix("io.k8s.api.").unwrap_or(&of.name);
        let everywhere = of.kind.is_some() && matches!(name, "metadata" | "spec" | "status");
        if everywhere || VALUES.iter().any(|(own, fields)| *own == short && fields.contains(&name)) {
            return of.field(name).map(|_| &constants().object);
        }
        let field = of.field(name).filter(|field| field.required)?;
        Some(zero(&field.of).unwrap_or(&Value::Null))
    }
}

fn zero(of: &Of) -> Option<&'static Value> {
    match of {
        Of::String => Some(&constants().text),
        Of::Int32 | Of::Int64 | Of::Number => Some(&constants().zero),
        Of::Bool => Some(&constants().no),
        _ => None,
    }
}

pub(super) const fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

const fn deduced<'s>(value: &Value) -> Shape<'s> {
    match value {
        Value::Object(_) | Value::Null => Shape::Map,
        Value::Array(_) => Shape::Leaf(true),
        _ => Shape::Leaf(false),
    }
}

fn field_shape<'s>(field: &'static TableField, value: &Value) -> Shape<'s> {
    match (&field.list, &field.of, field.merge) {
        (ListType::Atomic, Of::List(_) | Of::Map(_) | Of::Type(_), _) => Shape::Leaf(true),
        (ListType::Set, Of::List(_), _) | (ListType::Unset, Of::List(_), Some("")) => Shape::Set,
        (ListType::Map(keys), Of::List(_), _) => Shape::Keyed(keys.clone()),
        (ListType::Unset, Of::List(_), Some(key)) => Shape::Keyed(vec![key]),
        _ => of_shape(&field.of, value),
    }
}

fn of_shape<'s>(of: &'static Of, value: &Value) -> Shape<'s> {
    match of {
        Of::List(_) => Shape::Leaf(true),
        Of::Map(_) => Shape::Map,
        Of::Any => deduced(value),
        Of::Type(name) => match name.find() {
            Some(of) if of.atomic => Shape::Leaf(true),
            Some(of) if !of.fields.is_empty() => Shape::Map,
            _ => deduced(value),
        },
        _ => Shape::Leaf(false),
    }
}

fn structural<'s>(schema: &'s CustomSchema, value: &Value) -> Shape<'s> {
    match schema.sort {
        Sort::Object if schema.atomic_map => Shape::Leaf(true),
        Sort::Object => Shape::Map,
        Sort::Array => match &schema.list {
            CustomList::Set => Shape::Set,
            CustomList::Map(keys) => Shape::Keyed(keys.iter().map(String::as_str).collect()),
            CustomList::Atomic => Shape::Leaf(true),
        },
        Sort::Any if schema.int_or_string => Shape::Leaf(false),
        Sort::Any => deduced(value),
        _ => Shape::Leaf(false),
    }
}

fn structural_field<'s>(schema: &'s CustomSchema, name: &str) -> Option<Child<'s>> {
    if let Some(field) = schema.properties.get(name) {
        return Some(Child { schema: Schema::Structural(field), declared: true });
    }
    let value = |schema| Some(Child { schema, declared: false });
    match &schema.additional {
        Additional::Of(of) => return value(Schema::Structural(of)),
        Additional::Any => return value(Schema::Deduced),
        Additional::None => {}
    }
    match name {
        "metadata" if schema.embedded => value(Schema::of_type(crate::schema::OBJECT_META)),
        "apiVersion" | "kind" if schema.embedded => value(Schema::Untyped),
        _ if schema.preserve || schema.sort == Sort::Any || schema.properties.is_empty() => value(Schema::Deduced),
        _ => None,
    }
}

impl Schema<'_> {
    /// What should stand here, if it is something else than the value.
    pub(super) fn expected(self, value: &Value) -> Option<&'static str> {
        let (fits, expected) = match self {
            Self::Structural(schema) => match schema.sort {
                Sort::String => (value.is_string(), "string"),
                Sort::Boolean => (value.is_boolean(), "boolean"),
                Sort::Integer | Sort::Number => (value.is_number(), "numeric (int or float)"),
                Sort::Array => (value.is_array(), "list"),
                Sort::Object => (value.is_object(), "map"),
                Sort::Any if schema.int_or_string => (!is_container(value), "any scalar"),
                Sort::Any => return None,
            },
            _ => match self.of()? {
                Of::String | Of::Bytes => (value.is_string(), "string"),
                Of::Bool => (value.is_boolean(), "boolean"),
                Of::Int32 | Of::Int64 | Of::Number => (value.is_number(), "numeric (int or float)"),
                Of::Time | Of::MicroTime | Of::Quantity | Of::IntOrString => (!is_container(value), "any scalar"),
                Of::List(_) => (value.is_array(), "list"),
                Of::Map(_) => (value.is_object(), "map"),
                Of::Type(name) if name.find().is_some_and(|of| !of.fields.is_empty()) => (value.is_object(), "map"),
                Of::Any | Of::Type(_) => return None,
            },
        };
        (!fits).then_some(expected)
    }
}
