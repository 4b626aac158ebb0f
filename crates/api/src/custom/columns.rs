//! The columns of a custom kind's table: its name, and what its definition says.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::jsonpath::JsonPath;
use crate::value::Read as _;
use crate::{meta, time};

/// One column after the name.
#[derive(Debug)]
pub(super) struct PrinterColumn {
    name: String,
    sort: String,
    format: String,
    description: String,
    priority: i64,
    path: JsonPath,
}

impl PrinterColumn {
    /// The columns of a version; a version that says nothing shows the age.
    pub(super) fn parse_all(version: &Value) -> Vec<Self> {
        let given = version.items("additionalPrinterColumns");
        if given.is_empty() {
            let description =
                "CreationTimestamp is a timestamp representing the server time when this object was created.";
            let age = json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": description});
            return Self::parse(&age).into_iter().collect();
        }
        given.iter().filter_map(Self::parse).collect()
    }

    fn parse(column: &Value) -> Option<Self> {
        let text = |field: &str| column.text(field).to_owned();
        Some(Self {
            name: text("name"),
            sort: text("type"),
            format: text("format"),
            description: match column.text("description") {
                "" => format!("Custom resource definition column (in JSONPath format): {}", column.text("jsonPath")),
                given => given.to_owned(),
            },
            priority: column.int("priority").unwrap_or_default(),
            path: JsonPath::parse(column.text("jsonPath")).ok()?,
        })
    }

    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let Some(value) = self.path.first(object) else { return Value::Null };
        match (self.sort.as_str(), value) {
            (_, Value::Null) => Value::Null,
            ("string", Value::String(_)) => value.clone(),
            ("string", other) => other.to_string().into(),
            ("integer", Value::Number(number)) => {
                number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)).into()
            }
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
            ("date", Value::String(text)) if time::parse(text).is_some() => time::age(value, now).into(),
            ("date", Value::String(_)) => "<invalid>".into(),
            _ => Value::Null,
        }
    }
}

/// The columns as a `Table` describes them.
pub(super) fn definitions(columns: &[PrinterColumn]) -> Vec<Value> {
    let description = "Name must be unique within a namespace. It is required when creating resources.";
    let name = json!({"name": "Name", "type": "string", "format": "name", "description": description, "priority": 0});
    let rest = columns.iter().map(|column| {
        json!({
            "name": column.name,
            "type": column.sort,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        })
    });
    std::iter::once(name).chain(rest).collect()
}

/// The cells of an object's row.
pub(super) fn cells(columns: &[PrinterColumn], object: &Value, now: Timestamp) -> Vec<Value> {
    let name = Value::from(meta::name(object));
    std::iter::once(name).chain(columns.iter().map(|column| column.cell(object, now))).collect()
}

/// Whether a column's path can be read.
pub(crate) fn check_path(text: &str) -> Result<(), String> {
    JsonPath::parse(text).map(|_| ())
}

/// Whether a path is made of fields only, and which.
pub(crate) fn plain_fields(text: &str) -> Option<Vec<String>> {
    let path = JsonPath::parse(text).ok()?;
    Some(path.fields()?.into_iter().map(str::to_owned).collect())
}
