//! `-o`: how objects are printed.

use serde_json::{Value, json};

use super::{columns::Columns, yaml};
use crate::{error::Error, jsonpath::Template, session::Session};

/// An output format.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    /// The server's table; wide or not.
    Table {
        wide: bool,
    },
    Json,
    Yaml,
    Name,
    Path(Template),
    Columns(Columns),
}

impl Format {
    /// Reads the value of `-o`.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else { return Ok(Self::Table { wide: false }) };
        let (kind, rest) = text.split_once('=').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let file = || {
            let path = rest.unwrap_or_default();
            std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
        };
        let template = |text: &str| {
            Template::parse(text)
                .map(Self::Path)
                .map_err(|error| Error::usage(format!("error parsing jsonpath {text}, {error}")))
        };
        match (kind, rest) {
            ("", _) => Ok(Self::Table { wide: false }),
            ("wide", None) => Ok(Self::Table { wide: true }),
            ("json", None) => Ok(Self::Json),
            ("yaml", None) => Ok(Self::Yaml),
            ("name", None) => Ok(Self::Name),
            ("jsonpath", Some(text)) => template(text),
            ("jsonpath-file", Some(_)) => template(file()?.trim_end()),
            ("custom-columns", Some(text)) => Columns::parse(text).map(Self::Columns),
            ("custom-columns-file", Some(_)) => Columns::parse_file(&file()?).map(Self::Columns),
            ("jsonpath" | "custom-columns", None) => {
                Err(Error::usage(format!("template format specified but no template given: -o {kind}=TEMPLATE")))
            }
            _ => Err(Error::usage(format!(
                "unable to match a printer suitable for the output format \"{text}\", allowed formats are: \
                 custom-columns,custom-columns-file,json,jsonpath,jsonpath-file,name,wide,yaml"
            ))),
        }
    }

    /// Whether whole objects are needed, and not the server's table.
    pub(crate) fn wants_objects(&self) -> bool {
        !matches!(self, Self::Table { .. })
    }
}

/// The name that `-o name` prints.
pub(crate) fn name(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let group = object["apiVersion"].as_str().and_then(|version| Some(version.split_once('/')?.0));
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    group.map_or_else(|| format!("{kind}/{name}"), |group| format!("{kind}.{group}/{name}"))
}

/// Prints one object, or a list, in a format that takes objects. `managedFields` are left out, as
/// kubectl does.
pub(crate) fn print_object(session: &Session, object: &Value, format: &Format) -> Result<(), Error> {
    let mut object = object.clone();
    if matches!(format, Format::Json | Format::Yaml) {
        for one in object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
            hide_managed(one);
        }
        hide_managed(&mut object);
    }
    let items = object.get("items").and_then(Value::as_array);
    let text = match format {
        Format::Json => format!("{}\n", pretty(&object)),
        Format::Yaml => yaml(&object)?,
        Format::Name => {
            let all: Vec<&Value> = items.map_or_else(|| vec![&object], |items| items.iter().collect());
            all.into_iter().map(|one| name(one) + "\n").collect()
        }
        Format::Path(template) => {
            template.render(&object).map_err(|error| Error::usage(format!("error executing jsonpath: {error}")))?
        }
        Format::Columns(columns) => {
            let all: Vec<&Value> = items.map_or_else(|| vec![&object], |items| items.iter().collect());
            columns.table(&all).render(true)
        }
        Format::Table { .. } => return Ok(()),
    };
    session.write(&text)
}

/// JSON with kubectl's indentation of four.
fn pretty(value: &Value) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Writing a Value to memory cannot fail.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    String::from_utf8_lossy(&out).into_owned()
}

fn hide_managed(object: &mut Value) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
}

/// Several objects as one list, as kubectl shows them.
pub(crate) fn as_list(items: Vec<Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read() {
        assert_eq!(Format::parse(None).unwrap(), Format::Table { wide: false });
        assert_eq!(Format::parse(Some("wide")).unwrap(), Format::Table { wide: true });
        assert!(matches!(Format::parse(Some("jsonpath={.a}")).unwrap(), Format::Path(_)));
        assert!(Format::parse(Some("xml")).unwrap_err().to_string().contains("allowed formats are"));
        assert!(Format::parse(Some("jsonpath")).is_err());
    }

    #[test]
    fn names_carry_the_group() {
        assert_eq!(
            name(&json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "a"}})),
            "deployment.apps/a"
        );
        assert_eq!(name(&json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}})), "pod/a");
    }
}
