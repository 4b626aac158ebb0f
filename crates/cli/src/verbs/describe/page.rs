//! A page of labelled values, aligned by elastic tab stops as kubectl's pages are.

use jiff::Timestamp;
use serde_json::Value;

use crate::print::labels;

/// A page that is being written.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

/// A value as text: nothing is nothing.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value, or `<none>`.
pub(super) fn or_none(value: &Value) -> String {
    Some(text(value)).filter(|text| !text.is_empty()).unwrap_or_else(|| "<none>".to_owned())
}

/// The items of a list.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// `a=b,c=d`, or `<none>`.
pub(super) fn joined(map: &Value) -> String {
    labels(map)
}

/// `Thu, 01 Jan 2026 00:00:00 +0000`
pub(super) fn time(value: &Value) -> String {
    let parsed = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    parsed.map_or_else(|| text(value), |time| time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string())
}

impl Page {
    /// `Label:  value`, indented by levels.
    pub(super) fn line(&mut self, level: usize, label: &str, value: &str) {
        self.text.push_str(&format!("{}{label}:\t{value}\n", "  ".repeat(level)));
    }

    /// A line as it is; tabs separate its cells.
    pub(super) fn raw(&mut self, level: usize, text: &str) {
        self.text.push_str(&format!("{}{text}\n", "  ".repeat(level)));
    }

    /// The name, the namespace, and what else stands at the top.
    pub(super) fn name(&mut self, object: &Value) {
        self.line(0, "Name", &text(&object["metadata"]["name"]));
        if object["metadata"]["namespace"].is_string() {
            self.line(0, "Namespace", &text(&object["metadata"]["namespace"]));
        }
    }

    /// A map, one pair a line.
    pub(super) fn map(&mut self, level: usize, label: &str, map: &Value, between: &str) {
        let quiet = |key: &&String| *key != "kubectl.kubernetes.io/last-applied-configuration";
        let mut pairs = map.as_object().into_iter().flatten().filter(|(key, _)| quiet(key)).peekable();
        if pairs.peek().is_none() {
            return self.line(level, label, "<none>");
        }
        let mut head = format!("{label}:");
        for (key, value) in pairs {
            let value = text(value);
            let value = value.trim_end().replace('\n', "\n\t  ");
            self.raw(level, &format!("{head}\t{key}{between}{value}"));
            head.clear();
        }
    }

    /// Labels and annotations.
    pub(super) fn marks(&mut self, object: &Value) {
        self.map(0, "Labels", &object["metadata"]["labels"], "=");
        self.map(0, "Annotations", &object["metadata"]["annotations"], ": ");
    }

    /// A table below a heading; no rows: `<none>`.
    pub(super) fn table(&mut self, heading: &str, headers: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return self.line(0, heading, "<none>");
        }
        self.raw(0, &format!("{heading}:"));
        self.raw(1, &headers.join("\t"));
        let rules: Vec<String> = headers.iter().map(|header| "-".repeat(header.len())).collect();
        self.raw(1, &rules.join("\t"));
        rows.iter().for_each(|row| self.raw(1, &row.join("\t")));
    }

    /// The events of the object, oldest first.
    pub(super) fn events(&mut self, events: &Value, now: Timestamp) {
        let last = |event: &Value| {
            let time =
                ["lastTimestamp", "eventTime", "firstTimestamp"].into_iter().find_map(|field| event[field].as_str());
            time.or(event["metadata"]["creationTimestamp"].as_str()).unwrap_or_default().to_owned()
        };
        let mut all: Vec<&Value> = list(&events["items"]).collect();
        all.sort_by_key(|event| last(event));
        let row = |event: &&Value| {
            let count = event["count"].as_i64().unwrap_or(1);
            let mut age = age(&last(event), now);
            if count > 1 {
                age = format!("{age} (x{count} over {})", self::age(&text(&event["firstTimestamp"]), now));
            }
            let from = Some(text(&event["source"]["component"])).filter(|from| !from.is_empty());
            let from = from.unwrap_or_else(|| text(&event["reportingComponent"]));
            vec![text(&event["type"]), text(&event["reason"]), age, from, text(&event["message"]).trim().to_owned()]
        };
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        self.table("Events", &["Type", "Reason", "Age", "From", "Message"], &rows);
    }

    /// All fields of an object, as words.
    pub(super) fn fields(&mut self, object: &Value) {
        self.name(object);
        self.marks(object);
        let at_top = |key: &&String| !matches!(key.as_str(), "metadata" | "apiVersion" | "kind");
        self.line(0, "API Version", &text(&object["apiVersion"]));
        self.line(0, "Kind", &text(&object["kind"]));
        self.raw(0, "Metadata:");
        self.line(1, "Creation Timestamp", &text(&object["metadata"]["creationTimestamp"]));
        self.line(1, "Resource Version", &text(&object["metadata"]["resourceVersion"]));
        self.line(1, "UID", &text(&object["metadata"]["uid"]));
        for (key, value) in object.as_object().into_iter().flatten().filter(|(key, _)| at_top(key)) {
            self.field(0, key, value);
        }
    }

    fn field(&mut self, level: usize, key: &str, value: &Value) {
        let label = words(key);
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.raw(level, &format!("{label}:"));
                map.iter().for_each(|(key, value)| self.field(level + 1, key, value));
            }
            Value::Array(items) if !items.is_empty() => {
                self.raw(level, &format!("{label}:"));
                for item in items {
                    match item {
                        Value::Object(map) => map.iter().for_each(|(key, value)| self.field(level + 1, key, value)),
                        other => self.raw(level + 1, &text(other)),
                    }
                }
            }
            Value::Object(_) | Value::Array(_) | Value::Null => {}
            other => self.line(level, &label, &text(other)),
        }
    }

    /// The page with its columns aligned.
    pub(super) fn finish(&self) -> String {
        aligned(&self.text)
    }
}

