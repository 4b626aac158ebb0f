//! Lays out the tables that the server makes.

use std::fmt::Write as _;

use serde_json::Value;

/// Which columns are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) wide: bool,
    pub(crate) namespace: bool,
    pub(crate) labels: bool,
    pub(crate) headers: bool,
    /// Put the type before each name, as for several types at once.
    pub(crate) kind: bool,
}

/// A table's rows as text, with the objects that they stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    /// Reads a `meta.k8s.io/v1` Table. `prefix` is put before names where the layout asks for kinds.
    pub(crate) fn read(document: &Value, layout: Layout, prefix: &str) -> Self {
        let columns: Vec<&Value> = list(&document["columnDefinitions"]).collect();
        let shown: Vec<usize> = (0..columns.len())
            .filter(|at| layout.wide || columns[*at]["priority"].as_i64().unwrap_or(0) == 0)
            .collect();
        let mut table = Self::default();
        let name = |at: &usize| columns[*at]["name"].as_str().unwrap_or_default().to_uppercase();
        table.headers.extend(layout.namespace.then(|| "NAMESPACE".to_owned()));
        table.headers.extend(shown.iter().map(name));
        table.headers.extend(layout.labels.then(|| "LABELS".to_owned()));
        for row in list(&document["rows"]) {
            let meta = &row["object"]["metadata"];
            let mut cells: Vec<String> = Vec::with_capacity(table.headers.len());
            cells.extend(layout.namespace.then(|| text(&meta["namespace"])));
            cells.extend(shown.iter().map(|at| {
                let cell = text(&row["cells"][*at]);
                if *at == 0 && layout.kind { format!("{prefix}{cell}") } else { cell }
            }));
            cells.extend(layout.labels.then(|| labels(&meta["labels"])));
            table.rows.push(cells);
        }
        table
    }

    /// Rows that were made here.
    pub(crate) fn of(headers: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self { headers: headers.iter().map(|one| (*one).to_owned()).collect(), rows, widths: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Sorts the rows by the keys that were found for them.
    pub(crate) fn sort_by_keys(&mut self, keys: &[String]) {
        let mut paired: Vec<(Vec<String>, &String)> = std::mem::take(&mut self.rows).into_iter().zip(keys).collect();
        paired.sort_by(|a, b| natural(a.1, b.1));
        self.rows = paired.into_iter().map(|(row, _)| row).collect();
    }

    /// The table as text; every column is as wide as its widest cell and three spaces.
    pub(crate) fn render(&mut self, headers: bool) -> String {
        let mut out = String::new();
        self.measure(headers);
        if headers && !self.headers.is_empty() {
            line(&mut out, &self.headers, &self.widths);
        }
        self.rows.iter().for_each(|row| line(&mut out, row, &self.widths));
        out
    }

    /// Takes over another table's widths, so that rows of a watch stay aligned.
    pub(crate) fn aligned_with(mut self, other: &Self) -> Self {
        self.widths.clone_from(&other.widths);
        self
    }

    fn measure(&mut self, headers: bool) {
        let head = headers.then_some(&self.headers);
        for row in head.into_iter().chain(&self.rows) {
            for (at, cell) in row.iter().enumerate() {
                let width = cell.chars().count();
                match self.widths.get_mut(at) {
                    Some(held) => *held = (*held).max(width),
                    None => self.widths.push(width),
                }
            }
        }
    }
}

/// Numbers by value, all else by text.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    }
}

fn line(out: &mut String, cells: &[String], widths: &[usize]) {
    for (at, cell) in cells.iter().enumerate() {
        if at + 1 == cells.len() {
            out.push_str(cell);
        } else {
            let width = widths.get(at).copied().unwrap_or_default() + 3;
            let _ = write!(out, "{cell:<width$}");
        }
    }
    out.push('\n');
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `a=b,c=d`, or `<none>`.
pub(crate) fn labels(map: &Value) -> String {
    let pairs: Vec<String> =
        map.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value))).collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_looks_as_kubectls() {
        let document = json!({
            "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "Age", "priority": 0}, {"name": "Node", "priority": 1}],
            "rows": [
                {"cells": ["web", "3h", "n1"], "object": {"metadata": {"namespace": "d", "labels": {"a": "b"}}}},
                {"cells": ["a-longer-name", "5s", "n2"], "object": {"metadata": {"namespace": "d"}}},
            ],
        });
        let plain = Table::read(&document, Layout { headers: true, ..Layout::default() }, "").render(true);
        assert_eq!(plain, "NAME            AGE\nweb             3h\na-longer-name   5s\n");
        let all = Layout { wide: true, namespace: true, labels: true, kind: true, headers: true };
        let wide = Table::read(&document, all, "pod/").render(true);
        assert_eq!(wide.lines().nth(1).unwrap(), "d           pod/web             3h    n1     a=b");
    }
}
