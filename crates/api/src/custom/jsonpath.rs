//! The JSON paths that printer columns use: fields, indexes, wildcards, and filters by one comparison.

use serde_json::Value;

/// A path, taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Where { field: Vec<String>, equal: bool, to: Value },
}

impl JsonPath {
    /// Reads a path such as `.spec.list[?(@.type=="Ready")].status`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let end = closing(after).ok_or_else(|| "unterminated array".to_owned())?;
                steps.push(bracket(&after[..end])?);
                rest = &after[end + 1..];
            } else if let Some(after) = rest.strip_prefix('.') {
                let mut name = String::new();
                let mut letters = after.char_indices();
                let mut end = after.len();
                while let Some((at, letter)) = letters.next() {
                    match letter {
                        '.' | '[' => {
                            end = at;
                            break;
                        }
                        '\\' => name.extend(letters.next().map(|(_, letter)| letter)),
                        letter => name.push(letter),
                    }
                }
                match name.as_str() {
                    "" if after.starts_with('[') => {}
                    "" => return Err(format!("unexpected path string, expected a field after {text:?}")),
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name)),
                }
                rest = &after[end..];
            } else {
                return Err(format!("unrecognized character in action: {rest:?}"));
            }
        }
        Ok(Self(steps))
    }

    /// The first value at the path.
    pub(super) fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        follow(&self.0, value)
    }

    /// The names of the fields, if the path is made of nothing else.
    pub(super) fn fields(&self) -> Option<Vec<&str>> {
        self.0.iter().map(|step| if let Step::Field(name) = step { Some(name.as_str()) } else { None }).collect()
    }
}

fn follow<'a>(steps: &[Step], value: &'a Value) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Field(name) => follow(rest, value.get(name)?),
        Step::Index(index) => {
            let list = value.as_array()?;
            let at = if *index < 0 { i64::try_from(list.len()).ok()? + index } else { *index };
            follow(rest, list.get(usize::try_from(at).ok()?)?)
        }
        Step::All => match value {
            Value::Array(list) => list.iter().find_map(|item| follow(rest, item)),
            Value::Object(map) => map.values().find_map(|item| follow(rest, item)),
            _ => None,
        },
        Step::Where { field, equal, to } => value.as_array()?.iter().find_map(|item| {
            let found = field.iter().try_fold(item, |at, name| at.get(name))?;
            if (found == to) == *equal { follow(rest, item) } else { None }
        }),
    }
}

fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, ']') => return Some(at),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str) -> Option<&str> {
    let text = text.trim();
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

fn bracket(inner: &str) -> Result<Step, String> {
    let inner = inner.trim();
    if inner == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = unquoted(inner) {
        return Ok(Step::Field(name.to_owned()));
    }
    if let Ok(index) = inner.parse() {
        return Ok(Step::Index(index));
    }
    let filter = inner.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')'));
    let filter = filter.ok_or_else(|| format!("invalid array index {inner}"))?;
    let (left, right, equal) = match (filter.split_once("=="), filter.split_once("!=")) {
        (Some((left, right)), _) => (left, right, true),
        (None, Some((left, right))) => (left, right, false),
        _ => return Err(format!("unrecognized filter {filter:?}")),
    };
    let field = left.trim().strip_prefix("@.").ok_or_else(|| format!("unrecognized filter {filter:?}"))?;
    let to = match unquoted(right) {
        Some(text) => text.into(),
        None => serde_json::from_str(right.trim()).map_err(|_| format!("unrecognized filter {filter:?}"))?,
    };
    Ok(Step::Where { field: field.split('.').map(str::to_owned).collect(), equal, to })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let object =
            json!({"spec": {"a.b": 1, "list": [{"type": "X", "status": "no"}, {"type": "Ready", "status": "yes"}]}});
        let first = |path: &str| JsonPath::parse(path).unwrap().first(&object).cloned();
        assert_eq!(first(r".spec.a\.b"), Some(json!(1)));
        assert_eq!(first(".spec['a.b']"), Some(json!(1)));
        assert_eq!(first(r#".spec.list[?(@.type=="Ready")].status"#), Some(json!("yes")));
        assert_eq!(first(".spec.list[-1].type"), Some(json!("Ready")));
        assert_eq!(first(".spec.list[*].type"), Some(json!("X")));
        assert_eq!(first(".spec.none"), None);
        for bad in [".a[", "a b", ".a[?(b)]", "..a", ".a[x]"] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
    }
}
