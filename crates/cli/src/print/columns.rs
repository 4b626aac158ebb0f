//! `-o custom-columns=NAME:.metadata.name,…`

use serde_json::Value;

use super::Table;
use crate::{error::Error, jsonpath::Template};

/// Headers and where their values are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Columns {
    headers: Vec<String>,
    paths: Vec<Template>,
}

impl Columns {
    /// Reads `HEADER:path,HEADER:path`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut columns = Self { headers: Vec::new(), paths: Vec::new() };
        for part in text.split(',') {
            let (header, path) = part.split_once(':').ok_or_else(|| {
                Error::usage(format!("unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"))
            })?;
            columns.add(header, path)?;
        }
        Ok(columns)
    }

    /// Reads a file of two lines: headers, and paths below them.
    pub(crate) fn parse_file(text: &str) -> Result<Self, Error> {
        let mut lines = text.lines();
        let (Some(headers), Some(paths)) = (lines.next(), lines.next()) else {
            return Err(Error::usage("custom-columns-file: expected a line of headers and a line of paths"));
        };
        let (headers, paths): (Vec<_>, Vec<_>) =
            (headers.split_whitespace().collect(), paths.split_whitespace().collect());
        if headers.len() != paths.len() {
            return Err(Error::usage(format!(
                "number of headers ({}) and field specifications ({}) don't match",
                headers.len(),
                paths.len()
            )));
        }
        let mut columns = Self { headers: Vec::new(), paths: Vec::new() };
        headers.iter().zip(paths).try_for_each(|(header, path)| columns.add(header, path))?;
        Ok(columns)
    }

    fn add(&mut self, header: &str, path: &str) -> Result<(), Error> {
        self.headers.push(header.to_owned());
        self.paths.push(Template::relaxed(path).map_err(|error| Error::usage(format!("{path}: {error}")))?);
        Ok(())
    }

    /// One row an object; what is missing is `<none>`.
    pub(crate) fn table(&self, objects: &[&Value]) -> Table {
        let cell = |path: &Template, object: &Value| {
            let found: Vec<String> = path.find(object).into_iter().map(shown).collect();
            if found.is_empty() { "<none>".to_owned() } else { found.join(",") }
        };
        let rows = objects.iter().map(|object| self.paths.iter().map(|path| cell(path, object)).collect()).collect();
        let headers: Vec<&str> = self.headers.iter().map(String::as_str).collect();
        Table::of(&headers, rows)
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_of_paths() {
        let columns = Columns::parse("NAME:.metadata.name,IMAGES:.spec.containers[*].image,X:x").unwrap();
        let object = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"image": "i"}, {"image": "j"}]}});
        assert_eq!(columns.table(&[&object]).render(true), "NAME   IMAGES   X\na      i,j      <none>\n");
        assert!(Columns::parse("NAME").is_err());
    }
}