fn age(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    skiff_api::time::human_duration(now.duration_since(time).as_secs())
}

/// `creationTimestamp` as `Creation Timestamp`.
fn words(key: &str) -> String {
    let mut made = String::new();
    let mut before = ' ';
    for letter in key.chars() {
        if letter.is_uppercase() && before.is_lowercase() {
            made.push(' ');
        }
        made.extend(if made.is_empty() { letter.to_uppercase().collect() } else { vec![letter] });
        before = letter;
    }
    made
}

/// Cells that tabs end make columns over adjoining lines, two spaces apart.
pub(super) fn aligned(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len()]).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut start = 0;
        while start < lines.len() {
            let run = lines[start..].iter().take_while(|cells| cells.len() > column + 1);
            let sizes: Vec<usize> = run.map(|cells| cells[column].chars().count()).collect();
            let width = sizes.iter().max().copied().unwrap_or(0) + 2;
            widths[start..start + sizes.len()].iter_mut().for_each(|line| line[column] = width);
            start += sizes.len().max(1);
        }
    }
    let mut out = String::new();
    for (cells, widths) in lines.iter().zip(&widths) {
        for (cell, width) in cells.iter().zip(widths) {
            out.push_str(&format!("{cell:<width$}"));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_end_where_lines_have_none() {
        assert_eq!(aligned("a:\tb\nlonger:\tc\nx:\n  y:\tz\n"), "a:       b\nlonger:  c\nx:\n  y:  z\n");
    }

    #[test]
    fn times_words_and_maps() {
        assert_eq!(time(&json!("2026-01-01T00:00:00Z")), "Thu, 01 Jan 2026 00:00:00 +0000");
        assert_eq!(words("creationTimestamp"), "Creation Timestamp");
        let mut page = Page::default();
        page.map(0, "Labels", &json!({ "a": "b", "c": "d" }), "=");
        page.map(0, "Annotations", &json!({}), ": ");
        assert_eq!(page.finish(), "Labels:       a=b\n              c=d\nAnnotations:  <none>\n");
    }

    #[test]
    fn events_are_a_table() {
        let mut page = Page::default();
        page.events(&json!({ "items": [] }), Timestamp::UNIX_EPOCH);
        let event = json!({
            "type": "Normal", "reason": "Started", "message": "m", "source": { "component": "kubelet" },
            "lastTimestamp": "1970-01-01T00:00:00Z", "firstTimestamp": "1970-01-01T00:00:00Z", "count": 2,
        });
        page.events(&json!({ "items": [event] }), "1970-01-01T00:01:00Z".parse().unwrap());
        let text = page.finish();
        assert!(text.starts_with("Events:  <none>\nEvents:\n"), "{text}");
        assert!(text.contains("  Normal  Started  60s (x2 over 60s)  kubelet  m\n"), "{text}");
    }
}
