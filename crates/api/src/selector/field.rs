//! Field selectors: `metadata.name=web,status.phase!=Running`.

use std::fmt;
use std::str::FromStr;

use super::SelectorError;

/// One term of a [`FieldSelector`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    /// The field's label, such as `spec.nodeName`.
    pub field: String,
    /// The value it has, or has not.
    pub value: String,
    /// Whether it must have the value (`=`) or must not (`!=`).
    pub equals: bool,
}

/// Terms that must all hold. No terms: everything matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// The terms.
    #[must_use]
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The value that `field` must have, if the selector asks for exactly one.
    #[must_use]
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.requirements.iter().find(|r| r.equals && r.field == field).map(|r| r.value.as_str())
    }

    /// Whether fields, looked up by their label, match. A missing field is the empty string.
    pub fn matches_with(&self, value: impl Fn(&str) -> String) -> bool {
        self.requirements.iter().all(|r| (value(&r.field) == r.value) == r.equals)
    }
}

impl FromStr for FieldSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let requirements = split_terms(text)
            .filter(|term| !term.is_empty())
            .map(|term| requirement(text, term))
            .collect::<Result<_, _>>()?;
        Ok(Self { requirements })
    }
}

/// Splits at commas that no backslash escapes.
fn split_terms(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let split = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        split
    })
}

fn requirement(selector: &str, part: &str) -> Result<FieldRequirement, SelectorError> {
    let misunderstood = || SelectorError::FieldTerm { selector: selector.to_owned(), part: part.to_owned() };
    let at = part.find(['=', '!']).ok_or_else(misunderstood)?;
    let (field, rest) = part.split_at(at);
    let (value, equals) = match (rest.strip_prefix("!="), rest.strip_prefix("=="), rest.strip_prefix('=')) {
        (Some(value), _, _) => (value, false),
        (_, Some(value), _) | (_, _, Some(value)) => (value, true),
        _ => return Err(misunderstood()),
    };
    Ok(FieldRequirement { field: field.to_owned(), value: unescape(value)?, equals })
}

fn unescape(text: &str) -> Result<String, SelectorError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                other => {
                    return Err(SelectorError::Escape(format!("\\{}", other.map(String::from).unwrap_or_default())));
                }
            },
            ',' | '=' => return Err(SelectorError::Escape(c.to_string())),
            other => out.push(other),
        }
    }
    Ok(out)
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, FieldRequirement { field, value, equals }) in self.requirements.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let operator = if *equals { "=" } else { "!=" };
            let value = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{comma}{field}{operator}{value}")?;
        }
        Ok(())
    }
}
